"""Section `websocket` of header_attacks.json and attacks.md section 3, on a route that takes websockets."""

import asyncio
import contextlib
import re
import struct
import time
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fakes.admin_service import operator
from tests.fixtures.sidecar import AUD, HOST, ORIGIN, SidecarUnderTest, person
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.websockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    KEY,
    PING,
    TEXT,
    EchoUpstream,
    RawWebSocket,
    accept_of,
    close_payload,
    closed_for,
    echo_upstream,
    frame,
    gauge,
    handshake,
    open_websocket,
    until,
    websocket_sidecar,
)
from tests.integration.auth_proxy.scripted_upstream import Script, scripted

SUPPORT = person(Role.SUPPORT)
CONNECTION, UPGRADE, VERSION, KEY_LINE = HANDSHAKE


@dataclass
class Target:
    """A sidecar in front of an upstream that would gladly echo."""

    sidecar: SidecarUnderTest
    upstream: EchoUpstream

    @property
    def nothing_arrived(self) -> bool:
        return not self.upstream.targets and self.sidecar.nothing_arrived


PATIENT = 30
STALE = 2
"""`ROSTER_MAX_STALENESS` where a test is about that, and not about a machine that stands still."""


@contextlib.asynccontextmanager
async def targeted(access_key: SigningKey, tmp_path: Path, staleness: int) -> AsyncIterator[Target]:
    async with (
        echo_upstream() as upstream,
        websocket_sidecar(
            access_key,
            tmp_path,
            upstream.url,
            'roles = ["super_admin", "support", "security"]',
            AUTH_PROXY_WEBSOCKET_MAX_MESSAGE="100000",
            CF_ACCESS_LEEWAY_SECONDS="0",
            ROSTER_MAX_STALENESS=str(staleness),
        ) as sidecar,
    ):
        yield Target(sidecar, upstream)


