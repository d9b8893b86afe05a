"""Leads granted requests to their upstreams: bodies in, answers out, both as streams.

It buffers no body, follows no redirect, decodes nothing and sets no total time. The answer is relayed by
a `Transfer`; this module adds what needs a task: the body of a request, and the wait for the end.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport.request_head import request_head
from auth_proxy.transport.standing import Watch
from auth_proxy.transport.transfer import (
    HTTP_1_1,
    RESPONSE_HEADER_SECONDS,
    Client,
    Done,
    Transfer,
)
from auth_proxy.transport.unread import read_a_little
from auth_proxy.transport.upstream_connection import UpstreamConnection
from auth_proxy.transport.upstream_pool import Upstream


class AnsweringClient(Client, Protocol):
    """A client's connection that can be told which transfer writes to it."""

    transfer: Transfer | None


class Sent(web.StreamResponse):
    """An answer whose bytes are already on their way."""

    def __init__(self, status: int, *, keeps_alive: bool) -> None:
        super().__init__(status=status or 200)
        self._keep_alive = keeps_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - aiohttp's
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


class Relay:
    """The upstreams of a sidecar and the way to them."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
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

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The upstream's answer, already sent. Raises Refusal while nothing has been sent yet."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Every connection of the gate's listener is one: a QuickConnection or its base.
        client = cast("AnsweringClient", request.protocol)
        transfer = self._transfer(
            signed,
            client,
            request_id,
            keeps_alive=request.keep_alive,
            speaks_1_1=tuple(request.version) >= HTTP_1_1,
            done=lambda _transfer, refusal: _settle(over, refusal),
        )
        self._open(transfer, client)
        try:
            await self._exchange(transfer, request, over)
        finally:
            self._close(transfer, client)
            transfer.abandon()
        if not request.content.is_eof():  # the upstream did not wait for the end of the body
            await read_a_little(request)
        return Sent(transfer.status, keeps_alive=transfer.keeps_alive)

    def carry(
        self,
        signed: SignedGrant,
        client: AnsweringClient,
        request_id: str,
        *,
        keeps_alive: bool,
        speaks_1_1: bool,
        done: Done,
    ) -> bool:
        """Begin to answer a request without a body; False for one with a body, which needs a task."""
        if signed.grant.person.screened.inbound.has_body:
            return False
        transfer = self._transfer(
            signed,
            client,
            request_id,
            keeps_alive=keeps_alive,
            speaks_1_1=speaks_1_1,
            done=partial(self._carried, client, done),
        )
        self._open(transfer, client)
        try:
            transfer.start()
        except BaseException:
            self._close(transfer, client)
            raise
        return True

    def _carried(
        self, client: AnsweringClient, done: Done, transfer: Transfer, refusal: Refusal | None
    ) -> None:
        self._close(transfer, client)
        done(transfer, refusal)

    def _open(self, transfer: Transfer, client: AnsweringClient) -> None:
        client.transfer = transfer
        self._watch.opened.add(transfer)

    def _close(self, transfer: Transfer, client: AnsweringClient) -> None:
        client.transfer = None
        self._watch.opened.discard(transfer)

    def _transfer(
        self,
        signed: SignedGrant,
        client: Client,
        request_id: str,
        *,
        keeps_alive: bool,
        speaks_1_1: bool,
        done: Done,
    ) -> Transfer:
        """A transfer that has not begun yet."""
        route = signed.grant.route
        return Transfer(
            signed,
            client,
            self._upstreams[route.target],
            request_id=request_id,
            keeps_alive=keeps_alive,
            speaks_1_1=speaks_1_1,
            head=request_head(signed, request_id),
            done=done,
            ended=self._ended,
            header_seconds=route.timeouts.response_header or self._header_seconds,
        )

    async def _exchange(
        self, transfer: Transfer, request: web.BaseRequest, over: "asyncio.Future[None]"
    ) -> None:
        if not transfer.grant.person.screened.inbound.has_body:
            transfer.start()
            await over
            return
        connection = await transfer.open()
        if connection is None:
            await over  # it tells why
            return
        upload = asyncio.create_task(self._upload(transfer, connection, request))
        try:
            await over
        finally:
            upload.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await upload

    async def _upload(
        self, transfer: Transfer, connection: UpstreamConnection, request: web.BaseRequest
    ) -> None:
        """The body as it comes: an upload takes what it takes, the wait for the answer begins after it."""
        try:
            await self._copy_body(transfer, connection, request)
        except Refusal as refusal:
            transfer.refuse(refusal)
        except ConnectionError:
            return  # the upstream left, or answered before the end; the transfer knows
        else:
            connection.request_is_sent = True
            transfer.expect_answer()

    async def _copy_body(
        self, transfer: Transfer, connection: UpstreamConnection, request: web.BaseRequest
    ) -> None:
        size, most_bytes = 0, self._most_bytes(transfer.signed)
        in_chunks = transfer.grant.person.screened.inbound.content_length is None
        while chunk := await self._next_chunk(request):
            size += len(chunk)
            if size > most_bytes:  # a chunked body names no length that admit could judge
                raise Refusal(Reason.BODY_TOO_LARGE)
            await connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if in_chunks else chunk)
        if in_chunks:
            await connection.write(b"0\r\n\r\n")

    def _most_bytes(self, signed: SignedGrant) -> int:
        own = signed.grant.route.most_body_bytes
        return self._most_body_bytes if own is None else min(own, self._most_body_bytes)

    async def _next_chunk(self, request: web.BaseRequest) -> bytes:
        """What came next of the body; empty at its end. A client that stops sending is not waited for."""
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await request.content.readany()
        except TimeoutError as error:
            raise Refusal(Reason.BODY_TIMEOUT) from error
        except web.RequestPayloadError as error:
            raise Refusal(Reason.REQUEST_MALFORMED, "body") from error


def _settle(over: "asyncio.Future[None]", refusal: Refusal | None) -> None:
    if over.done():
        return  # its task was cancelled
    if refusal is None:
        over.set_result(None)
    else:
        over.set_exception(refusal)
