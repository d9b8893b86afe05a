"""`make run`: the whole stack on this machine behind a stand-in for Cloudflare Access.

It starts four processes on loopback, makes keys and sample data on the first start, finds them again
on the next, and ends everything on Ctrl-C. It is for trying and developing, never for the world.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from deploy.demo.key_store import KeyStore
from deploy.demo.people import CAST
from deploy.demo.processes import DemoError, Processes, Program, refuse_taken_ports
from deploy.demo.sample_data import TENANTS, make_sample_data, seed_first_operator
from service_kit.audit.keeping import AuditKeeping
from service_kit.identity.keys import new_signing_key, public_jwks

HOST: Final = "127.0.0.1"
_MOST_OFFSET: Final = 56_000
_SERVICES: Final = ("admin_service", "tenant_service")
_COMPLETE: Final = "sample-data-complete"
_BOLD, _DIM, _PLAIN = "\033[1m", "\033[2m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens; `DEMO_PORT_OFFSET` moves them all."""

    offset: int = 0

    @classmethod
    def offset_by(cls, text: str) -> Self:
        """Raises DemoError for an offset that leaves the range of ports."""
        if not text.isascii() or not text.isdecimal() or int(text) > _MOST_OFFSET:
            raise DemoError(f"DEMO_PORT_OFFSET must be a number from 0 to {_MOST_OFFSET}")
        return cls(int(text))

    def at(self, port: int) -> int:
        return port + self.offset

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.at(8000)}"


