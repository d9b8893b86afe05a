import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from deploy.demo.edge import INSECURE, PortInUse, create_edge, handle, main, start_edge
from deploy.demo.issuer import AccessIssuer
from deploy.demo.people import ADA
from deploy.demo.settings import EdgeSettings, RefusedInProduction
from tests.fakes.clock import FrozenClock
from tests.unit.deploy_demo.conftest import AUDIENCE, Browser
from tests.unit.deploy_demo.recording_sidecar import RecordingSidecar


async def never(_request: web.Request) -> web.StreamResponse:
    """The edge has no routes behind its one entry."""
    raise AssertionError


class Ends:
    """A transport whose two ends are where a test says."""

    def __init__(self, own: object, peer: object) -> None:
        self._ends = {"sockname": own, "peername": peer}

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._ends.get(name, default)

    def is_closing(self) -> bool:
        return False


def test_construction_shouts(
    settings: EdgeSettings, clock: FrozenClock, issuer: AccessIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever builds the stand-in is warned that it lets anybody be anyone."""
    create_edge(settings, clock=clock, issuer=issuer, environment={})

    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", INSECURE)]


def test_production_has_no_stand_in(settings: EdgeSettings, clock: FrozenClock, issuer: AccessIssuer) -> None:
    """With APP_ENV=production the application is not even built."""
    with pytest.raises(RefusedInProduction):
        create_edge(settings, clock=clock, issuer=issuer, environment={"APP_ENV": "production"})


@pytest.mark.parametrize(
    ("own", "peer"),
    [
        (("192.168.1.5", 8000), ("192.168.1.9", 5)),
        (("127.0.0.1", 8000), ("10.0.0.9", 5)),
        ("/run/edge.sock", ""),
    ],
)
async def test_a_connection_from_elsewhere_is_refused(
    settings: EdgeSettings, clock: FrozenClock, issuer: AccessIssuer, own: object, peer: object
) -> None:
    """Even bound to a reachable address by mistake, the application answers 403 to all but loopback."""
    app = create_edge(settings, clock=clock, issuer=issuer, environment={})
    request = make_mocked_request("GET", "/cdn-cgi/access/certs", {"Host": "localhost:8000"}, app=app)
    protocol = request.protocol
    protocol.transport = Ends(own, peer)  # type: ignore[assignment] # only the ends are asked for
    response = await handle(request, handler=never)

    assert response.status == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "evil.example", "localhost", "localhost:8001", "x.localhost:8000"]
)
@pytest.mark.parametrize("target", ["/", "/cdn-cgi/access/login", "/cdn-cgi/access/certs"])
async def test_another_host_is_refused(
    browser: Browser, sidecar: RecordingSidecar, issuer: AccessIssuer, host: str, target: str
) -> None:
    """A name that merely resolves to this machine (DNS rebinding) gets 421 and nothing else."""
    token = issuer.mint(ADA, audience=AUDIENCE)
    async with browser.get(target, token=token, headers={"Host": host}) as answer:
        assert answer.status == 421
        assert "http://localhost:8000" in await answer.text()

    assert sidecar.requests == []


async def test_the_protected_host_has_no_case(browser: Browser) -> None:
    """Host names are compared without case."""
    async with browser.get("/cdn-cgi/access/certs", headers={"Host": "LOCALHOST:8000"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_silent_sidecar_is_named(
    clock: FrozenClock, issuer: AccessIssuer, unused_tcp_port: int, accept: str
) -> None:
    """With nobody at the upstream address the answer is 502 and says where the sidecar should be."""
    upstream = f"http://127.0.0.1:{unused_tcp_port}"
    settings = EdgeSettings("127.0.0.1:0", upstream, audience=AUDIENCE, team_domain="http://localhost:8000")
    runner = await start_edge(create_edge(settings, clock=clock, issuer=issuer, environment={}))
    token = issuer.mint(ADA, audience=AUDIENCE)
    async with aiohttp.ClientSession() as http:
        browser = Browser(http, runner.addresses[0][1])
        async with browser.get("/manage", token=token, headers={"Accept": accept}) as answer:
            text = await answer.text()
    await runner.cleanup()

    assert answer.status == 502
    assert answer.content_type == accept
    assert f"Bad gateway: the sidecar does not answer at {upstream}" in text


async def test_a_port_in_use_has_a_clear_message(
    settings: EdgeSettings, clock: FrozenClock, issuer: AccessIssuer
) -> None:
    """A second edge at the same address is refused by name, with the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        second = EdgeSettings(f"127.0.0.1:{port}", settings.upstream, audience=AUDIENCE)
        app = create_edge(second, clock=clock, issuer=issuer, environment={})
        with pytest.raises(PortInUse, match=f"port {port} "):
            await start_edge(app)


async def test_a_name_is_served_where_it_can_be(
    settings: EdgeSettings, clock: FrozenClock, issuer: AccessIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address of a name that this machine does not have is left out, as long as another one serves."""
    real = web.TCPSite.start

    async def no_ipv6(site: web.TCPSite) -> None:
        if site._host == "::1":
            raise OSError(99, "Cannot assign requested address")
        await real(site)

    monkeypatch.setattr(web.TCPSite, "start", no_ipv6)
    monkeypatch.setattr("deploy.demo.edge.loopback_addresses", lambda _listen: (("127.0.0.1", 0), ("::1", 0)))
    runner = await start_edge(create_edge(settings, clock=clock, issuer=issuer, environment={}))

    assert [address[0] for address in runner.addresses] == ["127.0.0.1"]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--listen", "0.0.0.0:8000"], {}, "not loopback"),
        (["--aud", "admin"], {}, "64 lower-case"),
        (["--team-domain", "https://acme.cloudflareaccess.com"], {}, "not on this machine"),
        ([], {"APP_ENV": "production"}, "APP_ENV is production"),
        ([], {"NODE_ENV": "production"}, "NODE_ENV is production"),
    ],
)
def test_the_command_refuses_in_one_line(
    arguments: list[str],
    environment: dict[str, str],
    said: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A start that must not happen exits 2 with the reason, and touches no disk."""
    for name in ("APP_ENV", "NODE_ENV"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_serves_and_ends_cleanly(tmp_path: Path, unused_tcp_port: int, number: int) -> None:
    """`python -m deploy.demo.edge` says where to go, serves its keys, and ends with 0 on a signal."""
    environment = {name: value for name, value in os.environ.items() if name not in {"APP_ENV", "NODE_ENV"}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.demo.edge", "--listen", f"127.0.0.1:{unused_tcp_port}"),
        *("--data", str(tmp_path / "demo"), "--aud", AUDIENCE),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    writer.write(f"GET /cdn-cgi/access/certs HTTP/1.1\r\nHost: localhost:{unused_tcp_port}\r\n\r\n".encode())
    status = await reader.readline()
    process.send_signal(number)
    _, error = await process.communicate()
    writer.close()

    assert f"open http://localhost:{unused_tcp_port} ".encode() in line
    assert status == b"HTTP/1.1 200 OK\r\n"
    assert process.returncode == 0
    assert json.loads(error)["event"] == INSECURE
