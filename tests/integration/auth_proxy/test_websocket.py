"""Websockets through the running sidecar: what both sides mean arrives, and nothing is kept in between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from deploy.demo.issuer import SigningKey
from service_kit.clock import SystemClock
from service_kit.identity.binding import IDENTITY_HEADER
from service_kit.identity.keys import load_signing_keys
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityVerifier, VerifierPolicy
from tests.fixtures.identities import StaticKeys
from tests.fixtures.sidecar import HOST, ORIGIN, STRANGER, SidecarUnderTest
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.websockets import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    EchoUpstream,
    RawWebSocket,
    close_payload,
    closed_for,
    echo_upstream,
    frame,
    gauge,
    open_websocket,
    until,
    websocket_sidecar,
)


@dataclass
class Pair:
    """A sidecar and the upstream behind /live."""

    sidecar: SidecarUnderTest
    upstream: EchoUpstream
    folder: Path


@pytest.fixture
async def pair(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[Pair]:
    async with (
        echo_upstream() as upstream,
        websocket_sidecar(access_key, tmp_path, upstream.url) as sidecar,
    ):
        yield Pair(sidecar, upstream, tmp_path)


async def test_a_client_of_another_make_talks_through_with_its_subprotocol(pair: Pair) -> None:
    """Subprotocols are negotiated end to end; compression is offered by nobody we speak for."""
    headers = {"Host": HOST, "Origin": ORIGIN, "Cf-Access-Jwt-Assertion": pair.sidecar.token()}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"http://127.0.0.1:{pair.sidecar.port}/live/room?id=7",
            headers=headers,
            protocols=("other", "chat.v1"),
            compress=15,
        ) as socket,
    ):
        assert (socket.protocol, socket.compress) == ("chat.v1", 0)
        await socket.send_str("grüße")
        await socket.send_bytes(b"\x00\xff")
        assert (await socket.receive_str(), await socket.receive_bytes()) == ("grüße", b"\x00\xff")
        assert gauge(pair.sidecar, "websockets") == 1
        await socket.close(code=3001, message=b"done")

    assert await pair.upstream.wait_closed() == 3001
    assert pair.upstream.targets == ["/live/room?id=7"]
    await until(lambda: closed_for(pair.sidecar, "client") == 1)
    assert gauge(pair.sidecar, "websockets") == 0


async def test_the_upstream_sees_a_handshake_of_ours_and_our_identity_bound_to_it(pair: Pair) -> None:
    """The client's key, version and extensions end at the sidecar; the identity names method and target."""
    lines = ("Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat.v2", "X-Mine: 1")
    socket = await open_websocket(pair.sidecar, *lines, target="/live?x=1")
    socket.send(CLOSE, close_payload(1000))
    await socket.closed()

    assert (socket.status, socket.header("Sec-WebSocket-Accept")) == (101, ACCEPT)
    assert socket.header("Sec-WebSocket-Protocol") == "chat.v2"
    assert "sec-websocket-extensions" not in socket.head.lower()
    (sent,) = pair.upstream.handshakes
    assert sent["sec-websocket-key"] != [KEY]
    assert sent["sec-websocket-version"] == ["13"]
    assert "sec-websocket-extensions" not in sent
    assert (sent["x-mine"], sent["origin"]) == (["1"], [ORIGIN])
    assert "cf-access-jwt-assertion" not in sent
    (token,) = sent[IDENTITY_HEADER.lower()]
    keys = StaticKeys(
        {k.kid: k.private.public_key() for k in load_signing_keys(pair.folder / "identity.pem")}
    )
    clock = SystemClock()
    policy = VerifierPolicy(issuer="auth_proxy", audience="frontend")
    verifier = IdentityVerifier(policy, keys, MemoryReplayGuard(clock), clock)
    await verifier.verify(token, method="GET", target="/live?x=1")


async def test_fragments_pings_and_codes_pass_as_they_are(pair: Pair) -> None:
    """The sidecar takes no message apart and answers no ping itself."""

    async def talk(socket: web.WebSocketResponse) -> None:
        for _ in range(2):
            message = await socket.receive()
            pair.upstream.received.append((message.type, message.data))
        await socket.ping(b"from upstream")
        message = await socket.receive()
        pair.upstream.received.append((message.type, message.data))
        await socket.close(code=4100, message=b"enough")

    pair.upstream.behave = talk
    socket = await open_websocket(pair.sidecar)
    socket.send(TEXT, b"one ", fin=False)
    socket.send(PING, b"between")
    socket.send(CONTINUATION, b"two ", fin=False)
    socket.send(CONTINUATION, b"three")

    assert await socket.receive() == (PING, b"from upstream")
    socket.send(PONG, b"from upstream")
    assert await socket.receive() == (CLOSE, close_payload(4100, "enough"))
    socket.send(CLOSE, close_payload(4100))
    assert await pair.upstream.wait_closed() == 4100
    assert await socket.rest() == b""
    assert pair.upstream.received == [
        (WSMsgType.PING, b"between"),
        (WSMsgType.TEXT, "one two three"),
        (WSMsgType.PONG, b"from upstream"),
    ]
    await until(lambda: closed_for(pair.sidecar, "upstream") == 1)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1024 * 1024])
