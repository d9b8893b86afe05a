"""An upstream that writes down every byte it gets: the proof that nothing arrived, or what did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Type: text/plain\r\n\r\nupstream"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as the upstream's own, independent reader understood it."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that must be there exactly once."""
        (value,) = self.all(name)
        return value


@dataclass
class RecordingUpstream:
    """A minimal HTTP/1.1 server written by hand, so that it shares no parser with the sidecar."""

    url: str = ""
    answer: bytes = ANSWER
    received: list[ReceivedRequest] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.raw += head
                request = await self._read(head, reader)
                self.received.append(request)
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:  # also when the loop ends first: nothing is left for a later test to stumble over
            writer.close()

    async def _read(self, head: bytes, reader: asyncio.StreamReader) -> ReceivedRequest:
        line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        headers = tuple(
            (name, value.strip(" ")) for name, _, value in (entry.partition(":") for entry in fields)
        )
        by_name = {name.lower(): value for name, value in headers}
        if by_name.get("transfer-encoding") == "chunked":
            body = await self._read_chunks(reader)
        else:
            body = await reader.readexactly(int(by_name.get("content-length", "0")))
        self.raw += body
        return ReceivedRequest(line, headers, body)

    async def _read_chunks(self, reader: asyncio.StreamReader) -> bytes:
        body = b""
        while True:
            size = int((await reader.readuntil(b"\r\n")).strip(), 16)
            chunk = await reader.readexactly(size + 2)
            if size == 0:
                return body
            body += chunk[:-2]


@asynccontextmanager
async def recording_upstream() -> AsyncIterator[RecordingUpstream]:
    """An upstream that runs on a free port of this machine."""
    upstream = RecordingUpstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
