"""A key set endpoint on loopback that misbehaves on command, byte by byte.

It speaks raw HTTP/1.1, so that it can do what no well-meaning server library would.
"""

import asyncio
import gzip
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

GIANT_CHUNK = b" " * 65_536


def raw(data: bytes) -> Answer:
    """Exactly these bytes, then the end of the connection."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


def body(content: bytes, *, status: str = "200 OK", headers: Mapping[str, str] | None = None) -> Answer:
    """A well-formed response with this content."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content))} | dict(headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return raw(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + content)


def document(value: object, *, headers: Mapping[str, str] | None = None) -> Answer:
    """A key set as Cloudflare sends it."""
    return body(json.dumps(value).encode(), headers=headers)


def status(line: str, *, headers: Mapping[str, str] | None = None) -> Answer:
    return body(b"no", status=line, headers=headers)


def redirect(line: str, location: str) -> Answer:
    return body(b"", status=line, headers={"Location": location})


def gzipped(content: bytes) -> Answer:
    return body(gzip.compress(content, mtime=0), headers={"Content-Encoding": "gzip"})


def close_delimited(content: bytes) -> Answer:
    """HTTP/1.0 without Content-Length: the end of the connection is the end of the body."""
    return raw(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + content)


def reset_in_the_middle(content: bytes) -> Answer:
    """Half of the promised content, then nothing."""
    half = content[: len(content) // 2]
    return raw(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + half)


async def hang(_writer: asyncio.StreamWriter) -> None:
    """No byte, for ever."""
    await asyncio.Event().wait()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Connection closed before the first byte."""
    writer.close()


def drip(data: bytes, *, pause: float) -> Answer:
    """One byte at a time."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


async def endless(writer: asyncio.StreamWriter) -> None:
    """A body that claims no length and never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(GIANT_CHUNK)
        await writer.drain()


class JwksServer:
    """`async with JwksServer() as server`; set `server.answer`, read `server.requests`."""

    def __init__(self, answer: Answer | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Answer = answer or status("503 Service Unavailable")
        self.requests: list[str] = []
        self._tls = tls
        self._port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def team_domain(self) -> str:
        return (
            f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else '127.0.0.1'}:{self._port}"
        )

    @property
    def url(self) -> str:
        return f"{self.team_domain}/cdn-cgi/access/certs"

    async def listen(self) -> None:
        """Listen; after `refuse` on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Stop listening: the next connection is refused, the open ones are cut."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        connection.add_done_callback(
            lambda _task: writer.close()
        )  # also when it was cancelled before it began

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                await self.answer(writer)
            finally:
                writer.close()
                await writer.wait_closed()
