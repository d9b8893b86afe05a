"""The tenant service's settings: environment variables, read once, all problems reported together.

    TENANT_SERVICE_LISTEN      127.0.0.1:8082   for the sidecar and the admin service, never for browsers
    TENANT_SERVICE_OPS_LISTEN  127.0.0.1:9092   health and metrics
    TENANT_DATABASE_URL        sqlite:///data/tenant.db, or postgresql://…
    TENANT_BASE_DOMAIN         app.example.com  tenants are reached at https://{slug}.{this}
    INTERNAL_JWKS_URL          the sidecar's public keys; exactly one of this …
    INTERNAL_JWKS_FILE         … and this
    INTERNAL_ISSUER            auth_proxy
    AUDIT_SIGNING_KEY_FILE     beside the database; signs checkpoints of the audit log, made at first start
    AUDIT_PEER_URL             the admin service's operations listener, for its checkpoints; needs …
    AUDIT_PEER_KEYS_FILE       … its public audit keys, copied by hand
    APP_ENV (NODE_ENV)         production

In development TENANT_BASE_DOMAIN may be `localhost` with a port (`localhost:8003`): then, and only
then, tenants' links begin with http.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator

from service_kit.audit.http_peer import peer_address
from service_kit.audit.keeping import AuditKeeping, default_key_file
from service_kit.db.engine import parse_database_url
from service_kit.settings import Listen, ListenAddress, ServiceSettings
from tenant_service.hosts import TenantHosts

DEVELOPMENT: Final = "development"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_LOCAL: Final = re.compile(r"localhost(?::\d{1,5})?")


def _base_domain(value: str) -> str:
    lowered = value.lower()
    if not _DOMAIN.fullmatch(lowered) and not _LOCAL.fullmatch(lowered):
        raise ValueError("must be a domain such as app.example.com")
    return lowered


def _database_url(value: SecretStr) -> SecretStr:
    parse_database_url(value.get_secret_value())
    return value


def _jwks_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+/\S*", value):
        raise ValueError("must be an http or https address with a path")
    return value


class TenantSettings(ServiceSettings):
    """What one tenant service process is told."""

    app_env: str = Field(
        default="production", validation_alias=AliasChoices("APP_ENV", "NODE_ENV"), max_length=32
    )
    listen: ListenAddress = Field(default=Listen("127.0.0.1", 8082), validation_alias="TENANT_SERVICE_LISTEN")
    ops_listen: ListenAddress = Field(
        default=Listen("127.0.0.1", 9092), validation_alias="TENANT_SERVICE_OPS_LISTEN"
    )
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] = Field(
        default=SecretStr("sqlite:///data/tenant.db"), validation_alias="TENANT_DATABASE_URL"
    )
    base_domain: Annotated[str, AfterValidator(_base_domain)] = Field(
        default="app.example.com", validation_alias="TENANT_BASE_DOMAIN"
    )
    internal_jwks_url: Annotated[str, AfterValidator(_jwks_url)] | None = Field(
        default=None, validation_alias="INTERNAL_JWKS_URL"
    )
    internal_jwks_file: Path | None = Field(default=None, validation_alias="INTERNAL_JWKS_FILE")
    internal_issuer: str = Field(default="auth_proxy", validation_alias="INTERNAL_ISSUER", max_length=200)

    audit_signing_key_file: Path | None = Field(default=None, validation_alias="AUDIT_SIGNING_KEY_FILE")
    audit_peer_url: Annotated[str, AfterValidator(peer_address)] | None = Field(
        default=None, validation_alias="AUDIT_PEER_URL"
    )
    audit_peer_keys_file: Path | None = Field(default=None, validation_alias="AUDIT_PEER_KEYS_FILE")

    @model_validator(mode="after")
    def _peer_and_its_keys(self) -> Self:
        if (self.audit_peer_url is None) != (self.audit_peer_keys_file is None):
            raise ValueError("set both AUDIT_PEER_URL and AUDIT_PEER_KEYS_FILE, or neither")
        return self

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if (self.internal_jwks_url is None) == (self.internal_jwks_file is None):
            raise ValueError("set exactly one of INTERNAL_JWKS_URL and INTERNAL_JWKS_FILE")
        return self

    @model_validator(mode="after")
    def _localhost_is_for_development(self) -> Self:
        if _LOCAL.fullmatch(self.base_domain) and self.app_env != DEVELOPMENT:
            raise ValueError("TENANT_BASE_DOMAIN=localhost is only for APP_ENV=development")
        return self

    @property
    def audit_keeping(self) -> AuditKeeping:
        """What keeps this service's audit log provable."""
        key_file = self.audit_signing_key_file or default_key_file(
            self.database_url.get_secret_value(), "tenant_service"
        )
        return AuditKeeping(
            "tenant_service", "admin_service", key_file, self.audit_peer_url, self.audit_peer_keys_file
        )

    @property
    def hosts(self) -> TenantHosts:
        local = _LOCAL.fullmatch(self.base_domain) is not None
        return TenantHosts(self.base_domain, scheme="http" if local else "https")
