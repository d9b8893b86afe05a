"""Carries a request to the sidecar and its answer back, byte for byte and in a stream.

It follows no redirect, opens no compressed body, keeps no cookie and changes no path. When the sidecar is
silent it raises `SidecarSilent`; when it breaks off in the middle, so does the answer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from deploy.demo.forwarded_headers import RAY, Passage, end_to_end, headers_for_sidecar

CONNECT_SECONDS = 5.0
LONGEST_HEADER = 64 * 1024  # the sidecar judges sizes; the edge must not do so before it
MOST_HEADERS = 512
NEVER_SENT = frozenset({None, 0, 1005, 1006, 1015})  # RFC 6455, 7.4.1: a close frame has no such code
SERVER = "sallyport-demo-edge"

# What aiohttp's client would add by itself if a browser had not sent it.
ADDED_BY_THE_CLIENT = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

NO_CONTENT_TYPE = web.ResponseKey("no_content_type", bool)


class SidecarSilent(Exception):  # noqa: N818 - the name is the refusal
    """The sidecar cannot be reached, or hung up before it answered."""


class Unforwardable(Exception):  # noqa: N818 - the name is the refusal
    """The request would not arrive at the sidecar as it was sent."""


@contextlib.asynccontextmanager
async def open_forwarder(upstream: str) -> AsyncIterator["Forwarder"]:
    """A forwarder with its connections, which are closed at the end."""
    async with aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        skip_auto_headers=ADDED_BY_THE_CLIENT,
        max_line_size=LONGEST_HEADER,
        max_field_size=LONGEST_HEADER,
        max_headers=MOST_HEADERS,
    ) as http:
        yield Forwarder(http, upstream)


class Forwarder:
    """The way to one sidecar."""

    def __init__(self, http: aiohttp.ClientSession, upstream: str) -> None:
        self._http = http
        self._upstream = upstream

    async def forward(
        self, request: web.Request, passage: Passage, set_cookie: str | None
    ) -> web.StreamResponse:
        """The sidecar's answer, with one `Set-Cookie` more when the token was renewed."""
        url = self._url(request.raw_path)
        headers = headers_for_sidecar(request.headers, passage)
        _refuse_what_would_get_lost(headers)
        if is_websocket_upgrade(request):
            return await self._websocket(request, url, headers)
        try:
            answer = await self._http.request(
                request.method,
                url,
                headers=headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as silent:
            raise SidecarSilent(self._upstream) from silent
        async with answer:
            return await _relay(request, answer, passage.ray, set_cookie)

    def _url(self, target: str) -> URL:
        """The target below the sidecar's address, or `Unforwardable` where its bytes would not stay the same.

        One change is let pass: the client library drops the mark of an empty query, `/a?`.
        """
        url = URL(f"{self._upstream}{target}", encoded=True)
        if not target.startswith("/") or url.raw_path_qs not in {target, target.removesuffix("?")}:
            raise Unforwardable("the request target is no path")
        return url

    async def _websocket(
        self, request: web.Request, url: URL, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        offered = [
            name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()
        ]
        for name in [name for name in headers if name.lower().startswith("sec-websocket-")]:
            headers.popall(name, None)  # of this connection; the next one negotiates its own
        try:
            sidecar = await self._http.ws_connect(
                url, headers=headers, protocols=offered, autoping=False, autoclose=False, max_msg_size=0
            )
        except aiohttp.WSServerHandshakeError as refused:
            return web.Response(status=refused.status, headers=_without_length(refused.headers))
        except (aiohttp.ClientError, TimeoutError) as silent:
            raise SidecarSilent(self._upstream) from silent
        async with sidecar:
            chosen = (sidecar.protocol,) if sidecar.protocol else ()
            browser = web.WebSocketResponse(
                protocols=chosen, autoping=False, autoclose=False, max_msg_size=0, compress=False
            )
            await browser.prepare(request)
            await _relay_frames(browser, sidecar)
            return browser


def _refuse_what_would_get_lost(headers: CIMultiDict[str]) -> None:
    """Refuse a byte that is not UTF-8: aiohttp reads it as a lone surrogate and leaves it out when it writes.

    The sidecar would judge other bytes than the client sent. In a target aiohttp refuses such a byte itself.
    """
    try:
        "".join(headers.values()).encode()
    except UnicodeEncodeError as lost:
        raise Unforwardable("the request holds bytes that are not UTF-8") from lost


def is_websocket_upgrade(request: web.Request) -> bool:
    """RFC 6455, 4.2.1; `Connection` is a list."""
    tokens = {token.strip().lower() for token in request.headers.get("Connection", "").split(",")}
    return request.headers.get("Upgrade", "").lower() == "websocket" and "upgrade" in tokens


async def keep_answer_as_it_was(_request: web.Request, response: web.StreamResponse) -> None:
    """An `on_response_prepare` signal: undo what aiohttp's server adds to an answer that is not its own."""
    response.headers["Server"] = SERVER
    if response.get(NO_CONTENT_TYPE):
        response.headers.popall("Content-Type", None)


async def _relay(
    request: web.Request, answer: aiohttp.ClientResponse, ray: str, set_cookie: str | None
) -> web.StreamResponse:
    headers = end_to_end(answer.headers, without={RAY.lower()})
    headers.add(RAY, ray)
    if set_cookie is not None:
        headers.add("Set-Cookie", set_cookie)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    response[NO_CONTENT_TYPE] = "Content-Type" not in answer.headers
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except aiohttp.ClientPayloadError:
        # A clean end here would make half an answer look whole.
        if request.transport is not None:
            request.transport.close()
    return response


async def _relay_frames(browser: web.WebSocketResponse, sidecar: aiohttp.ClientWebSocketResponse) -> None:
    """Carry frames both ways until one side closes, then close both for its reason."""
    ways = [asyncio.create_task(_pump(browser, sidecar)), asyncio.create_task(_pump(sidecar, browser))]
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        code = done.pop().result()
        # The sidecar first: closing the browser's side ends its connection and with it this request.
        await sidecar.close(code=code)
        await browser.close(code=code)
    finally:
        for way in ways:
            way.cancel()


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> int:
    """Carry every frame one way until its source closes; the code to close with."""
    try:
        while True:
            message = await source.receive()
            match message.type:
                case WSMsgType.TEXT:
                    await sink.send_str(message.data)
                case WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case WSMsgType.PING:
                    await sink.ping(message.data)
                case WSMsgType.PONG:
                    await sink.pong(message.data)
                case WSMsgType.CLOSE:
                    return WSCloseCode.OK if message.data in NEVER_SENT else int(message.data)
                case _:
                    return WSCloseCode.GOING_AWAY
    except ConnectionError:
        return WSCloseCode.GOING_AWAY


def _without_length(headers: LooseHeaders | None) -> CIMultiDict[str]:
    """A refused upgrade's headers: aiohttp's client has dropped the body that their length spoke of."""
    kept = CIMultiDict(headers or {})
    for name in ("Content-Length", "Transfer-Encoding", "Connection", "Content-Encoding"):
        kept.popall(name, None)
    return kept
