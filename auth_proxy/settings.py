"""The sidecar's settings: the contract of architecture.md section 8.

A configuration that could let somebody in by mistake is refused here, before anything listens.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from auth_proxy.destinations import UpstreamSetting
from auth_proxy.route_file import RouteFile, RouteFileSetting, panel_clashes
from service_kit.email_address import normalise_email
from service_kit.identity.model import Role
from service_kit.settings import (
    CommaList,
    Listen,
    ListenAddress,
    ServiceSettings,
    SettingProblem,
    SettingsError,
    load_settings,
    renewed,
)
from service_kit.web.service_url import ServiceUrlSetting

MOST_LEEWAY_SECONDS: Final = 120
MOST_WORKERS: Final = 64
_ACCESS_DOMAIN: Final = "cloudflareaccess.com"
FORWARD_AUTH_PROXIES: Final = frozenset({"nginx", "traefik", "caddy", "envoy"})
_HTTPS_PORT: Final = 443
_STAND_INS: Final = {"ADMIN_HOST": "stand-in.invalid", "CF_ACCESS_AUD": "-", "INTERNAL_SIGNING_KEY_FILE": "-"}


def _netloc(origin: str) -> str:
    parts = _split(origin)
    return parts.netloc if parts is not None else ""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


LowerCommaList = Annotated[CommaList, BeforeValidator(_lower)]


class ProxySettings(ServiceSettings):
    """Read once at start; every field names its variable."""

    app_env: Literal["production", "staging", "test", "development"] = Field(
        default="production", validation_alias=AliasChoices("APP_ENV", "NODE_ENV")
    )
    admin_hosts: LowerCommaList = Field(validation_alias="ADMIN_HOST", min_length=1)
    admin_origins: LowerCommaList = Field(default=(), validation_alias="ADMIN_ORIGIN")
    team_domain: str = Field(default="", validation_alias="CF_ACCESS_TEAM_DOMAIN")
    team: str = Field(default="", validation_alias="CF_ACCESS_TEAM", pattern=r"^[a-z0-9-]*$")
    audiences: CommaList = Field(
        validation_alias=AliasChoices("CF_ACCESS_AUD", "CLOUDFLARE_ACCESS_AUD"), min_length=1
    )
    token_types: CommaList = Field(
        default=("app", "org"), validation_alias="CF_ACCESS_TOKEN_TYPES", min_length=1
    )
    allow_cookie: bool = Field(default=False, validation_alias="CF_ACCESS_ALLOW_COOKIE")
    leeway_seconds: int = Field(
        default=60, ge=0, le=MOST_LEEWAY_SECONDS, validation_alias="CF_ACCESS_LEEWAY_SECONDS"
    )
    allow_dev_auth: str = Field(default="", validation_alias="ALLOW_DEV_ADMIN_AUTH")
    dev_email: str = Field(default="", validation_alias="LOCAL_DEV_ADMIN_EMAIL")
    listen: ListenAddress = Field(default=Listen("127.0.0.1", 8080), validation_alias="AUTH_PROXY_LISTEN")
    ops_listen: ListenAddress = Field(
        default=Listen("127.0.0.1", 9090), validation_alias="AUTH_PROXY_OPS_LISTEN"
    )
    workers: int = Field(default=1, ge=1, le=MOST_WORKERS, validation_alias="AUTH_PROXY_WORKERS")
    trusted_proxies: CommaList = Field(default=(), validation_alias="AUTH_PROXY_TRUSTED_PROXIES")
    forward_auth: LowerCommaList = Field(default=(), validation_alias="AUTH_PROXY_FORWARD_AUTH")
    max_body_bytes: int = Field(default=100 * 1024 * 1024, gt=0, validation_alias="AUTH_PROXY_MAX_BODY")
    body_idle_seconds: float = Field(
        default=30, gt=0, le=600, validation_alias="AUTH_PROXY_BODY_IDLE_SECONDS"
    )
    header_seconds: float = Field(default=10, gt=0, le=120, validation_alias="AUTH_PROXY_HEADER_SECONDS")
    write_seconds: float = Field(default=60, gt=0, le=3600, validation_alias="AUTH_PROXY_WRITE_SECONDS")
    max_connections: int = Field(default=10_000, gt=0, validation_alias="AUTH_PROXY_MAX_CONNECTIONS")
    max_connections_per_peer: int = Field(
        default=0, ge=0, validation_alias="AUTH_PROXY_MAX_CONNECTIONS_PER_PEER"
    )
    websocket_max_message: int = Field(
        default=1024 * 1024, gt=0, validation_alias="AUTH_PROXY_WEBSOCKET_MAX_MESSAGE"
    )
    websockets_per_person: int = Field(default=100, gt=0, validation_alias="AUTH_PROXY_WEBSOCKETS_PER_PERSON")
    route_file: RouteFileSetting | None = Field(default=None, validation_alias="AUTH_PROXY_CONFIG")
    upstream: UpstreamSetting | None = Field(default=None, validation_alias="AUTH_PROXY_UPSTREAM")
    roster: str = Field(default="", validation_alias="AUTH_PROXY_ROSTER")
    roster_max_staleness: float = Field(default=3.0, gt=0, le=60, validation_alias="ROSTER_MAX_STALENESS")
    admin_service: ServiceUrlSetting | None = Field(default=None, validation_alias="ADMIN_SERVICE_URL")
    tenant_service: ServiceUrlSetting | None = Field(default=None, validation_alias="TENANT_SERVICE_URL")
    signing_key_file: Path = Field(validation_alias="INTERNAL_SIGNING_KEY_FILE")
    signing_lead_seconds: float = Field(
        default=60, ge=1, le=3600, validation_alias="INTERNAL_SIGNING_LEAD_SECONDS"
    )
    issuer: str = Field(default="auth_proxy", validation_alias="INTERNAL_ISSUER")
    identity_binding: Literal["unsafe", "all"] = Field(
        default="unsafe", validation_alias="INTERNAL_IDENTITY_BINDING"
    )
    drain_seconds: float = Field(default=30, ge=0, validation_alias="AUTH_PROXY_DRAIN_SECONDS")
    lame_duck_seconds: float = Field(default=0, ge=0, le=600, validation_alias="AUTH_PROXY_LAME_DUCK_SECONDS")

    @property
    def is_development(self) -> bool:
        return self.app_env == "development"

    @property
    def has_dev_settings(self) -> bool:
        """Either variable of the development gate, whatever its value (C-08)."""
        return bool(self.allow_dev_auth or self.dev_email)

    @property
    def is_misconfigured(self) -> bool:
        """R-050: the development gate's settings outside development."""
        return self.has_dev_settings and not self.is_development

    @property
    def dev_gate_is_open(self) -> bool:
        """R-049: all three, or the gate stays shut."""
        return self.is_development and self.allow_dev_auth == "true" and bool(self.dev_email)

    @property
    def issuer_url(self) -> str:
        """The team domain as Access writes it into `iss`: no trailing slash (R-043)."""
        return self.team_domain or f"https://{self.team}.{_ACCESS_DOMAIN}"

    @property
    def certs_url(self) -> str:
        return f"{self.issuer_url}/cdn-cgi/access/certs"

    @property
    def origins_by_host(self) -> Mapping[str, frozenset[str]]:
        """For each host the origins that its changing requests may carry (R-097)."""
        if not self.admin_origins:
            return {host: frozenset({f"https://{host}"}) for host in self.admin_hosts}
        return {
            host: frozenset(origin for origin in self.admin_origins if _netloc(origin) == host)
            for host in self.admin_hosts
        }

    @property
    def roster_source(self) -> str:
        """`feed`, `file:/path` or `open:<role>`; empty when nothing says who is an operator."""
        return self.roster or ("feed" if self.admin_service else "")

    @property
    def config(self) -> RouteFile:
        """What AUTH_PROXY_CONFIG says; nothing, when it is not set."""
        return self.route_file or RouteFile()

    @property
    def audiences_by_host(self) -> Mapping[str, frozenset[str]]:
        """For each host the applications whose tokens it takes: its own from the file, or the common ones."""
        common = frozenset(self.audiences)
        return {host: self.config.audiences.get(host, common) for host in self.admin_hosts}

    @model_validator(mode="before")
    @classmethod
    def _normalise_team(cls, values: dict[str, str]) -> dict[str, str]:
        domain = values.get("CF_ACCESS_TEAM_DOMAIN")
        if isinstance(domain, str):
            values = {**values, "CF_ACCESS_TEAM_DOMAIN": _team_url(domain.rstrip("/")).lower()}
        return values

    @model_validator(mode="after")
    def _reject_malformed_networks(self) -> Self:
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                raise ValueError("AUTH_PROXY_TRUSTED_PROXIES must list addresses or networks") from error
        return self


