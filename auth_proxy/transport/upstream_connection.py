"""One connection to an upstream: a request out, its answer in, and only then the next request.

llhttp parses every answer, in its strict mode; this module adds what HTTP leaves to the reader: HEAD, the
end of the connection as the end of a body, and that no byte may come which nobody asked for. A
connection is used again only when its last answer was read to the end: one that is not would hand
somebody the answer of somebody else.

For speed: the parser calls back into this object without a stream or a task between, and a body of known
length goes past the parser once its head is read (64 KB bodies: 20 % more bytes a second).
"""

import asyncio
from typing import Final, Protocol, cast

import httptools

from auth_proxy.transport.answer_head import AnswerHead, UnfitAnswerError, read_head

_MOST_HEAD_BYTES: Final = 64 * 1024
_INTERIM: Final = range(100, 200)
"""Statuses that announce something; the answer is still to come (RFC 9110 section 15.2)."""
_MOST_INTERIM: Final = 8
_SWITCHING: Final = 101
_FINAL_STATUSES: Final = range(200, 600)
_WINDOW: Final = 256 * 1024
"""Bytes of an upload that may wait in the process for an upstream that does not read."""


class Receiver(Protocol):
    """Who gets an answer. None of these calls may raise: they are made out of the parser."""

    is_head: bool
    """Whether the request was HEAD: its answer has no body, whatever its head says."""

    def interim(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """An announcement came, such as 103."""
        ...

    def begin(self, head: AnswerHead) -> None:
        """The head came."""
        ...

    def body(self, data: bytes) -> None:
        """A piece of the body came."""
        ...

    def flush(self) -> None:
        """All that was read is handed over for now."""
        ...

    def end(self) -> None:
        """The answer is whole, and the connection is free for another request."""
        ...

    def fail(self, why: str, *, is_stale: bool) -> None:
        """There will be no answer, or no end of it. `is_stale`: perhaps the server never saw the request."""
        ...


class Home(Protocol):
    """Where a connection belongs."""

    bases: tuple[str, ...]

    def joined(self) -> None:
        """There is one more."""
        ...

    def rest(self, connection: "UpstreamConnection") -> None:
        """It may be used again."""
        ...

    def shun(self) -> None:
        """The server behind it failed."""
        ...

    def left(self, connection: "UpstreamConnection") -> None:
        """It is gone."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """One connection; `send` gives it a request, the receiver gets the answer."""

    __slots__ = (
        "_began",
        "_can_write",
        "_excess",
        "_head",
        "_head_bytes",
        "_headers",
        "_home",
        "_interim",
        "_is_complete",
        "_is_held_back",
        "_keep_alive",
        "_parser",
        "_receiver",
        "_remaining",
        "_unfit",
        "is_used",
        "request_is_sent",
        "rested_at",
        "transport",
    )

    def __init__(self, home: Home) -> None:
        self._home = home
        self.transport: asyncio.Transport | None = None
        self.rested_at = 0.0
        self.is_used = False
        """Whether an answer came over it before: only then can it have been closed at the other end."""
        self.request_is_sent = True
        self._is_held_back = False
        """Whether its reading is paused, because who gets the answer does not read."""
        self._can_write: asyncio.Future[None] | None = None
        self._receiver: Receiver | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: AnswerHead | None = None
        self._head_bytes = 0
        self._remaining = self._interim = 0
        self._began = self._is_complete = self._keep_alive = self._excess = False
        self._unfit = ""

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so the type is stated, not asked.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_WINDOW)
        self._home.joined()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.transport is None:
            return  # called off before
        self.transport = None
        self._home.left(self)
        self.resume_writing()
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        if exc is None and self._head is not None and self._head.ends_with_connection:
            receiver.end()
            return
        if not self._began and not self.is_used:
            self._home.shun()
        # A connection that rested may have been closed before the request reached the other end.
        receiver.fail("the connection was lost", is_stale=self.is_used and not self._began)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            self.abort()  # an answer to no request must never become the answer to the next one
            return
        self._began = True
        if self._remaining and self._parser is None:
            self._pass_by(receiver, data)
        else:
            self._parse(data)
        if self._unfit:
            self._fail(receiver)
        elif self._is_complete:
            self._finish(receiver)
        else:
            receiver.flush()

    def pause_writing(self) -> None:
        self._can_write = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._can_write is not None and not self._can_write.done():
            self._can_write.set_result(None)
        self._can_write = None

    # What its user asks for.

    def call_off(self) -> None:
        """Nobody waits for it any more. uvloop does not tell when it drops a connection in the making."""
        if self.transport is not None:
            self.transport.abort()
            self.connection_lost(None)

    def send(self, head: bytes, receiver: Receiver, *, has_body: bool) -> None:
        """Begin a request. Its answer, or that there is none, is told to the receiver."""
        transport = self.transport
        if transport is None or self._receiver is not None:
            raise ConnectionError("the connection is gone or busy")
        if self._headers or self._began:
            self._reset()
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self._receiver = receiver
        self.request_is_sent = not has_body
        transport.write(head)

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; returns when there is room for more. Raises ConnectionError."""
        if self.transport is None or self._receiver is None:
            raise ConnectionError("the connection is gone, or the answer is already whole")
        self.transport.write(data)
        if self._can_write is not None:
            await self._can_write

    def pause_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._is_held_back = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._is_held_back = False
            self.transport.resume_reading()

    def abort(self) -> None:
        """End it now; the receiver is not told."""
        self._receiver = None
        if self.transport is not None:
            self.transport.abort()

    # What the parser tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:  # later ones are trailers, which nobody here passes on
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser, receiver = self._parser, self._receiver
        if parser is None or receiver is None or self._is_complete:
            self._excess = True
            return
        status = parser.get_status_code()
        if status in _INTERIM:
            self._hear_interim(receiver, status)
            return
        try:
            if status not in _FINAL_STATUSES:
                raise UnfitAnswerError("no status of a final answer")  # noqa: TRY301 - caught with the others
            head = read_head(status, self._headers, is_head=receiver.is_head, bases=self._home.bases)
        except UnfitAnswerError as error:
            self._unfit = str(error)
            return
        self._head = head
        self._keep_alive = parser.should_keep_alive()
        if head.has_body and not head.is_chunked:
            self._remaining = head.length or 0
        self._is_complete = receiver.is_head
        receiver.begin(head)

    def _hear_interim(self, receiver: Receiver, status: int) -> None:
        if status == _SWITCHING:  # who asks for a websocket does not come here, so nobody asked for one
            self._unfit = "a change of protocol that nobody asked for"
            return
        self._interim += 1
        if self._interim > _MOST_INTERIM:
            self._unfit = "a flood of announcements"
            return
        receiver.interim(status, self._headers)
        self._headers = []

    def on_body(self, data: bytes) -> None:
        if self._is_complete or self._receiver is None:
            self._excess = True
            return
        if self._remaining:
            self._remaining -= len(data)
        self._receiver.body(data)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._is_complete = True

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._excess = True

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            self._excess = True
            return
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._is_complete:
                self._excess = True
            elif not self._unfit:
                self._unfit = type(error).__name__
            return
        if self._head is None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._unfit = "an endless head"
        elif self._remaining and not self._is_complete:
            self._parser = None  # the rest is of a known length: nothing in it is for a parser

    def _pass_by(self, receiver: Receiver, data: bytes) -> None:
        if len(data) > self._remaining:
            self._excess = True
            data = data[: self._remaining]
        self._remaining -= len(data)
        self._is_complete = not self._remaining
        receiver.body(data)

    def _finish(self, receiver: Receiver) -> None:
        self._receiver = None
        self.is_used = True
        # After HEAD never again: a server that sends the body all the same would give it to the next person.
        if self._keep_alive and self.request_is_sent and not (self._excess or receiver.is_head):
            if self._is_held_back:  # its last client's pause is not the next one's
                self.resume_reading()
            self._home.rest(self)
        elif self.transport is not None:
            self.transport.abort()
        receiver.end()

    def _fail(self, receiver: Receiver) -> None:
        self.abort()
        receiver.fail(self._unfit, is_stale=False)