@pytest.fixture
async def target(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[Target]:
    async with targeted(access_key, tmp_path, PATIENT) as target:
        yield target


async def conversation(sidecar: SidecarUnderTest, sent: bytes) -> bytes:
    """All bytes that come back until the connection ends, which it must."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(sent)
    return await RawWebSocket(reader, writer, "").rest()


def statuses(answer: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@dataclass(frozen=True)
class Refused:
    """A handshake that must not succeed, and why it does not."""

    status: int
    reason: str
    base: tuple[str, ...] = HANDSHAKE
    lines: tuple[str, ...] = ()
    origin: str | None = ORIGIN
    method: str = "GET"


def with_(*lines: str) -> tuple[str, ...]:
    return (CONNECTION, UPGRADE, *lines)


def upgrading(protocol: str) -> tuple[str, ...]:
    return (CONNECTION, f"Upgrade: {protocol}", VERSION, KEY_LINE)


H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
LOOSE_KEY = f"Sec-WebSocket-Key: {KEY[:21]}R=="
PROTOCOL = "Sec-WebSocket-Protocol"
MANY = ",".join(map(str, range(1000)))
REFUSED = {
    "no Origin": Refused(403, "origin_rejected", origin=None),
    "Origin null": Refused(403, "origin_rejected", origin="null"),
    "Origin empty": Refused(403, "origin_rejected", origin=""),
    "Origin of a longer host": Refused(403, "origin_rejected", origin=f"{ORIGIN}.evil.example"),
    "Origin of a subdomain": Refused(403, "origin_rejected", origin=f"https://evil.{HOST}"),
    "another Origin": Refused(403, "origin_rejected", origin="https://evil.example"),
    "Origin in upper case": Refused(403, "origin_rejected", origin=ORIGIN.upper()),
    "Origin with another scheme": Refused(403, "origin_rejected", origin=f"http://{HOST}"),
    "Origin twice": Refused(400, "credential_duplicated", lines=(f"Origin: {ORIGIN}",)),
    "called cross-site": Refused(403, "origin_rejected", lines=("Sec-Fetch-Site: cross-site",)),
    "version 777": Refused(426, "websocket_version", with_("Sec-WebSocket-Version: 777", KEY_LINE)),
    "version 8": Refused(426, "websocket_version", with_("Sec-WebSocket-Version: 8", KEY_LINE)),
    "two versions in one": Refused(426, "websocket_version", with_("Sec-WebSocket-Version: 13, 8", KEY_LINE)),
    "two versions": Refused(426, "websocket_version", lines=("Sec-WebSocket-Version: 777",)),
    "no version": Refused(426, "websocket_version", with_(KEY_LINE)),
    "no key": Refused(400, "websocket_malformed", with_(VERSION)),
    "two keys": Refused(400, "websocket_malformed", lines=(KEY_LINE,)),
    "a short key": Refused(400, "websocket_malformed", with_(VERSION, "Sec-WebSocket-Key: AAAA")),
    "a key with loose bits": Refused(400, "websocket_malformed", with_(VERSION, LOOSE_KEY)),
    "a key in an alias": Refused(400, "websocket_malformed", lines=(f"Sec_WebSocket_Key: {KEY}",)),
    "h2c": Refused(400, "upgrade_not_allowed", H2C),
    "websocket, h2c": Refused(400, "upgrade_not_allowed", upgrading("websocket, h2c")),
    "h2c, websocket": Refused(400, "upgrade_not_allowed", upgrading("h2c, websocket")),
    "h2c beside websocket": Refused(400, "websocket_malformed", lines=("Upgrade: h2c",)),
    "an empty Upgrade": Refused(400, "request_malformed", upgrading("")),
    "a GET with a body": Refused(400, "upgrade_not_allowed", lines=("Content-Length: 4",)),
    "a GET with chunks": Refused(400, "request_malformed", lines=("Transfer-Encoding: chunked",)),
    "a POST": Refused(400, "upgrade_not_allowed", method="POST"),
    "a POST with a body": Refused(400, "upgrade_not_allowed", method="POST", lines=("Content-Length: 4",)),
    "a subprotocol twice": Refused(400, "websocket_malformed", lines=(f"{PROTOCOL}: a, b, a",)),
    "a subprotocol that is no name": Refused(400, "websocket_malformed", lines=(f"{PROTOCOL}: a b",)),
    "a thousand subprotocols": Refused(400, "websocket_malformed", lines=(f"{PROTOCOL}: {MANY}",)),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_handshake_that_is_not_plain_is_refused(target: Target, name: str) -> None:
    """R-097, R-003: refused by name, the connection ends, and what follows on it is never read."""
    case = REFUSED[name]
    head = handshake(target.sidecar, *case.lines, base=case.base, origin=case.origin, method=case.method)
    answer = await conversation(target.sidecar, head + b"body" + handshake(target.sidecar))

    assert statuses(answer) == [case.status], answer
    assert target.sidecar.refusals(case.reason) == 1
    assert target.nothing_arrived
    assert (b"Sec-WebSocket-Version: 13" in answer) is (case.status == 426)


async def test_our_own_token_is_no_subprotocol(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    """A browser's program may hide its token there: it goes to no upstream and into no log."""
    token = target.sidecar.token()
    head = handshake(target.sidecar, f"Sec-WebSocket-Protocol: chat.v1, {token}", token=token)
    answer = await conversation(target.sidecar, head)

    assert statuses(answer) == [400]
    assert target.nothing_arrived
    assert token.split(".")[1] not in answer.decode() + "".join(capfd.readouterr())


@pytest.mark.parametrize("place", ["subprotocol", "query", "nowhere"])
async def test_without_the_header_there_is_no_token(target: Target, place: str) -> None:
    """R-042: an upgrade is proven like every request, by the one header."""
    token = target.sidecar.token()
    path = f"/live?token={token}" if place == "query" else "/live"
    lines = (f"Sec-WebSocket-Protocol: {token}",) if place == "subprotocol" else ()
    head = handshake(target.sidecar, *lines, target=path)
    answer = await conversation(target.sidecar, re.sub(rb"Cf-Access-Jwt-Assertion: [^\r]+\r\n", b"", head))

    assert statuses(answer) == [403]
    assert target.sidecar.refusals("token_missing") == 1
    assert target.nothing_arrived


async def test_http_1_0_has_no_upgrade(target: Target) -> None:
    """RFC 9110 7.8: the header counts for nothing there; it is no way to a tunnel."""
    head = handshake(target.sidecar).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    answer = await conversation(target.sidecar, head + frame(TEXT, b"hidden"))

    assert statuses(answer) == [400]
    assert target.nothing_arrived


@pytest.mark.parametrize("path", ["/", "/livery", "/api/admin/tenants", "/manage"])
async def test_only_its_own_route_takes_websockets(target: Target, path: str) -> None:
    """`websocket = true` of one route opens no other: UPGRADE_NOT_ALLOWED, as ever."""
    answer = await conversation(target.sidecar, handshake(target.sidecar, target=path))

    assert statuses(answer) == [400]
    assert target.sidecar.refusals("upgrade_not_allowed") == 1
    assert target.nothing_arrived


SWITCHING = "HTTP/1.1 101 Switching Protocols\r\n"
PLAIN = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
OPENING = SWITCHING + PLAIN + "Sec-WebSocket-Accept: {accept}\r\n"
UPSTREAMS = {
    "200": "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret",
    "200 that looks like a 101": "HTTP/1.1 200 OK\r\n" + PLAIN + "Sec-WebSocket-Accept: {accept}\r\n\r\n",
    "426": "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 6\r\n\r\nsecret",
    "401": "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    "a redirect": "HTTP/1.1 302 Found\r\nLocation: {trap}\r\nContent-Length: 0\r\n\r\n",
    "101 without an accept": SWITCHING + PLAIN + "\r\n",
    "101 with the client's accept": SWITCHING + PLAIN + f"Sec-WebSocket-Accept: {accept_of(KEY)}\r\n\r\n",
    "101 with two accepts": OPENING + "Sec-WebSocket-Accept: {accept}\r\n\r\n",
    "101 to h2c": OPENING.replace("Upgrade: websocket", "Upgrade: h2c") + "\r\n",
    "101 to both": OPENING + "Upgrade: h2c\r\n\r\n",
    "101 without Connection": OPENING.replace("Connection: Upgrade\r\n", "") + "\r\n",
    "101 without Upgrade": OPENING.replace("Upgrade: websocket\r\n", "") + "\r\n",
    "101 with compression": OPENING + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "101 with a protocol of its own": OPENING + "Sec-WebSocket-Protocol: evil\r\n\r\n",
    "101 with two protocols": OPENING + "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n",
    "103 and nothing": "HTTP/1.1 103 Early Hints\r\n\r\n",
    "garbage": "\x16\x03\x01 hello\r\n\r\n",
    "silence": "",
}


def script_of(answer: str, trap: str, heard: list[bytes]) -> Script:
    """Answers one handshake so; everything else that arrives is heard."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head)
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head, re.IGNORECASE)
        accept = accept_of(key.group(1).decode()) if key else ""
        writer.write(answer.replace("{accept}", accept).replace("{trap}", trap).encode("latin-1"))
        await writer.drain()
        if answer and not answer.startswith(("HTTP/1.1 103", "\x16")):
            while chunk := await reader.read(65536):
                heard.append(chunk)

    return script


@pytest.mark.parametrize("name", UPSTREAMS)
async def test_an_upstream_that_is_no_websocket_gets_no_tunnel(
    access_key: SigningKey, tmp_path: Path, name: str
) -> None:
    """Smuggling behind an upgrade that failed: 502, the connection ends, and not a byte more arrives.

    A redirect is not followed: it would carry the identity wherever it leads.
    """
    heard: list[bytes] = []
    trapped: list[bytes] = []
    async with (
        scripted(script_of("", "", trapped)) as trap,
        scripted(script_of(UPSTREAMS[name], trap, heard)) as url,
        websocket_sidecar(access_key, tmp_path, url) as sidecar,
    ):
        hidden = f"GET /live/hidden HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        offers = ("Sec-WebSocket-Protocol: a, b",)
        answer = await conversation(sidecar, handshake(sidecar, *offers) + hidden + frame(TEXT, b"hidden"))

        assert statuses(answer) == [502], answer
        assert (b"UPSTREAM_UNAVAILABLE" in answer, b"secret" in answer) == (True, False)
        # A connection that died may be tried once more, with the same handshake; nothing else arrives.
        assert all(part.startswith(b"GET /live HTTP/1.1\r\n") for part in heard), heard
        assert trapped == []
        assert sidecar.refusals("upstream_unavailable") == 1
        assert gauge(sidecar, "websockets") == 0


async def test_an_upstream_that_does_not_answer_a_handshake_is_504(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """The route's own `response_header` timeout bounds the wait for the 101."""
    heard: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())

    async with (
        scripted(silent) as url,
        websocket_sidecar(access_key, tmp_path, url, "timeouts = { response_header = 0.2 }") as sidecar,
    ):
        answer = await conversation(sidecar, handshake(sidecar))

    assert statuses(answer) == [504]


