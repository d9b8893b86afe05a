"""What runs: the six processes of ours with their settings, HAProxy before them, and the edge's stand-in.

Every process gets exactly the environment that stands here; nothing is taken from the shell but PATH.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
HERE: Final = Path(__file__).resolve().parent
NUMBERS: Final = (1, 2)
LAME_DUCK_SECONDS: Final = 2
_REPLICA: Final = 10_000
"""Replica 1 of a process listens that much above its usual port, replica 2 twice that much."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process: what to start with which environment, and where it says that it is ready."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ports: tuple[int, ...]
    ready_url: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where this stack lives: its folder, its databases, and how far its ports are moved."""

    data: Path
    admin_database: str
    tenant_database: str
    audience: str
    offset: int = 0

    def port(self, usual: int, number: int = 0) -> int:
        return usual + number * _REPLICA + self.offset

    def url(self, usual: int, path: str = "", number: int = 0) -> str:
        return f"http://{HOST}:{self.port(usual, number)}{path}"

    def at(self, usual: int, number: int) -> str:
        return f"{HOST}:{self.port(usual, number)}"

    def secret(self, name: str) -> str:
        return str(self.data / "secrets" / name)

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port(8000)}"

    @property
    def shared(self) -> dict[str, str]:
        """What every process is told. The services are asked through the load balancer."""
        return {
            "APP_ENV": "development",
            "ADMIN_HOST": f"localhost:{self.port(8000)}",
            "ADMIN_ORIGIN": self.origin,
            "TENANT_BASE_DOMAIN": f"localhost:{self.port(8083)}",
            "INTERNAL_JWKS_URL": self.url(9090, "/.well-known/jwks.json"),
            "ADMIN_SERVICE_URL": self.url(8081),
            "TENANT_SERVICE_URL": self.url(8082),
        }


def programs(place: Place) -> tuple[Program, ...]:
    """Everything but the database, what is asked first standing first."""
    replicas = [make(place, number) for make in (_tenant, _admin, _sidecar) for number in NUMBERS]
    return (*replicas, _balancer(place), _edge(place))


def _python(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


def _sidecar(place: Place, number: int) -> Program:
    environment = {
        **place.shared,
        "CF_ACCESS_TEAM_DOMAIN": place.origin,
        "CF_ACCESS_AUD": place.audience,
        "AUTH_PROXY_LISTEN": place.at(8080, number),
        "AUTH_PROXY_OPS_LISTEN": place.at(9090, number),
        "AUTH_PROXY_LAME_DUCK_SECONDS": str(LAME_DUCK_SECONDS),
        "INTERNAL_SIGNING_KEY_FILE": place.secret("identity"),
    }
    ports = (place.port(8080, number), place.port(9090, number))
    ready = place.url(9090, "/readyz", number)
    return Program(f"sidecar-{number}", _python("auth_proxy", "run"), environment, ports, ready)


def _admin(place: Place, number: int) -> Program:
    environment = {
        **place.shared,
        "ADMIN_DATABASE_URL": place.admin_database,
        "ADMIN_SERVICE_LISTEN": place.at(8081, number),
        "ADMIN_SERVICE_OPS_LISTEN": place.at(9091, number),
        "AUDIT_SIGNING_KEY_FILE": place.secret("admin-audit.pem"),
    }
    ports = (place.port(8081, number), place.port(9091, number))
    ready = place.url(9091, "/readyz", number)
    return Program(f"admin-{number}", _python("admin_service", "run"), environment, ports, ready)


def _tenant(place: Place, number: int) -> Program:
    environment = {
        **place.shared,
        "TENANT_DATABASE_URL": place.tenant_database,
        "TENANT_SERVICE_LISTEN": place.at(8082, number),
        "TENANT_PUBLIC_LISTEN": place.at(8083, number),
        "TENANT_SERVICE_OPS_LISTEN": place.at(9092, number),
        "AUDIT_SIGNING_KEY_FILE": place.secret("tenant-audit.pem"),
        "AUDIT_PREDICATE_KEY_FILE": place.secret("tenant-predicate.key"),
        "OUTBOX_KEY_FILE": place.secret("tenant-outbox.key"),
        "SMTP_URL": (place.data / "mail").absolute().as_uri(),
        "MAIL_FROM": "Sallyport on one machine <mail@local.example>",
    }
    ports = tuple(place.port(usual, number) for usual in (8082, 8083, 9092))
    ready = place.url(9092, "/readyz", number)
    return Program(f"tenant-{number}", _python("tenant_service", "run"), environment, ports, ready)


def _balancer(place: Place) -> Program:
    config = place.data / "haproxy.cfg"
    ports = tuple(place.port(usual) for usual in (8080, 8081, 8082, 8083, 9090))
    return Program("haproxy", ("haproxy", "-db", "-f", str(config)), {}, ports, place.url(9090, "/livez"))


def _edge(place: Place) -> Program:
    words = (
        *("deploy.demo.edge", "--listen", f"{HOST}:{place.port(8000)}", "--upstream", place.url(8080)),
        *("--data", str(place.data / "edge"), "--aud", place.audience, "--team-domain", place.origin),
    )
    ready = f"{place.origin}/cdn-cgi/access/certs"  # it knows itself by this name alone
    return Program("edge", _python(*words), {"APP_ENV": "development"}, (place.port(8000),), ready)


def balancer_config(place: Place) -> str:
    """The shipped haproxy.cfg with its ports moved."""
    text = (HERE / "haproxy.cfg").read_text(encoding="utf-8")
    return re.sub(
        r"(127\.0\.0\.1:|check port )(\d+)", lambda found: f"{found[1]}{int(found[2]) + place.offset}", text
    )
