"""An upstream that does exactly what a test wrote down, byte by byte, in place of the recorded one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.fixtures.sidecar import SidecarUnderTest

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """Run the script for each connection; the value is the upstream's URL."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)
        task.add_done_callback(lambda _task: writer.close())  # also when it was cancelled before it began

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def answering(answer: bytes) -> Script:
    """Read a head, write the answer, close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return script


async def conversation(sidecar: SidecarUnderTest, request: bytes) -> bytes:
    """All bytes that come back until the sidecar closes or breaks the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(request)
    received = b""
    try:
        async with asyncio.timeout(20):
            while chunk := await reader.read(65536):
                received += chunk
    except ConnectionError:
        received += b"<broken>"
    writer.close()
    return received


def request_bytes(
    sidecar: SidecarUnderTest, target: str = "/api/admin/tenants", *lines: str, method: str = "GET"
) -> bytes:
    """The head of a granted request."""
    head = [
        f"{method} {target} HTTP/1.1",
        "Host: admin.example.com",
        "Connection: close",
        "Origin: https://admin.example.com",
        f"Cf-Access-Jwt-Assertion: {sidecar.token()}",
        *lines,
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode()
