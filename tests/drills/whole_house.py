"""Two sidecars, two replicas of each service, PostgreSQL behind them, a balancer between; and clients.

The balancer knows bytes only: it tries the next replica when a connect is refused, and repeats nothing
else. So do the clients with the two sidecars; one that refused is out until its readiness says otherwise.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from deploy.demo.issuer import AccessIssuer
from deploy.demo.issuer import SigningKey as AccessKey
from deploy.demo.people import ADA
from deploy.demo.run import make_keys
from deploy.demo.sample_data import seed_first_operator
from service_kit.identity.keys import load_signing_keys, public_jwks
from tests.fixtures.ports import free_port
from tests.fixtures.standalone import LOCAL, ROOT, access_team

HOST, AUD = "admin.example.com", "d" * 64
TENANTS = "/api/admin/tenants"


@dataclass
class Member:
    """One process of the house; it keeps its addresses when it is started again."""

    module: str
    environment: Mapping[str, str]
    log: Path
    port: int
    ops_port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self, *, ready: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.module, "run"),
                cwd=ROOT,
                env={**self.environment},
                stdout=log,
                stderr=log,
            )
        if ready:
            await self.until_ready()

    async def until_ready(self, *, within: float = 150) -> None:
        async with asyncio.timeout(within):
            while (await self.readiness())[0] != 200:
                assert self.process is not None
                assert self.process.returncode is None, self.log.read_text()[-3000:]
                await asyncio.sleep(0.05)

    async def readiness(self) -> tuple[int, Mapping[str, str]]:
        """The status of `/readyz`, 0 where nobody answers, and the checks that fail."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://{LOCAL}:{self.ops_port}/readyz") as answer,
            ):
                checks = (await answer.json())["checks"]
                return answer.status, {one["name"]: one["detail"] for one in checks if not one["ready"]}
        return 0, {}

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await self.process.wait()


