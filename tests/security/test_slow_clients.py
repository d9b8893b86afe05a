"""attacks.md section 3, "Slow": who takes too long, takes nothing, or takes too many connections is shed."""

import asyncio
import contextlib
import gc
import json
import re
import resource
import socket
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from tests.fixtures.sidecar import HOST, SidecarUnderTest, sidecar_under_test
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.websockets import gauge, shed_for, until
from tests.integration.auth_proxy.scripted_upstream import request_bytes, scripted

HALF_A_HEAD = f"GET /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ".encode()
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def connected(
    sidecar: SidecarUnderTest, *, receive_buffer: int = 0, local: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """One connection; a small receive buffer makes a client that does not read felt at once."""
    raw = socket.socket()
    raw.setblocking(False)
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.bind((local, 0))
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", sidecar.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the connection ended, which it must in time."""
    received = b""
    async with asyncio.timeout(20):
        try:
            while chunk := await reader.read(65536):
                received += chunk
        except ConnectionError:
            received += b"<broken>"
    return received


async def ended_soon(reader: asyncio.StreamReader) -> bytes:
    """What came until the connection ended, which takes less than a second of a machine that runs."""
    started = Stopwatch()
    received = await ended(reader)
    assert started.awake < 1
    return received


@asynccontextmanager
async def hasty(key: SigningKey, folder: Path, **overrides: str) -> AsyncIterator[SidecarUnderTest]:
    settings = {
        "AUTH_PROXY_HEADER_SECONDS": "0.3",
        "AUTH_PROXY_BODY_IDLE_SECONDS": "0.4",
        "AUTH_PROXY_WRITE_SECONDS": "0.4",
        **overrides,
    }
    async with sidecar_under_test(key, folder, **settings) as sidecar:
        await until(lambda: gauge(sidecar, "connections") == 0)
        yield sidecar


@pytest.mark.parametrize("drips", [False, True], ids=["stops", "drips"])
async def test_a_head_that_does_not_come_in_time_is_408(
    access_key: SigningKey, tmp_path: Path, drips: bool
) -> None:
    """The time is counted from the connection: one byte every now and then buys nothing."""
    async with hasty(access_key, tmp_path) as sidecar, connected(sidecar) as (reader, writer):
        started = Stopwatch()
        writer.write(HALF_A_HEAD)

        async def drip() -> None:
            while drips:
                await asyncio.sleep(0.05)
                writer.write(b"x")

        dripping = asyncio.create_task(drip())
        answer = await ended(reader)
        dripping.cancel()
        waited, awake = started.seconds, started.awake

        assert re.match(rb"HTTP/1\.[01] 408 ", answer)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "REQUEST_TIMEOUT"
        assert waited > 0.1
        assert awake < 1
        assert sidecar.refusals("header_timeout") == 1
        assert shed_for(sidecar, "slow_head") == 1
        assert sidecar.nothing_arrived
        await until(lambda: gauge(sidecar, "connections") == 0)


async def test_a_connection_without_a_byte_ends_without_a_word(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """Nobody asked anything: nothing is answered, but it is counted."""
    async with hasty(access_key, tmp_path) as sidecar, connected(sidecar) as (reader, _):
        answer = await ended_soon(reader)

        assert answer in (b"", b"<broken>")
        assert shed_for(sidecar, "silent") == 1
        assert sidecar.refusals("header_timeout") == 0


async def test_between_two_requests_a_connection_may_rest(access_key: SigningKey, tmp_path: Path) -> None:
    """Keep-alive: the time of a later head begins with its first byte."""
    async with hasty(access_key, tmp_path) as sidecar, connected(sidecar) as (reader, writer):
        request = request_bytes(sidecar).replace(b"Connection: close\r\n", b"")
        for _ in range(3):
            writer.write(request)
            assert (await reader.readuntil(b"upstream")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.4)
        writer.write(HALF_A_HEAD)
        started = Stopwatch()
        answer = await ended(reader)

        assert re.match(rb"HTTP/1\.[01] 408 ", answer)
        assert started.seconds > 0.25
        assert started.awake < 1


async def test_a_head_that_takes_its_time_within_the_limit_is_answered(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """Slow is not forbidden; too slow is."""
    async with hasty(access_key, tmp_path, AUTH_PROXY_HEADER_SECONDS="20") as sidecar:
        request = request_bytes(sidecar)
        async with connected(sidecar) as (reader, writer):
            for start in range(0, len(request), 200):
                writer.write(request[start : start + 200])
                await asyncio.sleep(0.03)
            answer = await ended(reader)

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "stops"])
async def test_a_slow_upstream_is_not_the_clients_fault(
    access_key: SigningKey, tmp_path: Path, goes_on: bool
) -> None:
    """While a request is answered, half a head behind it waits; its own time begins afterwards."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"late", b"next"):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.8 if answer == b"late" else 0)
            writer.write(OK + b"Content-Length: 4\r\n\r\n" + answer)
        await reader.read()

    async with (
        scripted(slow) as url,
        hasty(
            access_key,
            tmp_path,
            AUTH_PROXY_UPSTREAM=url,
            AUTH_PROXY_HEADER_SECONDS="20" if goes_on else "0.3",
        ) as sidecar,
        connected(sidecar) as (reader, writer),
    ):
        writer.write(request_bytes(sidecar, "/x").replace(b"Connection: close\r\n", b""))
        await asyncio.sleep(0.1)
        head = request_bytes(sidecar, "/x")
        writer.write(head[:40])
        first = await reader.readuntil(b"late")
        if goes_on:
            writer.write(head[40:])
        answer = first + await ended(reader)

    last = b"200" if goes_on else b"408"
    assert re.findall(rb"HTTP/1\.[01] (\d{3})", answer) == [b"200", last]
    assert (b"\r\n\r\nnext" in answer) is goes_on


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_body_that_stops_is_408(access_key: SigningKey, tmp_path: Path, framing: str) -> None:
    """The longest pause within a body is bounded, however it is framed."""
    async with hasty(access_key, tmp_path) as sidecar, connected(sidecar) as (reader, writer):
        writer.write(request_bytes(sidecar, "/x", framing, method="POST") + b"4\r\nhalf\r\n")
        started = Stopwatch()
        answer = await ended(reader)

        assert re.match(rb"HTTP/1\.[01] 408 ", answer)
        assert started.awake < 3
        assert sidecar.refusals("body_timeout") == 1


async def test_a_body_may_take_longer_than_a_head(access_key: SigningKey, tmp_path: Path) -> None:
    """The bytes of a body are no late head: only its pauses are measured, and afterwards nothing is."""
    async with (
        hasty(access_key, tmp_path, AUTH_PROXY_BODY_IDLE_SECONDS="3.5") as sidecar,
        connected(sidecar) as (reader, writer),
    ):
        head = request_bytes(sidecar, "/x", "Content-Length: 8", method="POST")
        # First all pauses of a body together, and then the rest after it, are longer than one may be.
        for pause, rest in ((0.45, 3.8), (0.06, 0)):
            writer.write(head.replace(b"Connection: close\r\n", b""))
            for byte in b"a body!!":
                await asyncio.sleep(pause)
                writer.write(bytes((byte,)))
            assert (await reader.readuntil(b"upstream")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(rest)

        assert [request.body for request in sidecar.upstream.received] == [b"a body!!"] * 2
        assert sidecar.refusals("header_timeout") == 0


async def test_a_client_that_reads_nothing_is_broken_off(access_key: SigningKey, tmp_path: Path) -> None:
    """Slow reading: the upstream is held back, memory stays a window, and then the client is gone."""
    sent = [0]
    finished = asyncio.Event()

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 100000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 100_000)
                await writer.drain()
                sent[0] += 100_000
        finally:
            finished.set()

    async with (
        scripted(counted) as url,
        hasty(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        connected(sidecar, receive_buffer=4096) as (_, writer),
    ):
        started = Stopwatch()
        writer.write(request_bytes(sidecar, "/x"))
        await asyncio.wait_for(finished.wait(), 20)

        assert started.seconds >= 0.4
        assert started.awake < 2
        assert 0 < sent[0] < 32_000_000
        assert shed_for(sidecar, "slow_reader") == 1
        await until(lambda: gauge(sidecar, "connections") == 0)


def narrow(sidecar: SidecarUnderTest) -> None:
    """Take the kernel's large buffers away: what is not read soon lies in the process."""
    for connection in sidecar.sidecar.gate.connections:
        assert connection.transport is not None
        end = connection.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


async def test_a_client_that_reads_slowly_but_does_is_served(access_key: SigningKey, tmp_path: Path) -> None:
    """Progress counts, not speed: the whole, and each part of it, takes longer than the limit."""
    size = 1_000_000

    async def much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + f"Content-Length: {size}\r\n\r\n".encode() + b"x" * size)
        await writer.drain()

    async with (
        scripted(much) as url,
        hasty(
            access_key,
            tmp_path,
            AUTH_PROXY_UPSTREAM=url,
            AUTH_PROXY_WRITE_SECONDS="3",
            AUTH_PROXY_HEADER_SECONDS="20",
        ) as sidecar,
        connected(sidecar, receive_buffer=4096) as (reader, writer),
    ):
        await until(lambda: gauge(sidecar, "connections") == 1)
        narrow(sidecar)
        writer.write(request_bytes(sidecar, "/x"))
        got, started = 0, Stopwatch()
        while chunk := await reader.read(10_000):
            got += len(chunk)
            await asyncio.sleep(len(chunk) / 150_000)

        assert got > size
        assert started.seconds > 6
        assert shed_for(sidecar, "slow_reader") == 0


