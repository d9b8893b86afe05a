"""A connection that rests waits without a handler, and nobody can tell: the same answers, times, limits.

Every test runs twice: on asyncio's loop a parked connection keeps its transport, on uvloop it hibernates
at once. That hibernation is the same on both is what `test_hibernation` shows.
"""

import asyncio
import contextlib
import gc
import re
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from auth_proxy.transport import client_connection, parked
from auth_proxy.transport.client_connection import ClientConnection
from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fixtures.sidecar import HOST, STRANGER, SidecarUnderTest, person, sidecar_under_test
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.websockets import (
    TEXT,
    echo_upstream,
    gauge,
    open_websocket,
    shed_for,
    until,
    websocket_sidecar,
)
from tests.integration.auth_proxy.scripted_upstream import scripted
from tests.integration.auth_proxy.test_quick_path import (
    Counted,
    answer,
    connected,
    head,
    warm,
    without_chance,
)

OK = b"HTTP/1.1 200 OK\r\n"
REST = 0.1
ORIGIN = f"Origin: https://{HOST}"
STRANGERS = f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


pytestmark = pytest.mark.uvloop


def hibernates() -> bool:
    return isinstance(asyncio.get_running_loop(), uvloop.Loop)


@pytest.fixture(autouse=True)
async def a_short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait for seconds."""
    monkeypatch.setattr(parked, "REST_SECONDS", REST)
    monkeypatch.setattr(parked, "SLEEPLESS_SECONDS", 0.0 if hibernates() else 600.0)
    monkeypatch.setattr(parked, "_LOOK_SECONDS", 0.02)


def resting(sidecar: SidecarUnderTest) -> int:
    """How many connections are parked, and have come to where they stay."""
    parking = sidecar.sidecar.gate.parking
    assert parking is not None
    if hibernates():
        return len(parking.hibernation)
    return len(list(parking))


async def asked(sidecar: SidecarUnderTest, ends: Ends, request: bytes | None = None) -> bytes:
    reader, writer = ends
    writer.write(request or head(sidecar))
    return await answer(reader)


async def is_ended(ends: Ends, seconds: float = 20) -> bool:
    async with asyncio.timeout(seconds):
        with contextlib.suppress(ConnectionError):
            return await ends[0].read(1) == b""
    return True


@asynccontextmanager
async def one_parked(sidecar: SidecarUnderTest, request: bytes | None = None) -> AsyncIterator[Ends]:
    """A connection that has had one answer and rests since."""
    async with connected(sidecar) as ends:
        await asked(sidecar, ends, request)
        await until(lambda: resting(sidecar) == 1)
        yield ends


@asynccontextmanager
async def strict(key: SigningKey, folder: Path, **limits: str) -> AsyncIterator[SidecarUnderTest]:
    """A sidecar with these limits, and nobody connected."""
    async with sidecar_under_test(key, folder, **limits) as sidecar:
        await until(lambda: gauge(sidecar, "connections") == 0)
        yield sidecar


@pytest.mark.parametrize("is_quick", [True, False], ids=["quick", "complete"])
async def test_who_rested_is_answered_like_anybody(sidecar: SidecarUnderTest, is_quick: bool) -> None:
    """R-003: status, headers and body are the same after a rest, through either door, again and again."""
    counted = Counted(sidecar)
    if not is_quick:
        counted.server.at_once = None
    token = sidecar.token()
    requests = [head(sidecar, token=token), head(sidecar, token=sidecar.token(STRANGER)), STRANGERS]
    async with connected(sidecar) as ends:
        for request in requests if is_quick else requests[:2]:  # the complete path keeps no stranger
            awake = await asked(sidecar, ends, request)
            for _ in range(3):
                await until(lambda: resting(sidecar) == 1)
                assert without_chance(await asked(sidecar, ends, request)) == without_chance(awake)
        assert gauge(sidecar, "connections") == 1


async def test_who_asks_in_time_keeps_the_handler(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a rest is worth parking: whoever asks on pays for no new handler.

    Each look comes a rest after the question was sent, and so less than one after the answer: nothing but
    the time of the last answer keeps the handler.
    """
    monkeypatch.setattr(parked, "REST_SECONDS", 600.0)
    parking, loop = sidecar.sidecar.gate.parking, asyncio.get_running_loop()
    assert parking is not None
    async with connected(sidecar) as ends:
        await asked(sidecar, ends)
        handler = sidecar.sidecar.gate.connections[0]
        for _ in range(8):
            sent = loop.time()
            await asyncio.sleep(0.02)  # uvloop counts in milliseconds
            await asked(sidecar, ends)
            await until(lambda: len(parking.clients.proven.awake) == 1)
            parking._do_some(sent + parked.REST_SECONDS)
            assert sidecar.sidecar.gate.connections == [handler]
        monkeypatch.setattr(parked, "REST_SECONDS", REST)
        await until(lambda: resting(sidecar) == 1)  # nothing else kept it
        assert sidecar.sidecar.gate.connections != [handler]