MASK = b"\x01\x02\x03\x04"
VIOLATIONS: dict[str, tuple[bytes, int]] = {
    "compressed, a bomb of zeros": (frame(TEXT, zlib.compress(b"0" * 100_000)[2:-4], rsv=0x40), 1002),
    "reserved bit 2": (frame(TEXT, b"x", rsv=0x20), 1002),
    "reserved bit 3": (frame(PING, b"x", rsv=0x10), 1002),
    "not masked": (frame(TEXT, b"GET /evil HTTP/1.1", mask=None), 1002),
    "an unknown opcode": (frame(3, b"x"), 1002),
    "an unknown control opcode": (frame(11, b"x"), 1002),
    "a ping in pieces": (frame(PING, b"x", fin=False), 1002),
    "a ping too long": (frame(PING, b"x" * 126), 1002),
    "a close with half a code": (frame(CLOSE, b"\x03"), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a message within a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "a short length in two bytes": (b"\x81\xfe\x00\x05" + MASK + b"12345", 1002),
    "a short length in eight bytes": (b"\x81\xff" + struct.pack("!Q", 126) + MASK, 1002),
    "a length with its highest bit": (b"\x82\xff" + struct.pack("!Q", 1 << 63) + MASK, 1002),
    "a length of exabytes": (b"\x82\xff" + struct.pack("!Q", 1 << 62) + MASK, 1009),
    "one byte too many": (b"\x82\xff" + struct.pack("!Q", 100_001) + MASK, 1009),
    "far too many bytes, and all of them sent": (
        b"\x82\xff" + struct.pack("!Q", 3_000_000) + MASK + b"x" * 3_000_000,
        1009,
    ),
    "too many bytes in fragments": (
        frame(BINARY, b"x" * 60_000, fin=False) + frame(PING) + frame(CONTINUATION, b"x" * 40_001),
        1009,
    ),
    "HTTP instead of frames": (b"GET /live HTTP/1.1\r\n\r\n", 1002),
}


@pytest.mark.parametrize("name", VIOLATIONS)
async def test_what_is_no_frame_ends_the_websocket(target: Target, name: str) -> None:
    """R-003: judged by the frame's head, before a byte of its payload is taken; the upstream gets 1001."""
    sent, code = VIOLATIONS[name]
    socket = await open_websocket(target.sidecar)
    socket.send(TEXT, b"fine")
    assert await socket.receive() == (TEXT, b"fine")
    socket.writer.write(sent)

    assert (await socket.closed())[0] == code
    assert await target.upstream.wait_closed() == 1001
    assert [data for _, data in target.upstream.received if data != b""] == ["fine"]
    await until(lambda: closed_for(target.sidecar, "violation") == 1)


@pytest.mark.parametrize(
    "sent",
    [
        frame(TEXT, b"x" * 50, mask=None, rsv=0x40),
        frame(TEXT, b"masked", mask=MASK),
        b"\x82\x7f" + struct.pack("!Q", 200_000),
        frame(CONTINUATION, b"x", mask=None),
    ],
    ids=["compressed", "masked", "too long", "continuation"],
)
async def test_what_an_upstream_sends_is_judged_too(
    access_key: SigningKey, tmp_path: Path, sent: bytes
) -> None:
    """A client of ours gets well-formed frames, or 1014 (bad gateway)."""
    heard: list[bytes] = []
    script = script_of(OPENING + "\r\n" + sent.decode("latin-1"), "", heard)
    async with (
        scripted(script) as url,
        websocket_sidecar(access_key, tmp_path, url, AUTH_PROXY_WEBSOCKET_MAX_MESSAGE="100000") as sidecar,
    ):
        socket = await open_websocket(sidecar)

        assert socket.status == 101
        assert (await socket.closed())[0] == 1014
        await until(lambda: closed_for(sidecar, "violation") == 1)


def change(sidecar: SidecarUnderTest, role: Role = Role.SUPPORT, *, active: bool = True) -> None:
    """What becomes of the operator whose websockets are open."""
    sidecar.admin.put(operator(SUPPORT.sub, SUPPORT.email, role, active=active))


def remove(sidecar: SidecarUnderTest) -> None:
    del sidecar.admin.operators[f"adm_{SUPPORT.sub}"]
    sidecar.admin.version += 1
    gone = [f"adm_{SUPPORT.sub}"]
    sidecar.admin.say({"type": "change", "version": sidecar.admin.version, "upserts": [], "removed": gone})


def silence(sidecar: SidecarUnderTest) -> None:
    """Neither heartbeats nor, when the sidecar asks anew, a list."""

    async def fail(request: web.Request) -> None:
        raise web.HTTPServiceUnavailable

    sidecar.admin.sends_heartbeats = False
    sidecar.admin._sidecar = fail  # type: ignore[method-assign]  # the fake has no switch for it


LAPSES: dict[str, tuple[Callable[[SidecarUnderTest], None], int, str, str]] = {
    "deactivated": (lambda s: change(s, active=False), 4403, "ACCOUNT_DEACTIVATED", "revoked"),
    "removed": (remove, 4403, "ENROLLMENT_REQUIRED", "revoked"),
    "a role without the route": (lambda s: change(s, Role.READ_ONLY), 4403, "PERMISSION_DENIED", "revoked"),
    "another role": (lambda s: change(s, Role.SECURITY), 4403, "PERMISSION_DENIED", "revoked"),
    "nobody can say": (silence, 1013, "ROSTER_UNAVAILABLE", "roster_stale"),
}


@pytest.mark.parametrize("name", LAPSES)
async def test_an_open_websocket_ends_with_its_grant(
    access_key: SigningKey, tmp_path: Path, name: str
) -> None:
    """R-064: within a second of the news, with a code and a word; nobody else's websocket ends."""
    happens, code, word, cause = LAPSES[name]
    stale = cause == "roster_stale"
    async with targeted(access_key, tmp_path, STALE if stale else PATIENT) as target:
        sidecar = target.sidecar
        socket = await open_websocket(sidecar, token=sidecar.token(SUPPORT))
        other = await open_websocket(sidecar)
        await asyncio.sleep(0.6)  # it has been looked at, and stood
        happens(sidecar)
        started = Stopwatch()

        assert await socket.closed() == (code, word)
        assert started.awake < 1 + stale * STALE
        assert await target.upstream.wait_closed() == 1001
        await until(lambda: closed_for(sidecar, cause) == 1 + stale)
        if not stale:
            other.send(TEXT, b"still here")
            assert await other.receive() == (TEXT, b"still here")
        other.abort()


async def test_an_open_websocket_ends_with_its_token(target: Target) -> None:
    """The token's time is the websocket's: 4401 within a second of it; a longer one stays."""
    sidecar = target.sidecar
    started, now = Stopwatch(), time.time()
    soon = int(now) + 4
    short = sidecar.issuer.mint(SUPPORT, audience=AUD, exp=soon)
    socket, other = await open_websocket(sidecar, token=short), await open_websocket(sidecar)

    assert await socket.closed() == (4401, "INVALID_ACCESS_TOKEN")
    assert time.time() >= soon
    assert started.awake < soon - now + 1
    await until(lambda: closed_for(sidecar, "expired") == 1)
    assert gauge(sidecar, "websockets") == 1
    other.abort()


async def test_a_flood_does_not_put_off_the_end(target: Target) -> None:
    """An operator who was deactivated is cut off in the middle of a busy conversation too."""

    async def pour(socket: RawWebSocket) -> None:
        block = frame(BINARY, b"x" * 50_000)
        while True:
            socket.writer.write(block)
            await socket.writer.drain()

    sidecar = target.sidecar
    socket = await open_websocket(sidecar, token=sidecar.token(SUPPORT))
    pouring = asyncio.create_task(pour(socket))
    await asyncio.sleep(0.6)
    change(sidecar, active=False)
    started = Stopwatch()
    code, _ = await socket.closed()
    took = started.awake
    pouring.cancel()
    await asyncio.gather(pouring, return_exceptions=True)

    assert code in (4403, 1006)
    assert took < 1.5
    await until(lambda: gauge(sidecar, "websockets") == 0)
    assert closed_for(sidecar, "revoked") == 1


@pytest.mark.parametrize("finishes", [True, False])
async def test_an_end_never_falls_into_a_frame(
    access_key: SigningKey, tmp_path: Path, finishes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upstream is in the middle of a frame: its rest, then our close frame; or a visible break."""
    monkeypatch.setattr("auth_proxy.transport.tunnel._GOODBYE_SECONDS", 20.0 if finishes else 0.4)
    revoked = asyncio.Event()
    message = frame(BINARY, b"x" * 1000, mask=None)

    async def halves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head, re.IGNORECASE)
        assert key is not None
        writer.write((OPENING + "\r\n").replace("{accept}", accept_of(key.group(1).decode())).encode())
        writer.write(message[:500])
        await revoked.wait()
        await asyncio.sleep(0.5)  # the sidecar has decided by now, and waits for the rest
        if finishes:
            writer.write(message[500:] + message)
        await reader.read()

    async with (
        scripted(halves) as url,
        websocket_sidecar(access_key, tmp_path, url) as sidecar,
    ):
        socket = await open_websocket(sidecar, token=sidecar.token(SUPPORT))
        await asyncio.sleep(0.6)
        change(sidecar, active=False)
        revoked.set()
        started = Stopwatch()
        if finishes:
            assert await socket.receive() == (BINARY, b"x" * 1000)
            assert (await socket.closed())[0] == 4403
        else:
            assert await socket.rest() == message[:500]
        assert started.awake < 1.5


async def test_nothing_comes_from_a_stalled_client_after_its_end(target: Target) -> None:
    """A frame that the client never finishes holds nothing open: no close frame fits, it just ends."""
    sidecar = target.sidecar
    socket = await open_websocket(sidecar, token=sidecar.token(SUPPORT))
    socket.writer.write(frame(BINARY, b"x" * 1000)[:500])
    await asyncio.sleep(0.6)
    change(sidecar, active=False)

    assert (await socket.closed())[0] == 4403  # towards the client a boundary was there
    await until(lambda: gauge(sidecar, "websockets") == 0)
    assert target.upstream.received == []


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A stream without an end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(EVENTS)
    while True:
        writer.write(b"8\r\ndata: x\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def watched_events(sidecar: SidecarUnderTest, token: str) -> RawWebSocket:
    """A stream of events that goes on long enough to have been looked at, and stood."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    try:
        head = f"GET /live HTTP/1.1\r\nHost: {HOST}\r\nCf-Access-Jwt-Assertion: {token}\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(20):
            for _ in range(15):
                await reader.readuntil(b"data: x")
    except BaseException:
        writer.transport.abort()  # left open it would be warned of in another test
        raise
    return RawWebSocket(reader, writer, "")


@pytest.mark.parametrize(
    "happens, reason",
    [
        (lambda s: change(s, active=False), "operator_deactivated"),
        (lambda s: change(s, Role.SECURITY), "permission_denied"),
        (silence, "roster_unavailable"),
    ],
    ids=["deactivated", "another role", "nobody can say"],
)
async def test_a_stream_ends_with_its_grant(
    access_key: SigningKey, tmp_path: Path, happens: Callable[[SidecarUnderTest], None], reason: str
) -> None:
    """R-064, architecture section 5: server-sent events break off visibly within a second."""
    stale = reason == "roster_unavailable"
    staleness = STALE if stale else PATIENT
    async with (
        scripted(events) as url,
        websocket_sidecar(access_key, tmp_path, url, ROSTER_MAX_STALENESS=str(staleness)) as sidecar,
    ):
        tokens = (sidecar.token(SUPPORT), sidecar.token())
        mine, other = await asyncio.gather(*(watched_events(sidecar, token) for token in tokens))
        others = asyncio.create_task(other.rest())
        happens(sidecar)
        happened = Stopwatch()
        answer = await mine.rest()

        assert happened.awake < 1 + stale * STALE
        assert b"\r\n0\r\n\r\n" not in answer  # broken, not ended well
        counted = sidecar.registry.get_sample_value("auth_proxy_streams_ended_total", {"reason": reason})
        assert counted == 1 + stale
        if stale:
            await others
        assert others.done() is stale
        others.cancel()
        await asyncio.gather(others, return_exceptions=True)


async def test_one_person_opens_only_so_many(access_key: SigningKey, tmp_path: Path) -> None:
    """One client opens a thousand sockets: 429 by name, nobody else is hurt, and room comes back."""
    async with (
        echo_upstream() as upstream,
        websocket_sidecar(
            access_key,
            tmp_path,
            upstream.url,
            AUTH_PROXY_WEBSOCKETS_PER_PERSON="20",
            ROSTER_MAX_STALENESS="30",  # a thousand handshakes may keep the feed waiting
        ) as sidecar,
    ):
        token = sidecar.token(SUPPORT)
        attempts = [asyncio.create_task(open_websocket(sidecar, token=token)) for _ in range(1000)]
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(closed_all, attempts)
            sockets = await asyncio.gather(*attempts)
            other = await open_websocket(sidecar)
            stack.callback(other.abort)

            opened = [socket for socket in sockets if socket.status == 101]
            assert (len(opened), len(upstream.targets)) == (20, 21)
            assert {socket.status for socket in sockets} == {101, 429}
            assert sidecar.refusals("websocket_limit") == 980
            assert other.status == 101
            await closed_all(attempts)
            await until(lambda: gauge(sidecar, "websockets") == 1)
            again = await open_websocket(sidecar, token=token)
            stack.callback(again.abort)
            assert again.status == 101
            await until(lambda: gauge(sidecar, "connections") == 2)


async def closed_all(attempts: list[asyncio.Task[RawWebSocket]]) -> None:
    """Close every writer and wait for it, also when some of the attempts failed."""
    sockets = await asyncio.gather(*attempts, return_exceptions=True)
    for socket in sockets:
        if isinstance(socket, RawWebSocket):
            socket.abort()
            with contextlib.suppress(ConnectionError):
                await socket.writer.wait_closed()


async def test_half_a_close_does_not_stay(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A side that says goodbye and one that never answers it: the websocket ends all the same."""
    monkeypatch.setattr("auth_proxy.transport.tunnel._CLOSE_SECONDS", 0.2)

    async def ignore(_socket: object) -> None:
        await over.wait()

    over, target.upstream.behave = asyncio.Event(), ignore
    socket = await open_websocket(target.sidecar)
    socket.send(CLOSE, close_payload(1000))
    started = Stopwatch()

    assert (await socket.closed())[0] == 1001
    assert started.awake < 2
    await until(lambda: gauge(target.sidecar, "websockets") == 0)
    over.set()


async def test_a_role_without_the_route_gets_no_websocket(target: Target) -> None:
    """R-074: the route's roles decide an upgrade as they decide a request."""
    token = target.sidecar.token(person(Role.READ_ONLY))
    answer = await conversation(target.sidecar, handshake(target.sidecar, token=token))

    assert statuses(answer) == [403]
    assert target.sidecar.refusals("permission_denied") == 1
    assert target.nothing_arrived
