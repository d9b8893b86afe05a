"""An upstream that keeps every byte per request: what arrived can be parsed again by any other reader.

It reads strictly and by hand. Bytes that it cannot take for one well-framed request are kept as
`garbage`, so that a smuggled half request is seen and not lost with its connection.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_LINE = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


class FramingError(Exception):
    """The bytes are no request with exactly one reading."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: its own bytes, and what they say."""

    raw: bytes
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int = 0

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that must be there exactly once."""
        (value,) = self.all(name)
        return value


Answer = Callable[[Arrival], Awaitable[bytes]]


async def say_the_target(arrival: Arrival) -> bytes:
    """Each answer names the request that it answers: an answer on the wrong connection is seen."""
    body = arrival.target.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def take_one(buffer: bytes, connection: int = 0) -> tuple[Arrival, bytes] | None:
    """The first request in the bytes and what follows it; None while it is not whole."""
    head, end, rest = buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    fields = [_FIELD.fullmatch(entry) for entry in lines]
    if line is None or None in fields:
        raise FramingError(head)
    headers = tuple((f[1].decode("ascii"), f[2].decode("latin-1")) for f in fields if f is not None)
    framed = _body(headers, rest)
    if framed is None:
        return None
    body, rest = framed
    raw = buffer[: len(buffer) - len(rest)]
    return Arrival(raw, line[1].decode(), line[2].decode(), headers, body, connection), rest


def _body(headers: tuple[tuple[str, str], ...], rest: bytes) -> tuple[bytes, bytes] | None:
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    codings = [value for name, value in headers if name.lower() == "transfer-encoding"]
    if len(lengths) + len(codings) > 1 or (codings and codings != ["chunked"]):
        raise FramingError(headers)
    if codings:
        return _chunks(rest)
    if lengths and not re.fullmatch("[0-9]{1,18}", lengths[0]):
        raise FramingError(lengths)
    length = int(lengths[0]) if lengths else 0
    return (rest[:length], rest[length:]) if len(rest) >= length else None


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
            raise FramingError(size)
        length = int(size, 16)
        if len(rest) < length + 2:
            return None
        if rest[length : length + 2] != b"\r\n":
            raise FramingError(rest)
        if length == 0:
            return body, rest[2:]
        body, rest = body + rest[:length], rest[length + 2 :]


@dataclass
class ByteUpstream:
    """Listens, reads, answers what `answer` says, and remembers."""

    url: str = ""
    answer: Answer = say_the_target
    arrivals: list[Arrival] = field(default_factory=list)
    garbage: list[bytes] = field(default_factory=list)
    unfinished: list[bytes] = field(default_factory=list)
    """What was on its way when its connection ended: no server acts on it."""
    received_bytes: int = 0
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def forget(self) -> None:
        self.arrivals.clear()
        self.garbage.clear()
        self.unfinished.clear()
        self.received_bytes = 0
        self.answer = say_the_target

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        with contextlib.suppress(ConnectionError):
            await self._converse(reader, writer, self.connections)
        self.open.discard(writer)
        writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        buffer = b""
        while chunk := await _some(reader):
            self.received_bytes += len(chunk)
            buffer += chunk
            try:
                while taken := take_one(buffer, connection):
                    arrival, buffer = taken
                    self.arrivals.append(arrival)
                    answer = await self.answer(arrival)
                    if not answer:  # the test wants this connection to die here
                        return
                    writer.write(_without_body(answer) if arrival.method == "HEAD" else answer)
            except FramingError:
                self.garbage.append(buffer)
                return
        if buffer:
            self.unfinished.append(buffer)


def _without_body(answer: bytes) -> bytes:
    head, end, _ = answer.partition(b"\r\n\r\n")
    return head + end


async def _some(reader: asyncio.StreamReader) -> bytes:
    """What came; a reset ends a connection like any other end."""
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""


@asynccontextmanager
async def byte_upstream() -> AsyncIterator[ByteUpstream]:
    """An upstream that runs on a free port of this machine."""
    upstream = ByteUpstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for writer in tuple(upstream.open):
            writer.close()
        await asyncio.sleep(0)  # the tasks of the connections see their end
