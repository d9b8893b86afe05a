"""A sidecar that lets everything in and remembers what it was sent; it decides nothing."""

import asyncio
import gzip
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web
from multidict import CIMultiDict

ANSWER = b"a body that stays compressed " * 40


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it arrived."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes


@dataclass(slots=True)
class RecordingSidecar:
    """Its answer depends on the path; `url` is where it listens."""

    url: str = ""
    requests: list[Recorded] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    websocket_close_code: int | None = None

    @property
    def last(self) -> Recorded:
        return self.requests[-1]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/ws":
            return await self._websocket(request)
        if request.path == "/first-half-then-wait":
            self._record(request, await request.content.readany())
            return await self._stream(request)
        body = await request.read()
        self._record(request, body)
        return await self._answer(request, body)

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        match request.path:
            case "/redirect":
                return web.Response(status=307, headers={"Location": "/elsewhere?a=%2F"})
            case "/two-cookies":
                response = web.Response(status=201, reason="Just Made", text="made")
                response.headers.add("Set-Cookie", "a=1; Path=/")
                response.headers.add("Set-Cookie", "b=2; HttpOnly")
                return response
            case "/gzip":
                packed = gzip.compress(ANSWER, mtime=0)
                return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
            case "/untyped":
                response = web.Response(body=b"no type")
                response.headers["X-Content-Type-Options"] = "nosniff"
                return response
            case "/echo":
                return web.Response(body=body, content_type="application/x-echo")
            case "/breaks-off":
                return await self._break_off(request)
            case _:
                return web.Response(text="ok", headers={"X-Sidecar": "yes", "Server": "inner"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first half,")
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.disconnected.set()
            raise
        await response.write(b" second half")
        return response

    async def _break_off(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"only this")
        assert request.transport is not None
        request.transport.close()
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        self._record(request, b"")
        if request.query.get("refuse"):
            return web.json_response({"error": "no"}, status=403, headers={"X-Reason": "origin"})
        socket = web.WebSocketResponse(protocols=("chat", "other"))
        await socket.prepare(request)
        while (message := await socket.receive()).type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            if message.type == WSMsgType.TEXT and message.data == "close":
                await socket.close(code=4001)
            elif message.type == WSMsgType.TEXT:
                await socket.send_str(f"you said {message.data}")
            else:
                await socket.send_bytes(message.data[::-1])
        # `socket.close_code` would be what aiohttp answered with.
        self.websocket_close_code = message.data
        self.disconnected.set()
        return socket

    def _record(self, request: web.Request, body: bytes) -> None:
        headers = CIMultiDict(request.headers)
        self.requests.append(Recorded(request.method, request.raw_path, headers, body))


async def remove_content_type(request: web.Request, response: web.StreamResponse) -> None:
    """Take back the type that aiohttp's server adds to each body: this answer shall have none."""
    if request.path == "/untyped":
        response.headers.popall("Content-Type", None)
