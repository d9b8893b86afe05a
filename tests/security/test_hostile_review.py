"""What a hostile reading of the finished change found, each as a test named after what went wrong."""

import asyncio
import ipaddress
import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from auth_proxy.forwarding import forwarding_headers
from auth_proxy.refusals import Reason
from deploy.demo.issuer import SigningKey
from deploy.demo.processes import DemoError
from deploy.demo.run import Ports, only_demo_of
from service_kit.identity.model import Role
from service_kit.settings import Listen
from service_kit.web.serving import Site, serving
from tests.fakes.admin_service import operator
from tests.fixtures.sidecar import HOST, ORIGIN, STRANGER, SidecarUnderTest, sidecar_under_test
from tests.fixtures.stopwatch import Stopwatch


async def test_a_late_claim_answer_does_not_revive_a_deactivated_operator(sidecar: SidecarUnderTest) -> None:
    """R-064: the feed told of the deactivation before the answer to the claim came."""
    entry = operator(STRANGER.sub, STRANGER.email, Role.SUPER_ADMIN)
    sidecar.admin.tokens["enr_x"] = entry
    sidecar.admin.before_claim_answer = lambda: sidecar.admin.put({**entry, "active": False})
    header = (("x-admin-enrollment-token", "enr_x"),)

    claimed = await sidecar.get("/api/admin/tenants", token=sidecar.token(STRANGER), headers=header)
    after = await sidecar.get("/api/admin/tenants", token=sidecar.token(STRANGER))

    assert (claimed.status, after.status) == (403, 403)
    assert json.loads(after.body)["code"] == "ACCOUNT_DEACTIVATED"
    assert sidecar.nothing_arrived


@pytest.mark.parametrize("protocol", ["h2c", "foo", "websocket"])
async def test_nothing_is_parsed_behind_a_refused_upgrade(sidecar: SidecarUnderTest, protocol: str) -> None:
    """The connection ends: the bytes behind the head were never read as requests."""
    head = (
        f"GET /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nCf-Access-Jwt-Assertion: {sidecar.token()}\r\n"
    )
    upgrade = f"{head}Origin: {ORIGIN}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(f"{upgrade}{head}\r\n".encode())
    async with asyncio.timeout(20):
        raw = await reader.read()
    writer.close()

    assert raw.count(b"HTTP/1.1 ") == 1
    assert b"HTTP/1.1 400" in raw
    assert b"Connection: close" in raw
    assert sidecar.nothing_arrived


async def test_a_body_that_stops_coming_is_not_waited_for(access_key: SigningKey, tmp_path: Path) -> None:
    """A client that names a length and sends nothing holds neither the sidecar nor an upstream."""
    settings = {"AUTH_PROXY_BODY_IDLE_SECONDS": "0.2"}
    async with sidecar_under_test(access_key, tmp_path, **settings) as sidecar:
        head = f"POST /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\n"
        started = Stopwatch()
        answer = await sidecar.send(
            f"{head}Cf-Access-Jwt-Assertion: {sidecar.token()}\r\nContent-Length: 100\r\n\r\nhalf".encode()
        )

    assert (answer.status, json.loads(answer.body)["code"]) == (408, "REQUEST_TIMEOUT")
    assert started.awake < 3
    assert sidecar.refusals(Reason.BODY_TIMEOUT.value) == 1


async def test_a_long_header_that_was_let_pass_is_not_refused_behind(unused_tcp_port: int) -> None:
    """A cookie of 9 KB is ordinary in a large frontend; it must not become a service's error text."""
    app = web.Application()

    async def length(request: web.Request) -> web.Response:
        return web.Response(text=str(len(request.headers["Cookie"])))

    app.router.add_get("/", length)
    cookie = {"Cookie": "big=" + "a" * 9000}
    async with (
        serving([Site("service", Listen("127.0.0.1", unused_tcp_port), app)]),
        aiohttp.ClientSession(headers=cookie) as session,
        session.get(f"http://127.0.0.1:{unused_tcp_port}/") as response,
    ):
        status, text = response.status, await response.text()

    assert (status, text) == (200, "9004")


async def test_a_long_header_of_an_upstream_is_no_outage(sidecar: SidecarUnderTest) -> None:
    """R-007: a frontend that sets a 9 KB cookie works behind the sidecar as it does without."""
    big = b"Set-Cookie: big=" + b"a" * 9000
    sidecar.upstream.answer = b"HTTP/1.1 200 OK\r\n" + big + b"\r\nContent-Length: 2\r\n\r\nok"
    answer = await sidecar.get("/page")

    assert (answer.status, answer.body) == (200, b"ok")
    assert len(answer.header("Set-Cookie")) == 9004


async def test_no_answer_names_a_library(sidecar: SidecarUnderTest) -> None:
    """Refused or relayed: one name, no version."""
    refused = await sidecar.get("/page", token=None)
    granted = await sidecar.get("/page")

    assert (refused.header("Server"), granted.header("Server")) == ("sallyport", "sallyport")


@pytest.mark.parametrize(
    "name", ["X-Authenticated-User", "X-Auth-User", "Remote-Groups", "Tailscale-User-Login", "X-Hasura-Role"]
)
async def test_identity_headers_of_other_systems_do_not_reach_a_frontend(
    sidecar: SidecarUnderTest, name: str
) -> None:
    """R-172: a frontend that was built for another proxy believes these."""
    await sidecar.get("/page", headers=((name, "root"),))

    assert sidecar.upstream.received[0].all(name) == []


def test_a_zone_id_is_no_part_of_an_address() -> None:
    """It may hold any text, and the address ends in audit rows."""
    sent = (("CF-Connecting-IP", "fe80::1%<img src=x>"),)
    ours = (ipaddress.ip_network("127.0.0.0/8"),)

    told = dict(forwarding_headers(sent, "127.0.0.1", HOST, scheme="https", trusted=ours))

    assert told["X-Forwarded-For"] == "127.0.0.1"


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one would write into the logs and databases of the first."""
    with only_demo_of(tmp_path), pytest.raises(DemoError, match="another demo"), only_demo_of(tmp_path):
        pytest.fail("the folder was taken twice")


@pytest.mark.parametrize("offset", ["99999", "-1", "x", "1e3", "٣"])
def test_an_impossible_port_offset_is_one_line(offset: str) -> None:
    """Not a traceback."""
    with pytest.raises(DemoError, match="DEMO_PORT_OFFSET"):
        Ports.offset_by(offset)