@dataclass
class Balancer:
    """A port in front of replicas: each connection goes to the next one that can be connected to.

    One that could not comes last until it is ready again, as a balancer that asks for readiness does.
    """

    port: int
    targets: Sequence[int]
    out: set[int] = field(default_factory=set)
    _turn: int = 0
    _pipes: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, LOCAL, self.port)
        try:
            yield
        finally:
            server.close()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)
            for writer in self._writers:  # also of pipes that had not begun
                writer.transport.abort()
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(writer)
        self._turn += 1
        turn = self._turn % len(self.targets)
        for port in sorted([*self.targets[turn:], *self.targets[:turn]], key=self.out.__contains__):
            try:
                theirs, ours = await asyncio.open_connection(LOCAL, port)
            except OSError:
                self.out.add(port)
                continue
            self._keep(ours)
            for source, sink in ((reader, ours), (theirs, writer)):
                pipe = asyncio.create_task(_pump(source, sink))
                self._pipes.add(pipe)
                pipe.add_done_callback(self._pipes.discard)
            return
        writer.transport.abort()

    def _keep(self, writer: asyncio.StreamWriter) -> None:
        self._writers = [each for each in self._writers if not each.is_closing()]
        self._writers.append(writer)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Whole connections: the end of one side is the end of the other."""
    try:
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    except OSError:
        sink.transport.abort()
    finally:
        sink.close()


@dataclass
class Load:
    """Operators at work. Each request has a connection of its own, and goes to the next sidecar in turn."""

    ports: Sequence[int]
    token: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    slowest: float = 0.0
    out: set[int] = field(default_factory=set)
    """Sidecars that refused a connect: nobody asks them until they are ready again."""
    granted: list[str] = field(default_factory=list)
    """The grants that were acknowledged."""
    tenant: str = ""
    _numbers: Any = field(default_factory=itertools.count)

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """The answer of the first sidecar that can be connected to. Raises what broke it off."""
        sent = {
            "Host": HOST,
            "Origin": f"https://{HOST}",
            "Accept": "text/html" if path.startswith("/manage") else "application/json",
            "Cf-Access-Jwt-Assertion": self.token,
            **headers,
        }
        turn = next(self._numbers)
        taking = [port for port in self.ports if port not in self.out]
        for number in range(len(taking)):
            port = taking[(turn + number) % len(taking)]
            url = f"http://{LOCAL}:{port}{path}"
            try:
                async with (
                    aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
                    session.request(method, url, json=body, headers=sent, allow_redirects=False) as given,
                ):
                    is_json = "json" in given.content_type
                    return given.status, (await given.json() if is_json else {"text": await given.text()})
            except aiohttp.ClientConnectorError:
                self.refused += 1
                self.out.add(port)
        raise ConnectionRefusedError("every sidecar refused the connection")

    async def _once(self, method: str, path: str) -> None:
        body, headers = None, {}
        if method == "POST":
            number = next(self._numbers)
            body = {"replies": 5, "reason": "bought by bank transfer"}
            headers = {"Idempotency-Key": f"drill-{number}"}
        began = time.perf_counter()
        try:
            status, answer = await self.ask(method, path, body, **headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.lost.append(f"{method} {path}: {error!r}")
            return
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - began)
        self.answers[method, status] += 1
        if status not in (200, 201):
            title = re.search(r"<title>(.*?)</title>", str(answer))
            self.lost.append(f"{method} {path}: {status} {title[1] if title else answer}")
        elif method == "POST":
            self.granted.append(answer["grant"]["id"])

    async def _client(self, method: str, path: str, pause: float) -> None:
        while True:
            await self._once(method, path)
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def running(self, *, pause: float = 0.03) -> AsyncIterator[None]:
        """Clients of the API, the panel and the ledger; at the end everybody has got their last answer."""
        work = [
            ("GET", "/api/admin/me"),
            ("GET", f"{TENANTS}?limit=5"),
            ("GET", "/manage/tenants"),
            ("POST", f"{TENANTS}/{self.tenant}/credits/grants"),
            ("POST", f"{TENANTS}/{self.tenant}/credits/grants"),
        ]
        clients = [asyncio.create_task(self._client(method, path, pause)) for method, path in work]
        try:
            yield
        finally:
            for client in clients:
                client.cancel()
            ends = await asyncio.gather(*clients, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


@dataclass
class House:
    """Everything, and hands to break it."""

    sidecars: Sequence[Member]
    admins: Sequence[Member]
    tenants: Sequence[Member]
    load: Load
    balancers: Sequence[Balancer]

    @property
    def machines(self) -> Sequence[Sequence[Member]]:
        """One of each: what a machine holds that is drained."""
        return [list(each) for each in zip(self.sidecars, self.admins, self.tenants, strict=True)]

    @property
    def members(self) -> Sequence[Member]:
        return [*self.sidecars, *self.admins, *self.tenants]

    async def restarted(self, member: Member, number: signal.Signals = signal.SIGTERM) -> float:
        """End one and start it again; how long it was away, from the signal until it was ready."""
        began = time.perf_counter()
        status = await member.end(number)
        assert status == (0 if number == signal.SIGTERM else -number)
        await member.start()
        for out in (self.load.out, *(balancer.out for balancer in self.balancers)):
            out.discard(member.port)
        return time.perf_counter() - began

    async def command(self, member: Member, *words: str) -> dict[str, Any]:
        """What a command of a service says as JSON; it must find nothing wrong."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", member.module, *words, "--json"),
            cwd=ROOT,
            env={**member.environment},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        document: dict[str, Any] = json.loads(out)
        return document

    async def require_proofs(self) -> None:
        """Both audit logs and the ledger are as they were written."""
        proofs = await asyncio.gather(
            self.command(self.admins[0], "audit", "verify"),
            self.command(self.tenants[0], "audit", "verify"),
            self.command(self.tenants[0], "ledger", "verify"),
        )
        assert [proof["ok"] for proof in proofs] == [True, True, True]

    def require_quiet_logs(self) -> None:
        for member in self.members:
            assert "Traceback" not in member.log.read_text(), member.log.read_text()[-3000:]


