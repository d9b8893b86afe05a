"""An upstream for the memory rows: it takes a body of any length, and gives one.

    python -m benchmarks.bulk_upstream PORT

`GET /bytes/N` answers with N bytes, no faster than they are read; anything else is read to its end
and answered with a few bytes. It keeps nothing.
"""

import asyncio
import contextlib
import re
import sys
from typing import Final

from benchmarks.given import LOCAL

_CHUNK: Final = b"x" * 65536
_LENGTH: Final = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
_BYTES: Final = re.compile(rb"GET /bytes/(\d+) ")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until it ends."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await _take(reader, int(length.group(1)) if length else 0)
            wanted = _BYTES.match(head)
            await _give(writer, int(wanted.group(1)) if wanted else 2)
    writer.close()


async def _take(reader: asyncio.StreamReader, length: int) -> None:
    while length > 0:
        chunk = await reader.read(min(length, len(_CHUNK)))
        if not chunk:
            raise ConnectionError("the body ended early")
        length -= len(chunk)


async def _give(writer: asyncio.StreamWriter, length: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % length)
    while length > 0:
        writer.write(_CHUNK[:length])
        length -= len(_CHUNK)
        await writer.drain()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(answer, LOCAL, port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
