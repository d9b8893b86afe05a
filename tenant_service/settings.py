"""The tenant service's settings: environment variables, read once, all problems reported together.

    TENANT_SERVICE_LISTEN      127.0.0.1:8082   for the sidecar and the admin service, never for browsers
    TENANT_PUBLIC_LISTEN       127.0.0.1:8083   for tenants' browsers, behind a proxy that speaks TLS
    TENANT_PUBLIC_TRUSTED_PROXIES  none         … and whose word about the client's address counts; comma list
    TENANT_SERVICE_OPS_LISTEN  127.0.0.1:9092   health and metrics
    TENANT_DATABASE_URL        sqlite:///data/tenant.db, or postgresql://…
    TENANT_BASE_DOMAIN         app.example.com  tenants are reached at https://{slug}.{this}
    INTERNAL_JWKS_URL          the sidecar's public keys; exactly one of this …
    INTERNAL_JWKS_FILE         … and this
    INTERNAL_ISSUER            auth_proxy
    FEATURE_FLAGS              none             the flags that operators can set for a tenant; comma list
    SMTP_URL                   how mail leaves; unset: it waits in the outbox, where operators see it
    MAIL_FROM                  the sender of every mail; required with SMTP_URL
    OUTBOX_KEY_FILE            beside the database; encrypts what waits in the outbox, made at first start
    AUDIT_SIGNING_KEY_FILE     beside the database; signs checkpoints of the audit log, made at first start
    AUDIT_PEER_URL             the admin service's operations listener, for its checkpoints; needs …
    AUDIT_PEER_KEYS_FILE       … its public audit keys, copied by hand
    GRANT_MAX                  1000000          replies that one grant may give
    GRANT_SUPPORT_MAX          10000            … when the support role gives it
    GRANT_DAILY_MAX            5000000          … that one operator may grant on a UTC day
    CREDITS_KEYS_FILE          none             the public keys of the product's runtime, which uses credit
    CREDITS_ISSUER             runtime          … and the issuer that it calls itself
    SUPPORT_QUERY_ROLES        all four         which roles may search the people of all tenants; comma list
    AUDIT_PREDICATE_KEY_FILE   beside the database; keys the digests of searches, made at first start
    SUPPORT_ACCESS_VISIBLE     true             whether tenants read in their own log that they were searched
    APP_ENV (NODE_ENV)         production

In development TENANT_BASE_DOMAIN may be `localhost` with a port (`localhost:8003`): then, and only
then, tenants' links begin with http.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, model_validator

from service_kit.audit.http_peer import peer_address
from service_kit.audit.keeping import AuditKeeping, default_key_file
from service_kit.db.engine import parse_database_url
from service_kit.db.key_files import data_folder
from service_kit.identity.model import Role
from service_kit.jobs.sealing import default_seal_file
from service_kit.mail.address import checked_sender, checked_smtp_url
from service_kit.settings import Listen, ListenAddress, ServiceSettings
from tenant_service.hosts import TenantHosts

DEVELOPMENT: Final = "development"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_FLAG: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LOCAL: Final = re.compile(r"localhost(?::\d{1,5})?")


def _base_domain(value: str) -> str:
    lowered = value.lower()
    if not _DOMAIN.fullmatch(lowered) and not _LOCAL.fullmatch(lowered):
        raise ValueError("must be a domain such as app.example.com")
    return lowered


def _roles(value: object) -> object:
    """A comma list as names; what is no role is refused by its type."""
    return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value


def _database_url(value: SecretStr) -> SecretStr:
    parse_database_url(value.get_secret_value())
    return value


def _jwks_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+/\S*", value):
        raise ValueError("must be an http or https address with a path")
    return value


def _networks(value: object) -> object:
    """A comma list of addresses or networks."""
    if not isinstance(value, str):
        return value
    names = tuple(name.strip() for name in value.split(","))
    try:
        return tuple(str(ipaddress.ip_network(name, strict=False)) for name in names)
    except ValueError:
        raise ValueError("must list addresses or networks") from None


def _flag_keys(value: object) -> object:
    """A comma list as distinct keys, in their order."""
    if not isinstance(value, str):
        return value
    keys = [key.strip() for key in value.split(",")]
    if not all(_FLAG.fullmatch(key) for key in keys) or len(set(keys)) < len(keys):
        raise ValueError("must be a comma list of distinct keys such as new_inbox,csv_export")
    return tuple(keys)


class TenantSettings(ServiceSettings):
    """What one tenant service process is told."""

    app_env: str = Field(
        default="production", validation_alias=AliasChoices("APP_ENV", "NODE_ENV"), max_length=32
    )
    listen: ListenAddress = Field(default=Listen("127.0.0.1", 8082), validation_alias="TENANT_SERVICE_LISTEN")
    public_listen: ListenAddress = Field(
        default=Listen("127.0.0.1", 8083), validation_alias="TENANT_PUBLIC_LISTEN"
    )
    public_trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(_networks)] = Field(
        default=(), validation_alias="TENANT_PUBLIC_TRUSTED_PROXIES"
    )
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

    support_query_roles: Annotated[tuple[Role, ...], BeforeValidator(_roles)] = Field(
        default=tuple(Role), validation_alias="SUPPORT_QUERY_ROLES"
    )
    predicate_key_file: Path | None = Field(default=None, validation_alias="AUDIT_PREDICATE_KEY_FILE")
    support_access_visible: bool = Field(default=True, validation_alias="SUPPORT_ACCESS_VISIBLE")

    audit_signing_key_file: Path | None = Field(default=None, validation_alias="AUDIT_SIGNING_KEY_FILE")
    audit_peer_url: Annotated[str, AfterValidator(peer_address)] | None = Field(
        default=None, validation_alias="AUDIT_PEER_URL"
    )
    audit_peer_keys_file: Path | None = Field(default=None, validation_alias="AUDIT_PEER_KEYS_FILE")

    feature_flags: Annotated[tuple[str, ...], BeforeValidator(_flag_keys)] = Field(
        default=(), validation_alias="FEATURE_FLAGS"
    )

    smtp_url: Annotated[SecretStr, AfterValidator(checked_smtp_url)] | None = Field(
        default=None, validation_alias="SMTP_URL"
    )
    mail_from: Annotated[str, AfterValidator(checked_sender)] | None = Field(
        default=None, validation_alias="MAIL_FROM"
    )
    outbox_key_file: Path | None = Field(default=None, validation_alias="OUTBOX_KEY_FILE")

    grant_max: int = Field(default=1_000_000, ge=1, le=1_000_000_000, validation_alias="GRANT_MAX")
    grant_support_max: int = Field(
        default=10_000, ge=0, le=1_000_000_000, validation_alias="GRANT_SUPPORT_MAX"
    )
    grant_daily_max: int = Field(default=5_000_000, ge=1, le=10**12, validation_alias="GRANT_DAILY_MAX")
    credits_keys_file: Path | None = Field(default=None, validation_alias="CREDITS_KEYS_FILE")
    credits_issuer: str = Field(
        default="runtime", validation_alias="CREDITS_ISSUER", min_length=1, max_length=200
    )

    @model_validator(mode="after")
    def _runtime_is_not_the_sidecar(self) -> Self:
        if self.credits_issuer == self.internal_issuer:
            raise ValueError("CREDITS_ISSUER and INTERNAL_ISSUER must name two issuers")
        return self

    @model_validator(mode="after")
    def _mail_has_a_sender(self) -> Self:
        if self.smtp_url is not None and self.mail_from is None:
            raise ValueError("set MAIL_FROM too when SMTP_URL is set")
        return self

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
    def predicate_key(self) -> Path:
        """Where the key of the digests of searches stands."""
        folder = data_folder(self.database_url.get_secret_value())
        return self.predicate_key_file or folder / "tenant_service-predicate.key"

    @property
    def outbox_key(self) -> Path:
        """Where the key of the outbox stands."""
        return self.outbox_key_file or default_seal_file(
            self.database_url.get_secret_value(), "tenant_service"
        )

    @property
    def hosts(self) -> TenantHosts:
        local = _LOCAL.fullmatch(self.base_domain) is not None
        return TenantHosts(self.base_domain, scheme="http" if local else "https")