async def test_a_client_that_asks_and_asks_and_reads_nothing(access_key: SigningKey, tmp_path: Path) -> None:
    """Pipelining without reading: answers do not pile up."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"Content-Length: 50000\r\n\r\n" + b"x" * 50_000)

    async with (
        scripted(page) as url,
        hasty(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        connected(sidecar, receive_buffer=4096) as (_, writer),
    ):
        request = request_bytes(sidecar, "/x").replace(b"Connection: close\r\n", b"")
        writer.write(request * 300)
        await until(lambda: shed_for(sidecar, "slow_reader") == 1)
        await until(lambda: gauge(sidecar, "connections") == 0)


async def test_the_last_bytes_of_an_answer_do_not_wait_for_ever(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """The answer is whole and small enough to be buffered; the client that asked takes none of it."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        size = 50_000  # below a transport's high-water mark: nothing is paused, the connection just closes
        writer.write(OK + f"Content-Length: {size}\r\n\r\n".encode() + b"x" * size)
        await reader.read()

    async with (
        scripted(page) as url,
        hasty(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url, AUTH_PROXY_HEADER_SECONDS="20") as sidecar,
        connected(sidecar, receive_buffer=2048) as (_, writer),
    ):
        await until(lambda: gauge(sidecar, "connections") == 1)
        narrow(sidecar)
        started = Stopwatch()
        writer.write(request_bytes(sidecar, "/x"))
        await until(lambda: gauge(sidecar, "connections") == 0)
        assert started.seconds >= 0.4  # it tried as long as it may
        assert shed_for(sidecar, "slow_reader") == 1


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def many_descriptors() -> int:
    """Both ends of every connection live in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 6000
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard >= wanted):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return min(2000, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500) // 2)


async def test_two_thousand_half_heads_are_shed_and_nobody_else_waits(
    access_key: SigningKey, tmp_path: Path, many_descriptors: int
) -> None:
    """Slowloris: all are gone in time, their descriptors are free, and a good client is served meanwhile."""
    patient = {"AUTH_PROXY_HEADER_SECONDS": "6", "ROSTER_MAX_STALENESS": "30"}
    async with hasty(access_key, tmp_path, **patient) as sidecar:
        before = descriptors()
        with nothing_left_open(), contextlib.ExitStack() as opened:
            await many_half_heads(sidecar, many_descriptors, opened)
            assert gauge(sidecar, "connections") > 100  # the rest may still stand in the kernel's queue
            waits = []
            for _ in range(20):
                started = Stopwatch()
                assert (await sidecar.get("/api/admin/tenants")).status == 200
                waits.append(started.awake)
                await asyncio.sleep(0.02)

            assert max(waits) < 1
            shedding = Stopwatch()
            await until(lambda: shed_for(sidecar, "slow_head") == many_descriptors, 40)
            assert shedding.awake < 12
            await until(lambda: gauge(sidecar, "connections") == 0)
            assert sidecar.refusals("header_timeout") == many_descriptors
        await until(lambda: descriptors() <= before + 5)


async def many_half_heads(sidecar: SidecarUnderTest, number: int, opened: contextlib.ExitStack) -> None:
    """That many connections, each with half a head; `opened` closes them."""
    loop = asyncio.get_running_loop()
    sockets = [opened.enter_context(socket.socket()) for _ in range(number)]
    for start in range(0, number, 100):
        some = sockets[start : start + 100]
        for item in some:
            item.setblocking(False)
        await asyncio.gather(*(loop.sock_connect(item, ("127.0.0.1", sidecar.port)) for item in some))
        for item in some:
            item.send(HALF_A_HEAD)


@contextlib.contextmanager
def nothing_left_open() -> Iterator[None]:
    """What is left open here would be warned of in the middle of another test."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(item.message) for item in caught if item.category is ResourceWarning] == []


