"""Relays websockets: the bytes of a verified handshake's two sides, frame by frame, both ways.

It negotiates no compression, takes no message apart and buffers none. It keeps nothing open that a
new request would be refused: it ends with 4401 when the token has expired, with 4403 when the
operator, the role or the permission is gone, and with 1013 ("try again later") while nobody can say,
because the list of operators is stale. On shutdown it says 1001.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusals import ANSWERS, Reason, Refusal
from auth_proxy.transport.standing import Watch
from auth_proxy.transport.transfer import RESPONSE_HEADER_SECONDS
from auth_proxy.transport.tunnel import Cause, End, Tunnel, client_side, is_upgraded, upstream_side
from auth_proxy.transport.upstream_pool import CONNECT_SECONDS, Server, Upstream
from auth_proxy.transport.websocket_frames import CloseCode
from auth_proxy.transport.websocket_handshake import (
    accepting_headers,
    check_answer,
    handshake_headers,
    new_key,
    read_offer,
)
from service_kit.web.service_url import ServiceUrl, open_session

_BY_REASON: Final = {
    Reason.TOKEN_EXPIRED: (Cause.EXPIRED, CloseCode.TOKEN_EXPIRED),
    Reason.ROSTER_UNAVAILABLE: (Cause.ROSTER_STALE, CloseCode.TRY_AGAIN_LATER),
}
_REVOKED: Final = (Cause.REVOKED, CloseCode.REVOKED)
_LEAVING: Final = End(Cause.SHUTDOWN, CloseCode.GOING_AWAY, "the service restarts")


class WebSocketRelay:
    """The open websockets of a sidecar and the way to their upstreams."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        watch: Watch,
        *,
        most_message_bytes: int,
        most_per_person: int,
        closed: Callable[[Cause], None] = lambda _cause: None,
    ) -> None:
        self._upstreams = upstreams
        self._watch = watch
        self._most_message_bytes = most_message_bytes
        self._most_per_person = most_per_person
        self._closed = closed
        self._tunnels: set[Tunnel] = set()
        self._is_leaving = False
        self._by_person: Counter[str] = Counter()
        self._sessions: dict[ServiceUrl, aiohttp.ClientSession] = {}

    @property
    def open(self) -> int:
        return len(self._tunnels)

    async def start(self) -> None:
        """Nothing is opened before it is asked for."""

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    def leave(self) -> None:
        """The process stops: tell every client, so that it goes to another sidecar at once."""
        self._is_leaving = True
        for tunnel in tuple(self._tunnels):
            tunnel.end(_LEAVING)

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The websocket, already ended. Raises Refusal while nothing has been sent yet."""
        if not is_upgraded(request):
            raise Refusal(Reason.WEBSOCKET_MALFORMED, "the parser saw no upgrade")
        offer = read_offer(signed)
        name = signed.grant.route.name
        with self._place(signed.grant.person.sub, name):
            key = new_key()
            async with self._asked(signed, handshake_headers(signed, request_id, offer, key)) as upstream:
                check_answer(upstream.status, upstream.headers, offer, key)
                bases = self._upstreams[signed.grant.route.target].bases
                headers = accepting_headers(upstream.headers, bases, offer, request_id)
                return await self._tunnel(signed, request, upstream, headers)

    @contextlib.contextmanager
    def _place(self, sub: str, route: str) -> Iterator[None]:
        if self._by_person[sub] >= self._most_per_person:
            raise Refusal(Reason.WEBSOCKET_LIMIT).at(route)
        self._by_person[sub] += 1
        try:
            yield
        finally:
            self._by_person[sub] -= 1
            if not self._by_person[sub]:
                del self._by_person[sub]

    @asynccontextmanager
    async def _asked(
        self, signed: SignedGrant, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The upstream's answer to the handshake, and the end of its connection whatever happens."""
        route = signed.grant.route
        upstream = self._upstreams[route.target]
        tried: list[Server] = []
        while True:
            server = upstream.choose(tried)
            tried.append(server)
            with server.occupied():
                try:
                    response = await self._ask(server, signed, headers)
                except aiohttp.ClientConnectorError as error:
                    server.shun()
                    if len(tried) == len(upstream.servers):
                        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, type(error).__name__) from error
                    continue
                try:
                    yield response
                finally:
                    response.close()
                return

    async def _ask(
        self, server: Server, signed: SignedGrant, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """The server's answer to the handshake. Raises ClientConnectorError where it cannot be reached."""
        timeouts = signed.grant.route.timeouts
        if server.url not in self._sessions:
            self._sessions[server.url] = open_session(server.url, limit=0)
        try:
            async with asyncio.timeout(timeouts.response_header or RESPONSE_HEADER_SECONDS):
                # Not ws_connect: it follows redirects, and would carry the identity wherever one leads.
                return await self._sessions[server.url].request(
                    "GET",
                    URL(server.url.base + signed.grant.forwarded_target, encoded=True),
                    headers=headers,
                    allow_redirects=False,
                    read_until_eof=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect or CONNECT_SECONDS),
                )
        except TimeoutError as error:
            raise Refusal(Reason.UPSTREAM_TIMEOUT) from error
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, type(error).__name__) from error

    async def _tunnel(
        self,
        signed: SignedGrant,
        request: web.BaseRequest,
        upstream: aiohttp.ClientResponse,
        headers: Mapping[str, str],
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=101, headers=headers)
        response.force_close()  # whatever comes after the websocket is no request
        await response.prepare(request)
        tunnel = Tunnel(
            client_side(request), upstream_side(upstream), most_message_bytes=self._most_message_bytes
        )
        self._tunnels.add(tunnel)
        if self._is_leaving:  # said while the upstream was being asked
            tunnel.end(_LEAVING)
        try:
            with self._watch.over(signed.grant, lambda reason: tunnel.end(_lapsed(reason))):
                await tunnel.run()
        finally:
            self._tunnels.discard(tunnel)
            self._closed(tunnel.cause)
        return response


def _lapsed(reason: Reason) -> End:
    cause, code = _BY_REASON.get(reason, _REVOKED)
    return End(cause, code, ANSWERS[reason].code)
