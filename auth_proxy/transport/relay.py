"""Forwarding a granted request and relaying the answer, both as streams.

It buffers no body, follows no redirect, decodes nothing and sets no total time. An upstream that
dies in the middle of its answer breaks the client's transfer visibly instead of ending it well; so
does a grant that no longer holds.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport.headers import client_headers, upstream_headers
from auth_proxy.transport.standing import Watch
from service_kit.web.service_url import ServiceUrl, open_session

RESPONSE_HEADER_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 5.0
_BODILESS: Final = frozenset({204, 304})
_FINAL_STATUSES: Final = range(200, 600)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What aiohttp lets in from an upstream, but rightly refuses to send (RFC 9110 section 5.5)."""


class Relay:
    """The upstreams of a sidecar and the way to them."""

    def __init__(
        self,
        upstreams: Mapping[str, ServiceUrl],
        watch: Watch,
        *,
        header_seconds: float = RESPONSE_HEADER_SECONDS,
        idle_seconds: float = 30.0,
        most_body_bytes: int = 100 * 1024 * 1024,
        ended: Callable[[Reason], None] = lambda _reason: None,
    ) -> None:
        self._upstreams = upstreams
        self._watch = watch
        self._ended = ended
        self._header_seconds = header_seconds
        self._idle_seconds = idle_seconds
        self._most_body_bytes = most_body_bytes
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def start(self) -> None:
        self._sessions = {target: open_session(url, limit=0) for target, url in self._upstreams.items()}

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The upstream's answer, already sent. Raises Refusal while nothing has been sent yet."""
        with self._watch.over(signed.grant, lambda reason: self._end(request, reason)):
            async with await self._ask(signed, request, request_id) as upstream:
                # 101 too: who asks for a websocket does not come here, so nobody asked for one.
                if upstream.status not in _FINAL_STATUSES:
                    raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "no status of a final answer")
                return await self._relay(upstream, signed, request, request_id)

    def _end(self, request: web.BaseRequest, reason: Reason) -> None:
        self._ended(reason)
        _break(request)

    async def _ask(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> aiohttp.ClientResponse:
        target, timeouts = signed.grant.route.target, signed.grant.route.timeouts
        inbound = signed.grant.person.screened.inbound
        header_seconds = timeouts.response_header or self._header_seconds
        # encoded=True: the bytes that were decided on are the bytes that go out.
        url = URL(self._upstreams[target].base + signed.grant.forwarded_target, encoded=True)
        try:
            async with asyncio.timeout(None if inbound.has_body else header_seconds) as deadline:
                return await self._sessions[target].request(
                    inbound.method,
                    url,
                    headers=upstream_headers(signed, request_id),
                    data=self._upload(signed, request, deadline) if inbound.has_body else None,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect or CONNECT_SECONDS),
                )
        except TimeoutError as error:
            raise Refusal(Reason.UPSTREAM_TIMEOUT) from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, Refusal):
                raise error.__cause__ from None
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, type(error).__name__) from error

    def _most_bytes(self, signed: SignedGrant) -> int:
        own = signed.grant.route.most_body_bytes
        return self._most_body_bytes if own is None else min(own, self._most_body_bytes)

    async def _upload(
        self, signed: SignedGrant, request: web.BaseRequest, deadline: asyncio.Timeout
    ) -> AsyncIterator[bytes]:
        """The body as it comes: an upload takes what it takes, the wait for the answer begins after it."""
        size, most_bytes = 0, self._most_bytes(signed)
        while chunk := await self._next_chunk(request):
            size += len(chunk)
            if size > most_bytes:  # a chunked body names no length that admit could judge
                raise Refusal(Reason.BODY_TOO_LARGE)
            yield chunk
        with contextlib.suppress(RuntimeError):  # the upstream answered before the end
            seconds = signed.grant.route.timeouts.response_header or self._header_seconds
            deadline.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _next_chunk(self, request: web.BaseRequest) -> bytes:
        """What came next of the body; empty at its end. A client that stops sending is not waited for."""
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await request.content.readany()
        except TimeoutError as error:
            raise Refusal(Reason.BODY_TIMEOUT) from error
        except web.RequestPayloadError as error:
            raise Refusal(Reason.REQUEST_MALFORMED, "body") from error

    async def _relay(
        self, upstream: aiohttp.ClientResponse, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        headers = client_headers(upstream.headers, self._upstreams[signed.grant.route.target].base)
        # Before `prepare`: half-way through it, it has already chosen the framing of our refusal.
        if any(_CONTROL.search(text) for item in headers.items() for text in item):
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "control character in a header")
        headers["X-Request-Id"] = request_id
        # The upstream's reason phrase is free text of its own; the status says all that counts.
        response = web.StreamResponse(status=upstream.status, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD" and upstream.status not in _BODILESS:
            try:
                await _copy(upstream.content, response, idle_seconds=signed.grant.route.timeouts.idle)
            except (aiohttp.ClientError, OSError, TimeoutError):
                _break(request)
                return response
        await response.write_eof()
        return response


async def _copy(
    body: aiohttp.StreamReader, response: web.StreamResponse, *, idle_seconds: float | None
) -> None:
    if idle_seconds is None:
        async for chunk in body.iter_any():
            await response.write(chunk)
        return
    while True:
        # The upstream's pause alone: a client that takes its time is not the route's.
        async with asyncio.timeout(idle_seconds):
            chunk = await body.readany()
        if not chunk:
            return
        await response.write(chunk)


def _break(request: web.BaseRequest) -> None:
    """End the connection without the end of the body: the client must not take half for the whole."""
    if request.transport is not None:
        request.transport.abort()
