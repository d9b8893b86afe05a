"""One connection of a client: aiohttp's own, with an eye on whoever is slow.

A client that takes too long over a head, or does not read its answer, is shed (attacks.md section 3);
one that rests makes room, and is given up to wait in less of it (`parked`). Like `quick_path`, this file
touches names that aiohttp does not document; pyproject.toml pins the range.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, cast

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport.connections import Connections, Shed, peer_of
from auth_proxy.transport.reading_watch import ReadingWatch
from auth_proxy.transport.transfer import Transfer
from service_kit.web.leaving import PatientConnection

GateHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
UnparsedHandler = Callable[[Refusal], web.StreamResponse]

_LIMITS: Final[dict[str, Any]] = {
    # A little above what admit allows, so that admit can name the refusal.
    "max_line_size": 16 * 1024,
    "max_field_size": 32 * 1024,
    "max_headers": 256,
    "keepalive_timeout": 75,
    "lingering_time": 0,  # the gate itself reads a bounded rest of a refused body
    "auto_decompress": False,  # a proxy passes bytes on; a gzip bomb stays packed
    "access_log": None,
}
_WINDOW: Final = 256 * 1024
"""Bytes that may wait for a client that does not read; a little more than one read from an upstream, so
that an answer which the kernel takes at once never pauses anybody."""


_END_OF_HEAD: Final = b"\r\n\r\n"


class GivenUp(NamedTuple):
    """What is left of a connection whose handler is gone: all that the next handler has to know."""

    socket: asyncio.Transport
    peer: str
    due: float
    """Until when the next head must have come, or the connection ends."""


class _SlowHeadError(Exception):
    """The head of a request did not arrive in time."""


class ClientConnection(PatientConnection):
    """One connection of a client; its server is a GateServer."""

    __slots__ = (
        "_body",
        "_clients",
        "_departs",
        "_head_began",
        "_head_due",
        "_head_timer",
        "_parser_is_empty",
        "_peer",
        "_reading",
        "_socket",
        "_unparsed",
        "transfer",
    )

    def __init__(
        self,
        server: web.Server,
        unparsed: UnparsedHandler,
        clients: Connections,
        departs: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(server, loop=server._loop, **_LIMITS)  # noqa: SLF001 - aiohttp's own Server does the same
        self._unparsed = unparsed
        self._clients = clients
        self._departs = departs
        self._peer: str | None = None
        self._socket: asyncio.Transport | None = None
        self._body: StreamReader = EMPTY_PAYLOAD
        self._parser_is_empty = True
        """What was read ended with a whole message: the parser holds nothing that is still to come."""
        self._head_began = False
        self._head_due = 0.0
        self._head_timer: asyncio.TimerHandle | None = None
        self._reading: ReadingWatch | None = None
        self.transfer: Transfer | None = None
        """What writes to the client now, past aiohttp's own writer."""

    @property
    def is_held_back(self) -> bool:
        """Whether the client has not read what was written to it."""
        return self._paused

    @property
    def is_leaving(self) -> bool:
        """Whether the connection ends with the current answer."""
        return self._close or self._force_close or self._departs()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket = cast("asyncio.Transport", transport)
        peer = peer_of(socket)
        cause = self._clients.enter(peer)
        if cause is not None:
            self._manager = None  # connection_lost then has nothing to undo
            self._clients.shed(cause)
            socket.abort()
            return
        self._begin(socket, peer)
        self._expect_head()

    def take_over(self, given_up: GivenUp, *, is_timed: bool) -> None:
        """Go on with a connection that was let in long ago; a timed one ends when its head is late."""
        self._begin(given_up.socket, given_up.peer)
        if is_timed:
            self._head_due = given_up.due
            self._head_timer = self._loop.call_at(given_up.due, self._check_head)

    def _begin(self, socket: asyncio.Transport, peer: str) -> None:
        self._peer, self._socket = peer, socket
        socket.set_write_buffer_limits(high=_WINDOW)
        super().connection_made(socket)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._clients.wakes(self)
        if self._peer is not None:
            self._clients.leave(self._peer)
        self._peer = self._socket = None
        if self._head_timer is not None:
            self._head_timer.cancel()
        if self._reading is not None:
            self._reading.end()
        super().connection_lost(exc)

    async def start(self) -> None:
        try:
            await super().start()
        finally:
            # Closing waits for the last bytes to be taken: a client that takes none would wait for ever.
            if self._socket is not None and self._socket.get_write_buffer_size():
                self._watch_writing()

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: GateHandler
    ) -> tuple[web.StreamResponse, bool]:
        answered = await super()._handle_request(request, start_time, request_handler)
        if self._socket is not None and not self._messages:
            self._clients.rests(self, is_proven=True, since=self._loop.time())
        return answered

    def make_room(self) -> bool:
        """End the connection for another one, if it rests: nothing asked, and nothing left to send."""
        socket = self._socket
        if socket is None or not self._is_at_rest(socket):
            return False
        if self._peer is not None:
            self._clients.leave(self._peer)  # connection_lost comes later, the new connection is here now
        self._peer = None
        self._clients.shed(Shed.RESTED)
        socket.abort()
        return True

    def _is_at_rest(self, socket: asyncio.Transport) -> bool:
        waiter = self._waiter
        if waiter is None or waiter.done() or self._messages or self._head_began:
            return False
        return not socket.get_write_buffer_size()  # otherwise it still reads its last answer

    def give_up(self) -> GivenUp | None:
        """Leave the connection to somebody who waits in less room; None when it does not wholly rest.

        Nothing of it goes on here: no timer, no task, no entry in a book, no cycle that keeps it alive.
        """
        socket, task, manager = self._socket, self._task_handler, self._manager
        if socket is None or task is None or manager is None or not self._is_disposable(socket):
            return None
        given_up = GivenUp(socket, self._peer or "", self._head_due or self._next_keepalive_close_time)
        for timer in (self._head_timer, self._keepalive_handle):
            if timer is not None:
                timer.cancel()
        if self._reading is not None:
            self._reading.end()
        self._socket = self._peer = self._reading = self._head_timer = self._keepalive_handle = None
        self.transport = self._task_handler = self._manager = self._parser = None
        manager.connection_lost(self)
        task.cancel()  # it waits for a request, and ends without a word
        return given_up

    def _is_disposable(self, socket: asyncio.Transport) -> bool:
        """Whether it rests, and nothing of what it has read, held back or set up would be lost with it."""
        return (
            self._is_at_rest(socket)
            and self._parser_is_empty
            and self._body.is_eof()
            and not (self._close or self._force_close or self._upgraded or self._message_tail)
            and not (self._paused or self._reading_paused or self._buffer_paused)
            and self._payload_parser is None
            and self.transfer is None
            and not socket.is_closing()
        )

    def data_received(self, data: bytes) -> None:
        if data:
            self._clients.wakes(self)
        in_body, heads = not self._body.is_eof(), self._request_count
        if self._close or self._force_close:
            if in_body or self._payload_parser is not None:
                self.take_while_leaving(data)
            return
        taken = self._body.total_bytes
        super().data_received(data)
        if self._request_count != heads:
            self._body = self._messages[-1][1] if self._messages else EMPTY_PAYLOAD
            self._head_began, self._head_due = False, 0.0
        elif data and not in_body and not self._upgraded and not self._head_began:
            # What stands behind a body, or another head, in one piece with it counts from the next bytes.
            self._head_began = True
            if not self._head_due:
                self._expect_head()
        if data:
            self._parser_is_empty = self._ends_a_message(
                data, self._request_count - heads, taken if in_body else 0
            )
        request = self._current_request
        is_broken = bool(self._messages) and isinstance(self._messages[-1][0], _ErrInfo)
        # The parser's error is queued behind the request that waits for the rest of this very body.
        if is_broken and request is not None and not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("the body cannot be read on"))

    def _ends_a_message(self, data: bytes, heads: int, taken: int) -> bool:
        """Whether no head, and nothing but a body that still lacks bytes, stands behind the last message.

        An empty line ends whatever head it stands in. Without one at its end, all of the read must have
        gone into a body: what does not add up is taken for half a head.
        """
        if data.endswith(_END_OF_HEAD):
            return True
        length = self._body.total_bytes - taken
        if not heads:
            return bool(length) and length == len(data)
        end = data.find(_END_OF_HEAD)
        begins_here = heads == 1 and self._parser_is_empty and end >= 0
        return begins_here and length == len(data) - end - len(_END_OF_HEAD)

    def _expect_head(self) -> None:
        """One timer per connection: a head that comes in time moves the due time, never the timer."""
        self._head_due = self._loop.time() + self._clients.policy.header_seconds
        if self._head_timer is None:
            self._head_timer = self._loop.call_at(self._head_due, self._check_head)

    def _check_head(self) -> None:
        self._head_timer = None
        if not self._head_due or self._socket is None:
            return
        if self._loop.time() < self._head_due:
            self._head_timer = self._loop.call_at(self._head_due, self._check_head)
        elif self._waiter is None or self._messages:
            self._expect_head()  # an earlier request of the connection is still being answered
        else:
            self._shed_slow_head(self._socket, self._waiter)

    def _shed_slow_head(self, socket: asyncio.Transport, waiter: "asyncio.Future[None]") -> None:
        self._head_due = 0.0
        self._clients.shed(Shed.SLOW_HEAD if self._head_began else Shed.SILENT)
        if not self._head_began:
            socket.abort()
            return
        # The way of aiohttp's own parser errors: answered by handle_error, then closed.
        self._messages.append((_ErrInfo(status=408, exc=_SlowHeadError(), message=""), EMPTY_PAYLOAD))
        if not waiter.done():
            waiter.set_result(None)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()
        if self.transfer is not None:
            self.transfer.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.transfer is not None:
            self.transfer.resume()

    def _watch_writing(self) -> None:
        """From now on bytes must go out: what the client does not take, others wait for."""
        if self._socket is None:
            return
        if self._reading is None:
            self._reading = ReadingWatch(self._loop, self._clients, lambda: self._paused)
        self._reading.begin(self._socket)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the offending bytes, which may hold a token
    ) -> web.StreamResponse:
        """Refuse by name. aiohttp's own version logs and echoes the line it could not parse."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client left, and the gate has written that down
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent; the connection must break") from exc
        response = self._unparsed(Refusal(_reason(status, exc), type(exc).__name__))
        response.force_close()
        return response


def _reason(status: int, error: BaseException | None) -> Reason:
    if isinstance(error, LineTooLong):
        return Reason.HEADERS_TOO_LARGE
    if isinstance(error, _SlowHeadError):
        return Reason.HEADER_TIMEOUT
    return Reason.REQUEST_MALFORMED if 400 <= status < 500 else Reason.INTERNAL_ERROR  # noqa: PLR2004 - 4xx
