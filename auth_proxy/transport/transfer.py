"""One granted request on its way to an upstream, and the answer on its way back to the client.

Bytes go from one connection's read straight into the other's write; nothing in between holds a body.
Who reads slowly holds the other one back: at most one window lies in the process. An upstream that dies in
the middle of its answer breaks the client's transfer visibly instead of ending it well; so does a
grant that no longer holds. It knows no request object and needs no task, so that the quick path and the
complete one share it: what is measured there is 9 µs for the way back of a short answer.
"""

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Final, Protocol

from aiohttp.helpers import rfc822_formatted_time

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusal_rendering import SERVER
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.routes import SAFE_METHODS
from auth_proxy.transport.answer_head import AnswerHead, UnfitAnswerError, read_head
from auth_proxy.transport.upstream_connection import UpstreamConnection
from auth_proxy.transport.upstream_pool import CONNECT_SECONDS, Upstream, UpstreamUnreachableError

RESPONSE_HEADER_SECONDS: Final = 60.0
HTTP_1_1: Final = (1, 1)
_NEVER: Final = float("inf")
_EARLY_HINTS: Final = frozenset({102, 103})
"""Announcements that go on to the client. 100 is not among them: who asks for it gets ours."""
_NO_CONTENT: Final = 204
_ONE_PIECE: Final = 64 * 1024
"""A head and a body up to this size are written as one piece; more is not worth the copy."""
_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in set(HTTPStatus) else ''}\r\n".encode()
    for status in range(102, 600)
}
_OURS: Final = f"Server: {SERVER}\r\nX-Request-Id: ".encode()


class Client(Protocol):
    """The connection of a client."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None when the client has left."""
        ...

    @property
    def is_held_back(self) -> bool:
        """Whether it has not read what was written to it."""
        ...

    @property
    def is_leaving(self) -> bool:
        """Whether the connection ends with the current answer, because the process does."""
        ...


Done = Callable[["Transfer", Refusal | None], None]
"""Told once: with a refusal if the client still has to be answered, without one when all is done."""