async def test_requests_without_a_token_hold_no_place(access_key: SigningKey, tmp_path: Path) -> None:
    """Sockets with one refused request each may rest, and lock nobody out: they make room first."""
    request = f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    settings = {"AUTH_PROXY_MAX_CONNECTIONS": "3", "AUTH_PROXY_HEADER_SECONDS": "20"}
    async with hasty(access_key, tmp_path, **settings) as sidecar, contextlib.AsyncExitStack() as stack:
        strangers = []
        for _ in range(3):
            reader, writer = await stack.enter_async_context(connected(sidecar))
            strangers.append(reader)
            writer.write(request)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 403 ")
        for _ in range(5):
            assert (await sidecar.get("/api/admin/tenants")).status == 200
        assert await ended_soon(strangers[0]) in (b"", b"<broken>")
        assert shed_for(sidecar, "rested") == 1
        assert shed_for(sidecar, "limit") == 0


async def test_who_rests_longest_makes_room(access_key: SigningKey, tmp_path: Path) -> None:
    """At the limit a connection between two requests is closed for a new one; a younger one goes on."""
    settings = {"AUTH_PROXY_MAX_CONNECTIONS": "3", "AUTH_PROXY_HEADER_SECONDS": "20"}
    async with hasty(access_key, tmp_path, **settings) as sidecar, contextlib.AsyncExitStack() as stack:
        request = request_bytes(sidecar).replace(b"Connection: close\r\n", b"")
        ends = [await stack.enter_async_context(connected(sidecar)) for _ in range(3)]
        for reader, writer in (*ends, ends[0]):  # the first one rests for the shortest time
            writer.write(request)
            await reader.readuntil(b"upstream")
        assert (await sidecar.get("/api/admin/tenants")).status == 200

        assert await ended_soon(ends[1][0]) in (b"", b"<broken>")
        assert (shed_for(sidecar, "rested"), shed_for(sidecar, "limit")) == (1, 0)
        for reader, writer in (ends[0], ends[2]):
            writer.write(request)
            assert (await reader.readuntil(b"upstream")).startswith(b"HTTP/1.1 200 ")
        await until(lambda: gauge(sidecar, "connections") == 2)


