"""A third party's conformance suite for websockets: the Autobahn cases, as kosoku drives them.

It judges nothing itself. It runs the suite against an address, and introduces its connections to a
sidecar: the suite can send no header, so the handshake goes through a shim that adds some.
"""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from tests.fixtures.sidecar import HOST, ORIGIN, SidecarUnderTest
from tests.fixtures.standalone import LOCAL

MOST_MESSAGE_BYTES = 16 * 1024 * 1024
"""The longest message of the suite."""
PATH = "/live"
_CHUNK = 65536
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the suite says about one case."""

    behavior: str
    """OK; NON-STRICT: allowed, but not the best; INFORMATIONAL: nothing is asked for; FAILED, …"""
    closing: str
    has_passed: bool
    why: str


def installed_suite() -> ModuleType:
    """The suite. Skips the test without it; fails it when SALLYPORT_REQUIRE_ALL is set."""
    if os.environ.get("SALLYPORT_REQUIRE_ALL"):
        return importlib.import_module("kosoku")
    module: ModuleType = pytest.importorskip("kosoku")
    return module


async def verdicts(
    suite: ModuleType, port: int, *, only: Collection[str] = ("*",), without: Sequence[str] = ()
) -> dict[str, Verdict]:
    """The verdict of every case that was run against this port, by the case's number."""
    url, wanted, unwanted = f"ws://{LOCAL}:{port}{PATH}", list(only), list(without)
    try:
        results = await suite.run_fuzzingclient(url, wanted, unwanted, concurrency=_AT_ONCE)
    except suite.FailureError as failure:  # it raises when a single case fails, and has the results
        results = failure.results
    return {
        one.case_id: Verdict(
            one.behavior.value,
            one.behavior_close.value,
            one.passed,
            f"{one.result} {one.result_close} The peer closed with {one.remote_close_code}.",
        )
        for one in results
    }


@asynccontextmanager
async def echo_server(*, compress: bool = False) -> AsyncIterator[int]:
    """A websocket of aiohttp's own, which sends back what it receives: its port."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=2 * MOST_MESSAGE_BYTES, compress=compress)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    app = web.Application()
    app.router.add_get(PATH, echo)
    server = TestServer(app, host=LOCAL)
    await server.start_server(shutdown_timeout=0.1)
    try:
        assert server.port is not None
        yield server.port
    finally:
        await server.close()


@asynccontextmanager
async def introduced(sidecar: SidecarUnderTest) -> AsyncIterator[int]:
    """A port that leads to the sidecar, and says in each handshake what Cloudflare and a browser would."""
    said = (f"Host: {HOST}", f"Origin: {ORIGIN}", f"Cf-Access-Jwt-Assertion: {sidecar.token()}")
    connections: list[asyncio.StreamWriter] = []

    async def introduce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        answers, onward = await asyncio.open_connection(LOCAL, sidecar.port)
        connections.extend((writer, onward))
        onward.write(_with_lines(head, said))
        await asyncio.gather(_pass_on(reader, onward), _pass_on(answers, writer))
        for end in (writer, onward):
            end.transport.abort()

    server = await asyncio.start_server(introduce, LOCAL, 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for connection in connections:
            connection.transport.abort()
        await asyncio.sleep(0.05)  # what was waiting for them sees their end


def _with_lines(head: bytes, lines: Sequence[str]) -> bytes:
    """The suite's own handshake for our host, with more lines."""
    kept = [line for line in head.decode("ascii").split("\r\n")[:-2] if not line.startswith("Host:")]
    return "\r\n".join((*kept, *lines, "", "")).encode("ascii")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every byte as it is, and the end of them."""
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:  # one side broke off: so does the other
        writer.transport.abort()