def _shared(
    data: Path, issuer: AccessIssuer, ports: Mapping[str, int], urls: Sequence[str]
) -> dict[str, str]:
    (data / "sidecars.json").write_text(json.dumps(public_jwks(load_signing_keys(data / "identity"))))
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "APP_ENV": "development",
        "ADMIN_HOST": HOST,
        "ADMIN_ORIGIN": f"https://{HOST}",
        "TENANT_BASE_DOMAIN": "example.com",
        "CF_ACCESS_TEAM_DOMAIN": issuer.team_domain,
        "CF_ACCESS_AUD": AUD,
        "INTERNAL_SIGNING_KEY_FILE": str(data / "identity"),
        "INTERNAL_JWKS_FILE": str(data / "sidecars.json"),
        "ADMIN_SERVICE_URL": f"http://{LOCAL}:{ports['admin']}",
        "TENANT_SERVICE_URL": f"http://{LOCAL}:{ports['tenant']}",
        # On a starved machine a heartbeat is late; how old the list may be is another drill's subject.
        "ROSTER_MAX_STALENESS": "15",
        "ADMIN_DATABASE_URL": urls[0],
        "TENANT_DATABASE_URL": urls[1],
        "AUDIT_PREDICATE_KEY_FILE": str(data / "predicate.key"),
        "OUTBOX_KEY_FILE": str(data / "outbox.key"),
    }


_LISTENS = {
    "auth_proxy": ("AUTH_PROXY_LISTEN", "AUTH_PROXY_OPS_LISTEN"),
    "admin_service": ("ADMIN_SERVICE_LISTEN", "ADMIN_SERVICE_OPS_LISTEN"),
    "tenant_service": ("TENANT_SERVICE_LISTEN", "TENANT_SERVICE_OPS_LISTEN", "TENANT_PUBLIC_LISTEN"),
}


def _member(module: str, number: int, shared: Mapping[str, str], data: Path) -> Member:
    listens = {name: free_port() for name in _LISTENS[module]}
    own = {name: f"{LOCAL}:{port}" for name, port in listens.items()}
    if module != "auth_proxy":
        own["AUDIT_SIGNING_KEY_FILE"] = str(data / f"{module}-audit.pem")
    port, ops_port = list(listens.values())[:2]
    return Member(module, {**shared, **own}, data / f"{module}-{number}.log", port, ops_port)


@asynccontextmanager
async def whole_house(data: Path, key: AccessKey, urls: Sequence[str]) -> AsyncIterator[House]:
    """Start everything on two databases, enroll Ada, make a tenant; kill what is left at the end."""
    data.mkdir(parents=True, exist_ok=True)
    make_keys(data)
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(access_team(key))
        ports = {name: free_port() for name in ("admin", "tenant")}
        shared = _shared(data, issuer, ports, urls)
        members = {
            module: [_member(module, number, shared, data) for number in range(2)] for module in _LISTENS
        }
        balancers = [
            Balancer(ports[name], [member.port for member in members[f"{name}_service"]]) for name in ports
        ]
        for balancer in balancers:
            await stack.enter_async_context(balancer.running())
        token = await seed_first_operator(members["admin_service"][0].environment)
        load = Load([member.port for member in members["auth_proxy"]], issuer.mint(ADA, audience=AUD))
        house = House(
            members["auth_proxy"], members["admin_service"], members["tenant_service"], load, balancers
        )
        stack.push_async_callback(_kill, house)
        await asyncio.gather(*(member.start(ready=False) for member in house.members))
        await asyncio.gather(*(member.until_ready() for member in house.members))
        for balancer in balancers:
            balancer.out.clear()
        assert token is not None
        await _settle_in(load, token)
        yield house


async def _settle_in(load: Load, token: str) -> None:
    status, answer = await load.ask("GET", "/api/admin/me", **{"x-admin-enrollment-token": token})
    assert status == 200, answer
    body = {"slug": "drill", "name": "Drill", "primaryAdminEmail": "owner@drill.example"}
    async with asyncio.timeout(20):  # the other sidecar hears of Ada in its own time
        while True:
            status, answer = await load.ask("POST", TENANTS, body)
            if status == 201:
                break
            assert status == 403, answer
            await asyncio.sleep(0.1)
    load.tenant = answer["orgId"]
    statuses: set[int] = set()
    for _ in range(100):
        statuses = {(await load.ask("GET", "/api/admin/me"))[0] for _ in load.ports}
        if statuses == {200}:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(statuses)


async def _kill(house: House) -> None:
    for member in house.members:
        if member.process is not None and member.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                member.process.kill()
            await member.process.wait()
