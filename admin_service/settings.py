"""The admin service's settings; every problem is reported by the name of its variable."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from admin_service.tenant_address import parse_address
from service_kit.audit.http_peer import peer_address
from service_kit.audit.keeping import AuditKeeping, default_key_file
from service_kit.db.engine import parse_database_url
from service_kit.settings import CommaList, Listen, ListenAddress, ServiceSettings

DEVELOPMENT: Final = "development"
_OUR_AUDIENCES: Final = frozenset({"admin_service", "tenant_service", "auth_proxy"})
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::\d{{1,5}})?")


def _database_url(value: SecretStr) -> SecretStr:
    parse_database_url(value.get_secret_value())
    return value


def _tenant_url(value: str) -> str:
    parse_address(value)
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("must be an http:// or https:// URL")
    return value


def _origin(value: str) -> str:
    """An origin as a browser writes it: scheme and host, without a path."""
    parts = urlsplit(_http_url(value))
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must be an origin such as https://admin.example.com, without a path")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_local(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")


def _domain(value: str) -> str:
    lowered = value.lower()
    if not _DOMAIN.fullmatch(lowered):
        raise ValueError("must be a domain such as app.example.com")
    return lowered


def _upstream_audiences(value: tuple[str, ...]) -> tuple[str, ...]:
    if ours := set(value) & _OUR_AUDIENCES:
        raise ValueError(f"{min(ours)} is a service of Sallyport's own, no upstream")
    return value


class DatabaseSettings(ServiceSettings):
    """What the commands need that only touch the database."""

    database_url: Annotated[SecretStr, AfterValidator(_database_url)] = Field(
        default=SecretStr("sqlite:///data/admin.db"),
        validation_alias="ADMIN_DATABASE_URL",
        description="`sqlite:///path` or `postgresql://…`; SQLite serves one process.",
    )
    audit_signing_key_file: Path | None = Field(
        default=None,
        validation_alias="AUDIT_SIGNING_KEY_FILE",
        description="The Ed25519 key, or a folder of keys, that signs checkpoints of the audit log; made at "
        "the first start. By default `admin_service-audit.pem` beside the SQLite file, or in `data`.",
    )
    audit_peer_url: Annotated[str, AfterValidator(peer_address)] | None = Field(
        default=None,
        validation_alias="AUDIT_PEER_URL",
        description="The tenant service's operations listener: its checkpoints are kept here as a witness, "
        "and the ones that it kept are held against this log. Nothing is fetched without it.",
    )
    audit_peer_keys_file: Path | None = Field(
        default=None,
        validate_default=True,
        validation_alias="AUDIT_PEER_KEYS_FILE",
        description="The JWK set of the tenant service's audit keys, copied by hand from its `/audit/keys`; "
        "needed with `AUDIT_PEER_URL`.",
    )

    @field_validator("audit_peer_keys_file", mode="after")
    @classmethod
    def _peer_and_its_keys(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        # A URL that was wrong in itself is reported already and is absent here.
        if "audit_peer_url" in info.data and (value is None) != (info.data["audit_peer_url"] is None):
            raise ValueError("set both AUDIT_PEER_URL and AUDIT_PEER_KEYS_FILE, or neither")
        return value

    @property
    def audit_keeping(self) -> AuditKeeping:
        """What keeps this service's audit log provable."""
        key_file = self.audit_signing_key_file or default_key_file(
            self.database_url.get_secret_value(), "admin_service"
        )
        return AuditKeeping(
            "admin_service", "tenant_service", key_file, self.audit_peer_url, self.audit_peer_keys_file
        )


class AdminSettings(DatabaseSettings):
    """Everything that `admin-service run` needs."""

    app_env: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = Field(
        default="production",
        validation_alias=AliasChoices("APP_ENV", "NODE_ENV"),
        description="Shown in the panel's header; `development` allows a plain HTTP origin on loopback.",
    )
    listen: ListenAddress = Field(
        default=Listen("127.0.0.1", 8081),
        validation_alias="ADMIN_SERVICE_LISTEN",
        description="Where the sidecar reaches this service.",
    )
    ops_listen: ListenAddress = Field(
        default=Listen("127.0.0.1", 9091),
        validation_alias="ADMIN_SERVICE_OPS_LISTEN",
        description="Health, readiness and metrics; never public.",
    )
    tenant_service_url: Annotated[str, AfterValidator(_tenant_url)] = Field(
        validation_alias="TENANT_SERVICE_URL",
        description="`http://host:port` or `http+unix:///path` of the tenant service.",
    )
    internal_jwks_url: Annotated[str, AfterValidator(_http_url)] | None = Field(
        default=None,
        validation_alias="INTERNAL_JWKS_URL",
        description="The sidecar's public keys, from its operations listener.",
    )
    internal_jwks_file: Path | None = Field(
        default=None,
        validate_default=True,
        validation_alias="INTERNAL_JWKS_FILE",
        description="The same keys from a file.",
    )
    internal_issuer: str = Field(
        default="auth_proxy",
        validation_alias="INTERNAL_ISSUER",
        description="The `iss` of the internal identity.",
    )
    admin_hosts: CommaList = Field(
        default=(),
        validation_alias="ADMIN_HOST",
        description="The hosts of the back office, as browsers name them.",
    )
    admin_origin: Annotated[str, AfterValidator(_origin)] | None = Field(
        default=None,
        validate_default=True,
        validation_alias="ADMIN_ORIGIN",
        description="What forms must carry as `Origin`; by default `https://<ADMIN_HOST>`.",
    )
    ax_token_cookie: Literal["ax_token", "__Host-ax_token"] = Field(
        default="ax_token",
        validation_alias="AX_TOKEN_COOKIE",
        description="The name of the session cookie that `POST /api/access-sso` sets: `ax_token` or "
        "`__Host-ax_token`. With `__Host-` browsers take it from this host alone.",
    )
    session_check_audiences: Annotated[CommaList, AfterValidator(_upstream_audiences)] = Field(
        default=(),
        validation_alias="SESSION_CHECK_AUDIENCES",
        description="Upstreams whose own API may ask `GET /api/access-sso/session` whether an `ax_token` is "
        "a session, by the `audience` of their route; nobody by default. See any-frontend.md.",
    )
    tenant_base_domain: Annotated[str, AfterValidator(_domain)] = Field(
        default="app.example.com",
        validation_alias="TENANT_BASE_DOMAIN",
        description="Tenants live at `<slug>.<this>`; the panel shows it beside a new slug.",
    )

    @field_validator("internal_jwks_file", mode="after")
    @classmethod
    def _one_key_source(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        # A URL that was wrong in itself is reported already and is absent here.
        if "internal_jwks_url" in info.data and (value is None) == (info.data["internal_jwks_url"] is None):
            raise ValueError("set exactly one of INTERNAL_JWKS_URL and INTERNAL_JWKS_FILE")
        return value

    @field_validator("admin_origin", mode="after")
    @classmethod
    def _some_origin(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and not info.data.get("admin_hosts"):
            raise ValueError("set ADMIN_HOST or ADMIN_ORIGIN")
        if value is not None and value.startswith("http://"):
            local = _is_local(urlsplit(value).hostname or "") and info.data.get("app_env") == DEVELOPMENT
            if not local:
                raise ValueError("plain http is for APP_ENV=development on this machine only; use https")
        return value

    @property
    def origins(self) -> tuple[str, ...]:
        """What the panel's forms may come from; the first one is where its links lead."""
        if self.admin_origin is not None:
            return (self.admin_origin,)
        return tuple(f"https://{host.lower()}" for host in self.admin_hosts)