@pytest.mark.parametrize("cut", [1, 10, 40, -30, -3, -1])
async def test_half_a_head_wakes_and_the_rest_completes_it(sidecar: SidecarUnderTest, cut: int) -> None:
    """The bytes that wake are the first that the new parser reads, wherever the network cut them."""
    request = head(sidecar, "/cut")
    async with one_parked(sidecar) as (reader, writer):
        writer.write(request[:cut])
        await until(lambda: resting(sidecar) == 0)
        await asyncio.sleep(3 * REST)
        assert resting(sidecar) == 0  # a handler that holds half a head stays
        writer.write(request[cut:])
        assert (await answer(reader)).startswith(OK)

    assert sidecar.upstream.received[-1].line.split()[1] == "/cut"


async def test_pipelined_requests_wake_and_are_answered_in_order(sidecar: SidecarUnderTest) -> None:
    """RFC 9112 section 9.3.2: also where all of them are the first bytes after a rest."""
    upload = head(sidecar, "/b", "Content-Length: 4", ORIGIN, method="POST") + b"body"
    sent = head(sidecar, "/a") + upload + head(sidecar, "/c") + head(sidecar, "/d")[:30]
    async with one_parked(sidecar) as (reader, writer):
        sidecar.upstream.received.clear()
        writer.write(sent)
        for _ in range(3):
            assert (await answer(reader)).startswith(OK)
        await asyncio.sleep(3 * REST)
        assert resting(sidecar) == 0  # half a head stands behind the last one
        writer.write(head(sidecar, "/d")[30:])
        assert (await answer(reader)).startswith(OK)

    assert [item.line.split()[1] for item in sidecar.upstream.received] == ["/a", "/b", "/c", "/d"]
    assert sidecar.upstream.received[1].body == b"body"