def load_proxy_settings(environ: Mapping[str, str]) -> ProxySettings:
    """The settings, or SettingsError with every problem that would make this sidecar unsafe."""
    try:
        settings = load_settings(ProxySettings, environ)
    except SettingsError as error:
        raise SettingsError([*error.problems, *_further_problems(environ, error)]) from None
    problems = _rule_problems(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def with_routes_reread(settings: ProxySettings, path: Path) -> ProxySettings:
    """The same settings with the route file as it is now; the environment is not asked again.

    Raises SettingsError with every problem for which a start with this file would be refused.
    """
    found = renewed(settings, {"AUTH_PROXY_CONFIG": str(path)})
    if problems := _rule_problems(found):
        raise SettingsError(problems)
    return found


def _rule_problems(settings: ProxySettings) -> list[SettingProblem]:
    return [
        *_access_problems(settings),
        *_dev_problems(settings),
        *_target_problems(settings),
        *_forward_auth_problems(settings),
    ]


def _further_problems(environ: Mapping[str, str], error: SettingsError) -> list[SettingProblem]:
    """What the rules between settings find in the readable rest, so that one start tells everything.

    Unreadable variables are left out and required ones filled in; what the rules say because of that
    does not count.
    """
    wrong = {name for problem in error.problems for name in problem.variable.split(" / ")}
    readable = {name: value for name, value in environ.items() if name not in wrong}
    try:
        settings = load_settings(ProxySettings, {**_STAND_INS, **readable})
    except SettingsError:
        return []
    invented = wrong | {name for name in _STAND_INS if name not in readable}
    problems = _rule_problems(settings)
    return [problem for problem in problems if not any(name in str(problem) for name in invented)]


def _access_problems(settings: ProxySettings) -> list[SettingProblem]:
    problems = []
    if not settings.team_domain and not settings.team:
        problems.append(SettingProblem("CF_ACCESS_TEAM_DOMAIN", "is required (or CF_ACCESS_TEAM)"))
    named_twice = settings.team_domain and settings.team
    if named_twice and settings.team_domain != f"https://{settings.team}.{_ACCESS_DOMAIN}":
        problems.append(
            SettingProblem("CF_ACCESS_TEAM_DOMAIN / CF_ACCESS_TEAM", "name different teams; set one of them")
        )
    if settings.team_domain and not _is_safe_origin(settings.team_domain, settings):
        problems.append(SettingProblem("CF_ACCESS_TEAM_DOMAIN", f"must be https://<team>.{_ACCESS_DOMAIN}"))
    for host in settings.admin_hosts:
        if not _is_host(host):
            problems.append(SettingProblem("ADMIN_HOST", "must list host names, with a port if not 443"))
        elif not settings.origins_by_host[host]:
            problems.append(SettingProblem("ADMIN_ORIGIN", f"names no origin for the host {host}"))
    if not all(_is_safe_origin(origin, settings) for origin in settings.admin_origins):
        problems.append(
            SettingProblem("ADMIN_ORIGIN", "must be https://host; http only for loopback in development")
        )
    if not set(settings.token_types) <= {"app", "org"}:
        problems.append(SettingProblem("CF_ACCESS_TOKEN_TYPES", "knows only app and org"))
    return problems


def _is_safe_origin(value: str, settings: ProxySettings) -> bool:
    """Https anywhere; plain http only to this machine and only in development."""
    parts = _split(value)
    if parts is None or "@" in parts.netloc or value != f"{parts.scheme}://{parts.netloc}":
        return False
    if parts.scheme == "https":
        return True
    is_local = Listen(str(parts.hostname), parts.port or 80).is_loopback
    return parts.scheme == "http" and settings.is_development and is_local


def _team_url(text: str) -> str:
    """The team domain as a URL; what is none stays as it is, and is refused by name further down."""
    if "://" not in text:
        # A bare team name is accepted (C-04); a host that is not Access's own has to be spelled out.
        if "." not in text:
            text = f"{text}.{_ACCESS_DOMAIN}"
        return f"https://{text}" if text.lower().endswith(f".{_ACCESS_DOMAIN}") else text
    scheme, _, rest = text.partition("://")
    # Access never writes the default port into `iss`.
    return f"{scheme}://{rest.removesuffix(':443')}" if scheme.lower() == "https" else text


def _split(value: str) -> SplitResult | None:
    """The parts of a URL with a host and, if any, a possible port; None for every other text."""
    try:
        parts = urlsplit(value)
        fits = bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text repeats the value
        return None
    return parts if fits else None


def _is_host(value: str) -> bool:
    parts = _split(f"//{value}")
    if parts is None or not value.isascii() or "@" in value:
        return False
    return parts.netloc == value and parts.port != _HTTPS_PORT


def _dev_problems(settings: ProxySettings) -> list[SettingProblem]:
    if settings.is_misconfigured:
        message = "Misconfigured: set outside APP_ENV=development"
        return [SettingProblem("LOCAL_DEV_ADMIN_EMAIL / ALLOW_DEV_ADMIN_AUTH", message)]
    if not settings.dev_gate_is_open:
        return []
    problems = []
    if not settings.listen.is_loopback:
        problems.append(
            SettingProblem("AUTH_PROXY_LISTEN", "must be loopback while the development gate is open")
        )
    try:
        normalise_email(settings.dev_email)
    except ValueError as error:
        problems.append(SettingProblem("LOCAL_DEV_ADMIN_EMAIL", str(error)))
    return problems


def _target_problems(settings: ProxySettings) -> list[SettingProblem]:
    problems = []
    if settings.admin_service is None and settings.upstream is None and not settings.config.routes:
        names = "ADMIN_SERVICE_URL / AUTH_PROXY_UPSTREAM / AUTH_PROXY_CONFIG"
        problems.append(SettingProblem(names, "set at least one of them"))
    if settings.admin_service is not None and settings.tenant_service is None:
        problems.append(SettingProblem("TENANT_SERVICE_URL", "is required with ADMIN_SERVICE_URL"))
    return [*problems, *_config_problems(settings), *_roster_problems(settings)]


def _config_problems(settings: ProxySettings) -> Iterator[SettingProblem]:
    config = settings.config
    for host in sorted(config.hosts - set(settings.admin_hosts)):
        yield SettingProblem("AUTH_PROXY_CONFIG", f"names the host {host}, which is not in ADMIN_HOST")
    if settings.upstream is not None and any(r.pattern == "/" and r.host is None for r in config.routes):
        yield SettingProblem("AUTH_PROXY_UPSTREAM / AUTH_PROXY_CONFIG", "both say what stands at /")
    if settings.admin_service is not None:
        for clash in panel_clashes(config):
            yield SettingProblem("AUTH_PROXY_CONFIG", clash)


def _forward_auth_problems(settings: ProxySettings) -> Iterator[SettingProblem]:
    if not settings.forward_auth:
        return
    if not set(settings.forward_auth) <= FORWARD_AUTH_PROXIES:
        known = ", ".join(sorted(FORWARD_AUTH_PROXIES))
        yield SettingProblem("AUTH_PROXY_FORWARD_AUTH", f"knows only {known}")
    if not settings.trusted_proxies:
        message = "needs the addresses of the proxies that may ask"
        yield SettingProblem("AUTH_PROXY_FORWARD_AUTH / AUTH_PROXY_TRUSTED_PROXIES", message)
    if settings.ops_listen.path:
        message = "forward-auth needs a port: a socket file does not tell who asks"
        yield SettingProblem("AUTH_PROXY_OPS_LISTEN", message)
    if settings.dev_gate_is_open:
        # The proxy may listen for everybody, and the development gate lets everybody in.
        message = "must be unset while the development gate is open"
        yield SettingProblem("AUTH_PROXY_FORWARD_AUTH", message)


def _roster_problems(settings: ProxySettings) -> Iterator[SettingProblem]:
    source = settings.roster_source
    kind, _, detail = source.partition(":")
    if not source:
        yield SettingProblem("ADMIN_SERVICE_URL / AUTH_PROXY_ROSTER", "set at least one of them")
    elif source == "feed":
        if settings.admin_service is None:
            yield SettingProblem("AUTH_PROXY_ROSTER", "feed needs ADMIN_SERVICE_URL")
    elif not _is_other_roster(kind, detail):
        yield SettingProblem("AUTH_PROXY_ROSTER", "must be feed, file:/path or open:<role>")
    elif settings.admin_service is not None:
        # The tenant service trusts the signed role: another roster would make operators of its own.
        message = "file and open are for other frontends; the panel needs feed"
        yield SettingProblem("AUTH_PROXY_ROSTER", message)


def _is_other_roster(kind: str, detail: str) -> bool:
    return (kind == "open" and detail in list(Role)) or (kind == "file" and detail.startswith("/"))
