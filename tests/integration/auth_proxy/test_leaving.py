"""A sidecar that stops, and routes with waits of their own, through the running sidecar."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from deploy.demo.issuer import SigningKey
from tests.fixtures.sidecar import SidecarUnderTest
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.websockets import websocket_sidecar
from tests.integration.auth_proxy.scripted_upstream import conversation, request_bytes, scripted

OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def stoppable(sidecar: SidecarUnderTest) -> AsyncIterator[tuple[int, web.ServerRunner]]:
    """The same gate on a listener that a test can stop as SIGTERM does."""
    runner = web.ServerRunner(sidecar.sidecar.gate, shutdown_timeout=60)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], runner
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("framing", ["Content-Length: 8", "Transfer-Encoding: chunked"])
async def test_an_upload_on_its_way_is_finished_before_the_process_ends(
    sidecar: SidecarUnderTest, framing: str
) -> None:
    """Architecture section 9: in-flight requests finish; the rest of a body is part of one."""
    pieces = (b"half", b"rest") if "Length" in framing else (b"4\r\nhalf\r\n", b"4\r\nrest\r\n0\r\n\r\n")
    async with stoppable(sidecar) as (port, runner):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = request_bytes(sidecar, "/x", framing, method="POST").replace(b"Connection: close\r\n", b"")
        writer.write(head + pieces[0])
        await asyncio.sleep(0.2)
        stopping = asyncio.create_task(runner.cleanup())
        await asyncio.sleep(0.2)
        writer.write(pieces[1] + request_bytes(sidecar, "/behind"))
        async with asyncio.timeout(30):
            answer = await reader.read()
            await stopping
        writer.close()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [request.line.split()[1] for request in sidecar.upstream.received] == ["/x"]
    body = sidecar.upstream.received[0].body
    assert body == b"halfrest" or b"half" in body


async def test_an_idle_connection_does_not_hold_up_the_end(sidecar: SidecarUnderTest) -> None:
    """Who only waits, or has sent half a head, is not waited for."""
    async with stoppable(sidecar) as (port, runner):
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        connections[0][1].write(b"GET / HTTP/1.1\r\nHost: ")
        await asyncio.sleep(0.1)
        started = Stopwatch()
        await runner.cleanup()

        assert started.awake < 1
        for _, writer in connections:
            writer.transport.abort()


async def test_a_pause_within_an_answer_is_bounded_where_a_route_says_so(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """`idle`: a steady stream goes on for longer than that; one that stops is broken off visibly."""

    async def stops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(8):  # the last one comes later than a single `idle`, and a look of the watch, allow
            writer.write(b"4\r\ntick\r\n")
            await asyncio.sleep(0.5)
        await reader.read()

    async with (
        scripted(stops) as url,
        websocket_sidecar(access_key, tmp_path, url, "timeouts = { idle = 3 }") as sidecar,
    ):
        started = Stopwatch()
        answer = await conversation(sidecar, request_bytes(sidecar, "/live"))

    assert answer.count(b"tick") == 8
    assert b"\r\n0\r\n\r\n" not in answer
    assert started.seconds > 6.3
    assert started.awake < 9


async def test_a_route_waits_for_the_head_of_an_answer_as_long_as_it_says(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """`response_header`: 504 after that, also behind an upload; the sidecar's own limit is longer."""

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        scripted(silent) as url,
        websocket_sidecar(access_key, tmp_path, url, "timeouts = { response_header = 0.2 }") as sidecar,
    ):
        started = Stopwatch()
        read = await conversation(sidecar, request_bytes(sidecar, "/live"))
        sent = await conversation(
            sidecar, request_bytes(sidecar, "/live", "Content-Length: 4", method="POST") + b"body"
        )

    assert started.awake < 3
    assert read.startswith(b"HTTP/1.1 504 ")
    assert sent.startswith(b"HTTP/1.1 504 ")