class Transfer:
    """A request under way. It is over when `done` was called; until then it may be abandoned."""

    __slots__ = (
        "_client",
        "_connecting",
        "_connection",
        "_done",
        "_ended",
        "_has_retried",
        "_head",
        "_header_seconds",
        "_idle_seconds",
        "_in_chunks",
        "_is_endless",
        "_keeps_alive",
        "_speaks_1_1",
        "_unsent",
        "_upstream",
        "due",
        "grant",
        "has_begun",
        "is_head",
        "is_new",
        "is_over",
        "request_id",
        "signed",
        "status",
    )

    def __init__(
        self,
        signed: SignedGrant,
        client: Client,
        upstream: Upstream,
        *,
        request_id: str,
        keeps_alive: bool,
        speaks_1_1: bool,
        head: bytes,
        done: Done,
        ended: Callable[[Reason], None],
        header_seconds: float = RESPONSE_HEADER_SECONDS,
    ) -> None:
        self.signed = signed
        self.grant = signed.grant
        self.request_id = request_id
        self.is_head = signed.grant.person.screened.inbound.method == "HEAD"
        self.is_new = True
        self.due = _NEVER
        self.status = 0
        self.has_begun = False
        """Whether the client has got the head: from then on nothing can be refused."""
        self.is_over = False
        self._client = client
        self._upstream = upstream
        self._keeps_alive = keeps_alive
        self._speaks_1_1 = speaks_1_1
        self._head = head
        self._done = done
        self._ended = ended
        self._header_seconds = header_seconds
        self._idle_seconds = signed.grant.route.timeouts.idle
        self._connection: UpstreamConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._has_retried = False
        self._in_chunks = self._is_endless = False
        self._unsent = b""

    @property
    def keeps_alive(self) -> bool:
        """Whether the client's connection may bring another request after this answer."""
        return self._keeps_alive

    @property
    def _is_repeatable(self) -> bool:
        inbound = self.grant.person.screened.inbound
        return inbound.method in SAFE_METHODS and not inbound.has_body

    # On its way to the upstream.

    def start(self) -> None:
        """Send a request without a body, over a connection that rests or over a new one."""
        connection = self._upstream.take(must_be_fresh=not self._is_repeatable)
        if connection is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect_and_send())
            return
        try:
            self._send(connection, has_body=False)
            self.expect_answer()
        except Refusal as refusal:
            self._finish(refusal)

    async def open(self) -> UpstreamConnection | None:
        """Send the head of a request with a body; None if it was ended while it waited for a connection.

        Raises Refusal when no server can be reached.
        """
        connection = self._upstream.take(must_be_fresh=True)
        if connection is None:
            connection = await self._connect()
        if self.is_over:  # its grant lapsed: no byte of it goes on, and nobody would end the connection
            connection.abort()
            return None
        self._send(connection, has_body=True)
        return connection

    def expect_answer(self) -> None:
        """The request is sent: from now on the upstream's time runs."""
        if not self.has_begun:
            self.due = asyncio.get_running_loop().time() + self._header_seconds

    def _send(self, connection: UpstreamConnection, *, has_body: bool) -> None:
        try:
            connection.send(self._head, self, has_body=has_body)
        except ConnectionError as error:  # it was lost a moment ago
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "lost") from error
        self._connection = connection
        if self._client.is_held_back:
            connection.pause_reading()

    async def _connect(self) -> UpstreamConnection:
        try:
            return await self._upstream.connect(self.grant.route.timeouts.connect or CONNECT_SECONDS)
        except UpstreamUnreachableError as error:
            reason = Reason.UPSTREAM_TIMEOUT if error.timed_out else Reason.UPSTREAM_UNAVAILABLE
            raise Refusal(reason, "connect") from error

    async def _connect_and_send(self) -> None:
        try:
            connection = await self._connect()
            self._send(connection, has_body=False)
            self.expect_answer()
        except Refusal as refusal:
            self._finish(refusal)
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: its client must not wait for ever
            self._finish(Refusal(Reason.INTERNAL_ERROR, type(error).__name__))

    # On its way back: what the connection to the upstream tells.

    def interim(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if status not in _EARLY_HINTS or not self._speaks_1_1:
            return
        try:
            head = read_head(status, headers, is_head=True, bases=self._upstream.bases)
        except UnfitAnswerError:
            return  # an announcement may be left out
        self._write(b"%b%b\r\n" % (_STATUS_LINES[status], head.lines))

    def begin(self, head: AnswerHead) -> None:
        self.has_begun, self.status = True, head.status
        self.due = _NEVER if self._idle_seconds is None else self._idle_from_now()
        framing = self._framing(head)
        if not self._keeps_alive or self._client.is_leaving:
            self._keeps_alive = False
            framing += b"Connection: close\r\n"
        elif not self._speaks_1_1:
            framing += b"Connection: keep-alive\r\n"
        if not head.has_date:
            framing += f"Date: {rfc822_formatted_time()}\r\n".encode()
        self._unsent = b"%b%b%b%b%b\r\n\r\n" % (
            _STATUS_LINES[head.status],
            head.lines,
            framing,
            _OURS,
            self.request_id.encode(),
        )

    def _framing(self, head: AnswerHead) -> bytes:
        """How the client is told where the body ends."""
        if head.length is not None and head.status != _NO_CONTENT:
            return b"Content-Length: %d\r\n" % head.length
        if not head.has_body:
            return b""
        if self._speaks_1_1:
            self._in_chunks = True
            return b"Transfer-Encoding: chunked\r\n"
        self._keeps_alive = False  # HTTP/1.0 knows no other end than that of the connection
        self._is_endless = True
        self._let_close_mean(broken=True)  # whoever closes it, before the end has come
        return b""

    def _let_close_mean(self, *, broken: bool) -> None:
        """Whether a close resets the client's connection: a plain one says that the body is whole."""
        transport = self._client.transport
        socket = None if transport is None else transport.get_extra_info("socket")
        if socket is None:
            return
        with contextlib.suppress(OSError):  # it is gone
            socket.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", broken, 0))

    def body(self, data: bytes) -> None:
        if self._idle_seconds is not None:
            self.due = self._idle_from_now()
        if self._in_chunks:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if not self._unsent:
            self._write(data)
        elif len(data) <= _ONE_PIECE:
            self._unsent += data
            self.flush()
        else:
            self.flush()
            self._write(data)

    def flush(self) -> None:
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self._write(unsent)

    def end(self) -> None:
        self._connection = None
        if self._in_chunks:
            self._unsent += b"0\r\n\r\n"
        self.flush()
        if self._is_endless:
            self._let_close_mean(broken=False)
        self._finish(None)

    def fail(self, why: str, *, is_stale: bool) -> None:
        self._connection = None
        if self.has_begun:
            self._break_off()
        elif is_stale and self._is_repeatable and not self._has_retried:
            self._has_retried = True
            self.due = _NEVER
            self._connecting = asyncio.get_running_loop().create_task(self._connect_and_send())
        else:
            self._finish(Refusal(Reason.UPSTREAM_UNAVAILABLE, why))

    # What others decide about it.

    def refuse(self, refusal: Refusal) -> None:
        """End it from our side; the client is answered with the refusal if it has no answer yet."""
        if self.is_over:
            return  # its client's connection may already carry somebody else's answer
        self._let_go()
        if self.has_begun:
            self._break_off()
        else:
            self._finish(refusal)

    def lapse(self, reason: Reason) -> None:
        """The grant no longer holds: half an answer is cut off, and one that has not begun is a refusal."""
        self._ended(reason)
        self.refuse(Refusal(reason))

    def overdue(self) -> None:
        """The upstream took too long, over its head or over the next piece of its body."""
        self.refuse(Refusal(Reason.UPSTREAM_TIMEOUT))

    def abandon(self) -> None:
        """The client has left, or its task ended: nobody wants the answer."""
        if not self.is_over:
            self._let_go()
            self._finish(None)

    def pause(self) -> None:
        """The client does not read."""
        if self._connection is not None:
            self.due = _NEVER if self.has_begun else self.due  # its pause is not the upstream's
            self._connection.pause_reading()

    def resume(self) -> None:
        if self._connection is not None:
            if self.has_begun and self._idle_seconds is not None:
                self.due = self._idle_from_now()
            self._connection.resume_reading()

    def _idle_from_now(self) -> float:
        return asyncio.get_running_loop().time() + (self._idle_seconds or _NEVER)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        if self._connecting is not None:
            self._connecting.cancel()

    def _break_off(self) -> None:
        """End the client's connection without the end of the body: half must not pass for the whole."""
        self._keeps_alive = False
        if self._client.transport is not None:
            self._client.transport.abort()
        self._finish(None)

    def _finish(self, refusal: Refusal | None) -> None:
        if not self.is_over:
            self.is_over = True
            self._done(self, refusal)

    def _write(self, data: bytes) -> None:
        transport = self._client.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)