def main() -> int:
    """Run until Ctrl-C. The exit status is 0 then, and 1 when the demo could not go on."""
    data = Path(os.environ.get("DEMO_DATA", "data/demo"))
    os.umask(0o077)  # logs and sample data are the developer's own
    try:
        ports = Ports.offset_by(os.environ.get("DEMO_PORT_OFFSET", "0"))
        with only_demo_of(data):
            asyncio.run(_run(ports, data))
    except DemoError as error:
        print(f"\nmake run: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"make run: {error.filename or data}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmake run: interrupted before anything was started", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def only_demo_of(data: Path) -> Iterator[None]:
    """Hold the demo's folder, so that a second demo does not write into the files of the first."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(
                f"another demo runs on {data}: end it, or set DEMO_DATA and DEMO_PORT_OFFSET"
            ) from error
        yield


async def _run(ports: Ports, data: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    programs = programs_of(ports, data)
    refuse_taken_ports(programs)
    make_keys(data)
    first_token = await seed_first_operator({**os.environ, **programs[1].environment})
    refuse_half_made_data(data, first_token)
    processes = Processes(data / "logs")
    try:
        for program in programs:
            await processes.start(program)
        _say("Starting …")
        await _unless(stop, processes.until_ready())
        if first_token is not None:
            _say("Making sample data through the front door …")
            await _unless(stop, make_sample_data(ports.origin, first_token))
            if not stop.is_set():
                (data / _COMPLETE).touch()
        if not stop.is_set():
            _welcome(programs, ports, data)
        await _unless(stop, processes.until_one_ends())
    finally:
        _say("\nStopping …")
        for name in await processes.stop():
            _say(f"{name} did not end in time and was killed; its log: {processes.log_of(name)}")
    _say("All processes have ended.")


def refuse_half_made_data(data: Path, first_token: str | None) -> None:
    """Raises DemoError when an earlier first start was cut off: its one-time token is gone for good."""
    if first_token is None and not (data / _COMPLETE).exists():
        raise DemoError(
            f"the first start was interrupted, so nobody can enroll: remove {data} and start again"
        )


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but leave it when the person presses Ctrl-C."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
        return
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


def make_keys(data: Path) -> None:
    """The sidecar's signing key, on the first start only, and what lets the services watch each other."""
    with contextlib.suppress(FileExistsError):
        new_signing_key(data / "identity" / "first.pem")
    for service, other in (_SERVICES, _SERVICES[::-1]):
        keeping = AuditKeeping(service, other, _audit_key(data, service))
        public = json.dumps(public_jwks(keeping.signing_keys()))
        _audit_keys(data, service).write_text(public, encoding="utf-8")


def _audit_key(data: Path, service: str) -> Path:
    return data / f"{service}-audit.pem"


def _audit_keys(data: Path, service: str) -> Path:
    """Its public half, pinned by the other service: what an administrator would copy by hand."""
    return data / f"{service}-audit.jwks.json"


def _witness(ports: Ports, data: Path, service: str, other: str, ops: int) -> Mapping[str, str]:
    """Each service keeps the other's signed checkpoints."""
    return {
        "AUDIT_SIGNING_KEY_FILE": str(_audit_key(data, service)),
        "AUDIT_PEER_URL": _url(ports, ops),
        "AUDIT_PEER_KEYS_FILE": str(_audit_keys(data, other)),
    }


def programs_of(ports: Ports, data: Path) -> tuple[Program, ...]:
    """The four processes: sidecar, admin service, tenant service, edge."""
    audience = KeyStore(data / "edge").load_or_create_audience()
    return (
        _sidecar(ports, data, audience),
        _admin(ports, data),
        _tenant(ports, data),
        _edge(ports, data, audience),
    )


def _url(ports: Ports, port: int, path: str = "") -> str:
    return f"http://{HOST}:{ports.at(port)}{path}"


def _shared(ports: Ports) -> Mapping[str, str]:
    return {
        "APP_ENV": "development",
        "ADMIN_HOST": f"localhost:{ports.at(8000)}",
        "ADMIN_ORIGIN": ports.origin,
        "TENANT_BASE_DOMAIN": f"localhost:{ports.at(8003)}",
        "INTERNAL_JWKS_URL": _url(ports, 9090, "/.well-known/jwks.json"),
        "ADMIN_SERVICE_URL": _url(ports, 8081),
        "TENANT_SERVICE_URL": _url(ports, 8082),
    }


def _sidecar(ports: Ports, data: Path, audience: str) -> Program:
    environment = {
        **_shared(ports),
        "CF_ACCESS_TEAM_DOMAIN": ports.origin,
        "CF_ACCESS_AUD": audience,
        "AUTH_PROXY_LISTEN": f"{HOST}:{ports.at(8080)}",
        "AUTH_PROXY_OPS_LISTEN": f"{HOST}:{ports.at(9090)}",
        # The edge is the one peer whose word about the client's address counts.
        "AUTH_PROXY_TRUSTED_PROXIES": HOST,
        "INTERNAL_SIGNING_KEY_FILE": str(data / "identity"),
    }
    listens = (ports.at(8080), ports.at(9090))
    ready = _url(ports, 9090, "/readyz")
    return Program("auth_proxy", ("auth_proxy", "run"), environment, listens, ready, "the sidecar")


def _admin(ports: Ports, data: Path) -> Program:
    environment = {
        **_shared(ports),
        "ADMIN_DATABASE_URL": f"sqlite:///{data / 'admin.db'}",
        "ADMIN_SERVICE_LISTEN": f"{HOST}:{ports.at(8081)}",
        "ADMIN_SERVICE_OPS_LISTEN": f"{HOST}:{ports.at(9091)}",
        **_witness(ports, data, "admin_service", "tenant_service", 9092),
    }
    listens = (ports.at(8081), ports.at(9091))
    ready = _url(ports, 9091, "/readyz")
    purpose = "operators, the panel, their audit log"
    return Program("admin_service", ("admin_service", "run"), environment, listens, ready, purpose)


def _tenant(ports: Ports, data: Path) -> Program:
    environment = {
        **_shared(ports),
        "TENANT_DATABASE_URL": f"sqlite:///{data / 'tenant.db'}",
        "TENANT_SERVICE_LISTEN": f"{HOST}:{ports.at(8082)}",
        "TENANT_PUBLIC_LISTEN": f"{HOST}:{ports.at(8003)}",
        "TENANT_SERVICE_OPS_LISTEN": f"{HOST}:{ports.at(9092)}",
        **_witness(ports, data, "tenant_service", "admin_service", 9091),
        "SMTP_URL": (data / "mail").absolute().as_uri(),
        "MAIL_FROM": "Sallyport demo <mail@demo.example>",
    }
    listens = (ports.at(8082), ports.at(8003), ports.at(9092))
    ready = _url(ports, 9092, "/readyz")
    purpose = "tenants and their audit log"
    return Program("tenant_service", ("tenant_service", "run"), environment, listens, ready, purpose)


def _edge(ports: Ports, data: Path, audience: str) -> Program:
    arguments = (
        *("deploy.demo.edge", "--listen", f"{HOST}:{ports.at(8000)}", "--upstream", _url(ports, 8080)),
        *("--data", str(data / "edge"), "--aud", audience, "--team-domain", ports.origin),
    )
    ready = _url(ports, 8000, "/cdn-cgi/access/certs")
    purpose = "stands in for Cloudflare Access"
    return Program("edge", arguments, {"APP_ENV": "development"}, (ports.at(8000),), ready, purpose)


def _welcome(programs: tuple[Program, ...], ports: Ports, data: Path) -> None:
    rows = [(f"{HOST}:{program.ports[0]}", program.name, program.purpose) for program in reversed(programs)]
    _say("")
    for address, name, purpose in rows:
        _say(f"  {address:<16} {name:<16} {_dim(purpose)}")
    _say(f"  {'metrics':<16} {', '.join(_url(ports, port, '/metrics') for port in (9090, 9091, 9092))}")
    _say(f"  {'data, logs':<16} {data}/")
    _say(f"  {'mail':<16} {data / 'mail'}/")
    _say("")
    _say(f"  Open {_bold(ports.origin)} and choose who you are: {CAST[0].name} may do everything.")
    _say(f"  Tenants are at home at http://<slug>.localhost:{ports.at(8003)}, by invitation.")
    _say(f"  {len(TENANTS)} sample tenants are there. Ctrl-C ends it all; the data stays.")
    _say("")


def _say(text: str) -> None:
    print(text, flush=True)


def _bold(text: str) -> str:
    return f"{_BOLD}{text}{_PLAIN}" if sys.stdout.isatty() else text


def _dim(text: str) -> str:
    return f"{_DIM}{text}{_PLAIN}" if sys.stdout.isatty() else text


if __name__ == "__main__":
    sys.exit(main())