async def test_garbage_wakes_and_is_refused_by_name(sidecar: SidecarUnderTest) -> None:
    """R-003: what is no request is refused after a rest as before it, and ends the connection."""
    async with one_parked(sidecar) as ends:
        refused = await asked(sidecar, ends, b"GET /x\x00 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert re.match(rb"HTTP/1\.[01] 400 ", refused)
        assert await is_ended(ends)


@pytest.mark.parametrize(
    ("lines", "pieces"),
    [
        (("Content-Length: 8",), (b"a body!!",)),
        (("Content-Length: 8",), (b"", b"a bo", b"dy!!")),
        (("Content-Length: 8",), (b"a bo", b"dy!!")),
        (("Content-Length: 8",), (b"body\r\n\r\n",)),
        (("Transfer-Encoding: chunked",), (b"8\r\na body!!\r\n0\r\n\r\n",)),
        (("Transfer-Encoding: chunked",), (b"8\r\na bo", b"dy!!\r\n0\r\n\r\n")),
    ],
)
async def test_uploads_are_followed_by_a_rest(
    sidecar: SidecarUnderTest, lines: tuple[str, ...], pieces: tuple[bytes, ...]
) -> None:
    """A body that ends where its read ends leaves nothing behind: its connection is parked."""
    async with connected(sidecar) as (reader, writer):
        upload = head(sidecar, "/u", *lines, ORIGIN, method="POST")
        for number, piece in enumerate(pieces):
            writer.write(piece if number else upload + piece)
            await asyncio.sleep(0.02)
        assert (await answer(reader)).startswith(OK)
        await until(lambda: resting(sidecar) == 1)
        assert (await asked(sidecar, (reader, writer))).startswith(OK)


@pytest.mark.parametrize("body", [b"a body!!", b"\r\n\r\nbody", b"body\r\n\r\n"])
@pytest.mark.parametrize("behind", [b"G", b"GET ", None], ids=["G", "GET", "nearly a head"])
@pytest.mark.parametrize("is_cut", [False, True], ids=["with the head", "apart"])
async def test_half_a_head_behind_a_body_is_not_lost(
    sidecar: SidecarUnderTest, body: bytes, behind: bytes | None, is_cut: bool
) -> None:
    """A parser that holds a byte of the next request is never given up."""
    following = head(sidecar, "/behind")
    begun = following[:-1] if behind is None else behind
    async with connected(sidecar) as (reader, writer):
        upload = head(sidecar, "/u", "Content-Length: 8", ORIGIN, method="POST")
        for piece in (upload, body + begun) if is_cut else (upload + body + begun,):
            writer.write(piece)
            await asyncio.sleep(0.02)
        assert (await answer(reader)).startswith(OK)
        await asyncio.sleep(3 * REST)
        assert resting(sidecar) == 0
        writer.write(following[len(begun) :])
        assert (await answer(reader)).startswith(OK)
        if behind is not None:  # a last byte that comes alone leaves open what it ended
            await until(lambda: resting(sidecar) == 1)

    assert [item.line.split()[1] for item in sidecar.upstream.received[-2:]] == ["/u", "/behind"]


async def test_half_a_head_after_a_rest_is_408(access_key: SigningKey, tmp_path: Path) -> None:
    """attacks.md section 3: the time of a head begins with its first byte, also where that byte wakes."""
    async with strict(access_key, tmp_path, AUTH_PROXY_HEADER_SECONDS="0.3") as sidecar:
        async with one_parked(sidecar) as (reader, writer):
            await asyncio.sleep(0.5)  # whoever is known may rest for longer than a head may take
            writer.write(head(sidecar)[:40])
            started = Stopwatch()
            assert re.match(rb"HTTP/1\.[01] 408 ", await answer(reader))
            assert started.seconds > 0.25
            assert started.awake < 1
        assert shed_for(sidecar, "slow_head") == 1


async def test_a_parked_stranger_has_as_long_as_an_awake_one(access_key: SigningKey, tmp_path: Path) -> None:
    """attacks.md section 3: who proved nobody has header_seconds from the answer on, half a head or not."""
    async with strict(access_key, tmp_path, AUTH_PROXY_HEADER_SECONDS="4") as sidecar:
        started = Stopwatch()
        async with one_parked(sidecar, STRANGERS) as ends:
            assert await is_ended(ends)
            assert started.seconds > 3.9
            assert started.awake < 5
        assert shed_for(sidecar, "silent") == 1
        started = Stopwatch()
        async with one_parked(sidecar, STRANGERS) as ends:
            await asyncio.sleep(0.5)
            assert b" 408 " in await asked(sidecar, ends, STRANGERS[:20])
            assert started.seconds > 3.9
            assert started.awake < 4.45
        assert shed_for(sidecar, "slow_head") == 1
        await until(lambda: gauge(sidecar, "connections") == 0)


async def test_a_first_head_has_its_time_from_the_connection_on(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """attacks.md section 3: whoever waits with the first byte has less time for the others."""
    async with strict(access_key, tmp_path, AUTH_PROXY_HEADER_SECONDS="4") as sidecar:
        started = Stopwatch()
        async with connected(sidecar) as ends:
            await asyncio.sleep(0.5)
            assert b" 408 " in await asked(sidecar, ends, STRANGERS[:20])
            assert started.seconds > 3.9
            assert started.awake < 4.45


async def test_a_rest_ends_with_the_keep_alive_time(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted from the answer on, not from being parked, and anew after the next one."""
    monkeypatch.setitem(client_connection._LIMITS, "keepalive_timeout", 3)
    async with one_parked(sidecar) as ends:
        await asyncio.sleep(0.6)
        started = Stopwatch()
        await asked(sidecar, ends)
        await until(lambda: resting(sidecar) == 1)
        assert await is_ended(ends)
        assert started.seconds > 2.9
        assert started.awake < 3.5
    assert {cause: shed_for(sidecar, cause) for cause in ("silent", "rested")} == {"silent": 0, "rested": 0}
    await until(lambda: gauge(sidecar, "connections") == 0)


async def test_the_parked_make_room_in_their_order(access_key: SigningKey, tmp_path: Path) -> None:
    """Strangers first, then who has rested longest; parked before awake, and who woke is the youngest."""
    async with (
        strict(access_key, tmp_path, AUTH_PROXY_MAX_CONNECTIONS="4") as sidecar,
        contextlib.AsyncExitStack() as stack,
    ):

        async def opened(request: bytes | None = None) -> Ends:
            ends = await stack.enter_async_context(connected(sidecar))
            await asked(sidecar, ends, request)
            await asyncio.sleep(0.02)
            return ends

        woken, oldest, second, stranger = [
            await opened(),
            await opened(),
            await opened(),
            await opened(STRANGERS),
        ]
        await until(lambda: resting(sidecar) == 4)
        await asked(sidecar, woken)
        new = []
        for first in (stranger, oldest, second, woken):
            new.append(await opened())
            assert await is_ended(first)
            assert gauge(sidecar, "connections") == 4
        assert (shed_for(sidecar, "rested"), shed_for(sidecar, "limit")) == (4, 0)
        for ends in new:
            assert (await asked(sidecar, ends)).startswith(OK)


async def test_one_address_has_only_so_many_parked_or_not(access_key: SigningKey, tmp_path: Path) -> None:
    """attacks.md section 3: parking frees no place of an address, and waking takes no second one."""
    limits = {"AUTH_PROXY_MAX_CONNECTIONS_PER_PEER": "2"}
    async with strict(access_key, tmp_path, **limits) as sidecar:
        async with connected(sidecar) as one, connected(sidecar) as other:
            for _ in range(3):
                for ends in (one, other):
                    assert (await asked(sidecar, ends)).startswith(OK)
                await until(lambda: resting(sidecar) == 2)
            assert gauge(sidecar, "connections") == 2
            async with connected(sidecar) as third:
                assert await is_ended(third)
            assert shed_for(sidecar, "peer_limit") == 1
        await until(lambda: gauge(sidecar, "connections") == 0)
        async with connected(sidecar) as one, connected(sidecar) as other:
            assert (await asked(sidecar, one)).startswith(OK)
            assert (await asked(sidecar, other)).startswith(OK)


@pytest.mark.parametrize("half_close", [True, False], ids=["end of file", "reset"])
async def test_a_parked_client_may_leave(sidecar: SidecarUnderTest, half_close: bool) -> None:
    """Its place is free at once."""
    async with one_parked(sidecar) as (reader, writer):
        if half_close:
            writer.write_eof()
            assert await is_ended((reader, writer))
        else:
            writer.transport.abort()
        await until(lambda: gauge(sidecar, "connections") == 0)
        assert resting(sidecar) == 0
        assert not sidecar.sidecar.gate.connections


async def slow_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the path that was asked, a slow one after eight rests."""
    while True:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        await asyncio.sleep(8 * REST if b"slow" in path else 0)
        writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(path), path))


async def test_a_stopping_process_waits_for_no_parked_connection(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """Architecture section 9: the parked ones end at once; what is being answered goes on and is no rest."""
    may_answer = asyncio.Event()

    async def when_told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while path := (await reader.readuntil(b"\r\n\r\n")).split()[1]:
            if path == b"/slow":
                await may_answer.wait()
            writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(path), path))

    async with (
        scripted(when_told) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        runner = web.ServerRunner(sidecar.sidecar.gate, shutdown_timeout=60)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with one_parked(sidecar) as ends, connected(sidecar) as (reader, writer):
            writer.write(head(sidecar, "/slow"))
            await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
            await asyncio.sleep(2 * REST)
            assert resting(sidecar) == 1  # a slow answer is no rest
            stopping = asyncio.create_task(runner.cleanup())
            assert await is_ended(ends, 3)
            assert gauge(sidecar, "requests_in_flight") == 1
            may_answer.set()
            assert (await answer(reader)).endswith(b"/slow")
            await stopping
        await until(lambda: gauge(sidecar, "connections") == 0)


async def test_an_upgraded_connection_is_never_parked(access_key: SigningKey, tmp_path: Path) -> None:
    """A websocket without a message is no connection between two requests."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 0\r\n\r\n")
        await reader.read()

    async with scripted(behave) as url, websocket_sidecar(access_key, tmp_path, url) as sidecar:
        socket = await open_websocket(sidecar)
        await asyncio.sleep(3 * REST)
        assert resting(sidecar) == 0
        socket.abort()


async def test_a_thousand_connections_are_parked_and_woken_in_turn(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """performance.md section 4: not one body of somebody else, in a crowd where nobody rests for long."""
    monkeypatch.setattr(parked, "REST_SECONDS", 60.0)
    monkeypatch.setattr(parked, "_CROWD", 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    async with (
        scripted(slow_echo) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        contextlib.AsyncExitStack() as stack,
    ):
        token = sidecar.token()
        ends = [await stack.enter_async_context(connected(sidecar)) for _ in range(1000)]
        for turn in range(2):
            for number, (reader, writer) in enumerate(ends):
                path = f"/{number}-{turn}"
                writer.write(head(sidecar, path, token=token))
                assert (await answer(reader)).endswith(b"\r\n\r\n" + path.encode())
            await until(lambda: resting(sidecar) == 980)
        assert gauge(sidecar, "connections") == 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """What a cycle keeps alive stays.

    What was there before is neither collected nor looked through: in a process that has run thousands of
    tests either took longer than the operator list may be old.
    """
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def handlers() -> int:
    return sum(isinstance(item, ClientConnection) for item in gc.get_objects())


@pytest.mark.parametrize("is_quick", [True, False], ids=["quick", "complete"])
async def test_a_parked_connection_has_no_handler_at_all(
    sidecar: SidecarUnderTest, is_quick: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """performance.md section 5: no cycle, task, timer or book keeps the handler, and nothing is logged."""
    counted = Counted(sidecar)
    if not is_quick:
        counted.server.at_once = None
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: complaints.append(what))
    with no_collector():
        tasks = len(asyncio.all_tasks())
        async with contextlib.AsyncExitStack() as stack:
            some = [await stack.enter_async_context(connected(sidecar)) for _ in range(20)]
            for ends in some:
                await asked(sidecar, ends)
            await until(lambda: resting(sidecar) == 20)
            await asyncio.sleep(0.05)
            assert handlers() == 0
            assert len(asyncio.all_tasks()) == tasks
            assert len(sidecar.sidecar.gate.connections) == 20
        await until(lambda: gauge(sidecar, "connections") == 0)
    assert complaints == []
    assert [record for record in caplog.records if record.name.startswith(("aiohttp", "asyncio"))] == []


async def test_who_never_sent_a_byte_has_no_handler(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks.md section 3: a flood of connections costs their sockets; a process that stops ends them."""
    monkeypatch.setattr(parked, "REST_SECONDS", 60.0)
    runner = web.ServerRunner(sidecar.sidecar.gate, shutdown_timeout=60)
    await runner.setup()
    with no_collector():
        async with contextlib.AsyncExitStack() as stack:
            some = [await stack.enter_async_context(connected(sidecar)) for _ in range(20)]
            await until(lambda: gauge(sidecar, "connections") == 20)
            assert handlers() == 0
            assert len(sidecar.sidecar.gate.connections) == 20
            assert (await asked(sidecar, some[0])).startswith(OK)
            assert handlers() == 1
            started = Stopwatch()
            await runner.cleanup()
            for ends in some:
                assert await is_ended(ends)
            assert started.awake < 0.5
        await until(lambda: gauge(sidecar, "connections") == 0)


async def test_an_unknown_aiohttp_parks_nobody(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """performance.md section 3: the private names are counted at start; without one all is as it was."""
    assert parked.parking_fits()
    monkeypatch.setattr(parked, "_NAMES_OF_AIOHTTP", parked._NAMES_OF_AIOHTTP | {"_unheard_of"})
    async with sidecar_under_test(access_key, tmp_path) as sidecar:
        assert sidecar.sidecar.gate.parking is None
        async with connected(sidecar) as ends:
            for _ in range(3):
                assert (await asked(sidecar, ends)).startswith(OK)
                await asyncio.sleep(2 * REST)
            assert len(sidecar.sidecar.gate.connections) == 1


ASKED = {
    "granted": ("GET", "/x", (), b""),
    "refused": ("GET", "/x", (), b""),
    "upload": ("POST", "/x", ("Content-Length: 4", ORIGIN), b"body"),
    "refused upload": ("POST", "/x", ("Content-Length: 4", "Origin: https://evil.example"), b"body"),
}


@pytest.mark.parametrize("is_parked", [True, False], ids=["parked", "awake"])
@pytest.mark.parametrize("is_quick", [True, False], ids=["quick", "complete"])
@pytest.mark.parametrize("name", ASKED)
async def test_a_lame_duck_ends_each_connection_with_its_answer(
    sidecar: SidecarUnderTest, name: str, is_quick: bool, is_parked: bool
) -> None:
    """Architecture section 9: clients move to another process, each told so by the answer that it gets."""
    method, target, lines, body = ASKED[name]
    token = sidecar.token(STRANGER if name == "refused" else person(Role.SUPER_ADMIN))
    await warm(sidecar, token)  # what is proven is answered at once
    request = head(sidecar, target, *lines, method=method, token=token) + body
    server = sidecar.sidecar.gate
    server.at_once = server.at_once if is_quick else None
    async with connected(sidecar) as ends:
        assert b"\r\nconnection:" not in (await asked(sidecar, ends, head(sidecar, token=token))).lower()
        if is_parked:
            await until(lambda: resting(sidecar) == 1)
        sidecar.sidecar.departure.has_begun = True
        last = await asked(sidecar, ends, request)
        assert b"\r\nconnection: close\r\n" in last.lower()
        assert await is_ended(ends)


async def test_a_lame_duck_still_opens_websockets(access_key: SigningKey, tmp_path: Path) -> None:
    """Architecture section 9: it takes what comes until it stops; a handshake says `upgrade`, not `close`."""
    async with echo_upstream() as upstream, websocket_sidecar(access_key, tmp_path, upstream.url) as sidecar:
        sidecar.sidecar.departure.has_begun = True
        socket = await open_websocket(sidecar)
        assert socket.status == 101
        assert socket.header("connection").lower() == "upgrade"
        socket.send(TEXT, b"hello")
        assert await socket.receive() == (TEXT, b"hello")
        socket.abort()


async def test_what_was_promised_before_the_departure_is_kept(access_key: SigningKey, tmp_path: Path) -> None:
    """An answer whose head is still to come says it; the connection ends with that one."""
    async with (
        scripted(slow_echo) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        connected(sidecar) as ends,
    ):
        ends[1].write(head(sidecar, "/slow"))
        await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
        sidecar.sidecar.departure.has_begun = True
        assert b"\r\nConnection: close\r\n" in await answer(ends[0])
        assert await is_ended(ends)