async def test_there_are_only_so_many_connections(access_key: SigningKey, tmp_path: Path) -> None:
    """One more than AUTH_PROXY_MAX_CONNECTIONS is closed at once, and counted; room comes back."""
    async with (
        hasty(
            access_key, tmp_path, AUTH_PROXY_MAX_CONNECTIONS="3", AUTH_PROXY_HEADER_SECONDS="20"
        ) as sidecar,
        connected(sidecar),
        connected(sidecar),
        connected(sidecar) as (_, writer),
    ):
        await until(lambda: gauge(sidecar, "connections") == 3)
        async with connected(sidecar) as (reader, _):
            assert await ended_soon(reader) in (b"", b"<broken>")
        assert shed_for(sidecar, "limit") == 1
        assert gauge(sidecar, "connections") == 3
        writer.close()
        await until(lambda: gauge(sidecar, "connections") == 2)
        assert (await sidecar.get("/api/admin/tenants")).status == 200


async def test_one_address_has_only_so_many(access_key: SigningKey, tmp_path: Path) -> None:
    """AUTH_PROXY_MAX_CONNECTIONS_PER_PEER counts by address; another one still gets in."""
    async with (
        hasty(
            access_key, tmp_path, AUTH_PROXY_MAX_CONNECTIONS_PER_PEER="2", AUTH_PROXY_HEADER_SECONDS="20"
        ) as sidecar,
        connected(sidecar),
        connected(sidecar),
    ):
        await until(lambda: gauge(sidecar, "connections") == 2)
        async with connected(sidecar) as (reader, _):
            assert await ended_soon(reader) in (b"", b"<broken>")
        assert shed_for(sidecar, "peer_limit") == 1
        async with connected(sidecar, local="127.0.0.2") as (reader, writer):
            writer.write(request_bytes(sidecar))
            assert (await ended(reader)).startswith(b"HTTP/1.1 200 ")
