"""A static upstream that costs next to nothing: it answers every request head with the same kilobyte."""

import asyncio
import sys
from typing import cast

from service_kit.web.serving import run_service

_BODY = b"x" * 1024
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + _BODY


class _Static(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so the type is stated, not asked.
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(heads))


async def _serve(stop: asyncio.Event, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Static, "127.0.0.1", port)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    run_service(lambda stop: _serve(stop, int(sys.argv[1])))