async def test_every_length_arrives_whole(pair: Pair, size: int) -> None:
    """All three spellings of a length, up to the limit."""
    socket = await open_websocket(pair.sidecar)
    payload = bytes(range(256)) * (size // 256 + 1)
    socket.send(BINARY, payload[:size])

    assert await socket.receive() == (BINARY, payload[:size])
    socket.abort()


async def test_bytes_in_any_pieces_are_the_same_frames(pair: Pair) -> None:
    """A frame's head may come byte by byte, and the first frame together with the handshake."""
    socket = await open_websocket(pair.sidecar, behind=frame(TEXT, b"early"))
    assert await socket.receive() == (TEXT, b"early")
    for byte in frame(TEXT, b"x" * 200) + frame(BINARY, b"end"):
        socket.writer.write(bytes((byte,)))
        await asyncio.sleep(0)

    assert await socket.receive() == (TEXT, b"x" * 200)
    assert await socket.receive() == (BINARY, b"end")
    socket.abort()


async def test_what_was_said_before_a_fault_is_answered(pair: Pair) -> None:
    """A bad frame ends the websocket, but not before the answers to the good ones have passed."""
    socket = await open_websocket(pair.sidecar)
    socket.writer.write(frame(TEXT, b"good") + frame(BINARY, b"too") + frame(TEXT, b"bad", rsv=0x40))

    assert await socket.receive() == (TEXT, b"good")
    assert await socket.receive() == (BINARY, b"too")
    assert await socket.receive() == (CLOSE, close_payload(1002, "PROTOCOL_ERROR"))
    assert await socket.rest() == b""
    assert await pair.upstream.wait_closed() == 1001


async def test_a_fault_ends_it_while_the_upstream_is_silent(pair: Pair) -> None:
    """Nobody waits long for answers: an upstream that does not hear of the end does not put it off."""

    async def say_nothing(_socket: web.WebSocketResponse) -> None:
        await silence.wait()

    silence, pair.upstream.behave = asyncio.Event(), say_nothing
    socket = await open_websocket(pair.sidecar)
    socket.send(TEXT, b"bad", rsv=0x40)

    started = Stopwatch()
    assert await socket.closed() == (1002, "PROTOCOL_ERROR")
    assert started.awake < 2
    silence.set()


async def test_a_client_that_vanishes_is_told_on(pair: Pair) -> None:
    """The upstream learns at once, with 1001, that nobody is there any more."""
    socket = await open_websocket(pair.sidecar)
    socket.abort()

    assert await pair.upstream.wait_closed() == 1001
    await until(lambda: closed_for(pair.sidecar, "client") == 1)


async def test_an_upstream_that_vanishes_is_told_on(pair: Pair) -> None:
    """The client gets 1014 (bad gateway), not a silence."""

    async def vanish(socket: web.WebSocketResponse) -> None:
        transport = socket._req.transport if socket._req is not None else None
        assert transport is not None
        transport.abort()

    pair.upstream.behave = vanish
    socket = await open_websocket(pair.sidecar)

    assert (await socket.closed())[0] == 1014
    await until(lambda: closed_for(pair.sidecar, "upstream") == 1)


async def flood(socket: RawWebSocket | web.WebSocketResponse, sent: list[int]) -> None:
    block = b"x" * 65536
    while True:
        if isinstance(socket, RawWebSocket):
            socket.send(BINARY, block, mask=b"\0\0\0\0")
            await socket.writer.drain()
        else:
            await socket.send_bytes(block)
        sent[0] += len(block)


async def stalls(sent: list[int]) -> None:
    """Nothing more is taken after a while."""
    async with asyncio.timeout(20):
        before = -1
        while sent[0] != before:
            before = sent[0]
            await asyncio.sleep(0.3)


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_a_side_that_does_not_read_holds_the_other_back(pair: Pair, direction: str) -> None:
    """R-003: memory is bounded by a window: what is not read is not taken from the sender either."""
    sent = [0]
    idle = asyncio.Event()

    async def behave(socket: web.WebSocketResponse) -> None:
        if direction == "down":
            await flood(socket, sent)
        await idle.wait()

    pair.upstream.behave = behave
    socket = await open_websocket(pair.sidecar)
    task = asyncio.create_task(flood(socket, sent)) if direction == "up" else None
    await stalls(sent)

    assert 0 < sent[0] < 32 * 1024 * 1024  # the kernel's own buffers, on both connections
    idle.set()
    socket.abort()
    if task is not None:
        task.cancel()


async def test_on_shutdown_every_websocket_is_told_to_go_elsewhere(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """mistakes-to-avoid 20: a rolling restart says 1001, to both sides, before the connection ends."""
    async with echo_upstream() as upstream:
        async with websocket_sidecar(access_key, tmp_path, upstream.url) as sidecar:
            sockets = [await open_websocket(sidecar) for _ in range(3)]
            sockets[0].send(TEXT, b"hello")
            assert await sockets[0].receive() == (TEXT, b"hello")
            ends = [asyncio.create_task(socket.closed()) for socket in sockets]
        assert [(await end)[0] for end in ends] == [1001, 1001, 1001]
        assert [await upstream.wait_closed(number) for number in (1, 2, 3)] == [1001, 1001, 1001]
        assert closed_for(sidecar, "shutdown") == 3


@pytest.mark.parametrize("roles", ['roles = ["super_admin"]', 'permission = "identity"'])
async def test_a_route_keeps_its_own_requirement(access_key: SigningKey, tmp_path: Path, roles: str) -> None:
    """An upgrade is a request like any other: whom the route refuses gets no websocket."""
    async with (
        echo_upstream() as upstream,
        websocket_sidecar(access_key, tmp_path, upstream.url, roles) as sidecar,
    ):
        socket = await open_websocket(sidecar, token=sidecar.token(STRANGER))
        assert socket.status == (101 if "identity" in roles else 403)
        assert len(upstream.handshakes) == (1 if "identity" in roles else 0)
        socket.abort()


async def test_a_plain_request_on_the_route_is_relayed_as_one(pair: Pair) -> None:
    """`websocket = true` allows the upgrade; it does not demand it."""
    got = await pair.sidecar.get("/live")

    assert got.status == 400  # the echo upstream's own word to a plain request
    assert pair.upstream.targets == ["/live"]
