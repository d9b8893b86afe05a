"""The quick path: plain requests are answered before aiohttp makes a task of them.

A request without a body, upgrade or expectation that comes alone in its read, on a connection that
waits for nothing else, is offered to the gate as the parser read it. What the gate does not take goes on to
aiohttp, as it was read: there is one parser, and nothing is parsed twice. Whatever comes while a request is
answered is held back, and the connection comes back to this path whenever aiohttp's task waits again.

What it trades: this file touches names that aiohttp does not document. On a version that lacks one of
them every request takes aiohttp's own way, loudly. What it saves is in docs/performance.md.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import StreamReader, http_parser, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler

from auth_proxy.pipeline.exchange import RawRequest
from auth_proxy.transport.client_connection import ClientConnection, UnparsedHandler
from auth_proxy.transport.connections import Connections

AtOnce = Callable[[RawRequest, "QuickConnection", bool], bool]
"""Asked with a request, its connection, and whether that may bring another one; False if it cannot answer."""

_MOST_HELD: Final = 64 * 1024
"""Bytes that a client may send on before it is answered, until it is no longer read from."""
_END_OF_HEAD: Final = b"\r\n\r\n"
_NAMES_OF_AIOHTTP: Final = frozenset(
    {
        "_parser",
        "_messages",
        "_waiter",
        "_upgraded",
        "_payload_parser",
        "_manager",
        "_request_count",
        "_close",
        "_force_close",
        "_next_keepalive_close_time",
        "_keepalive_timeout",
        "_process_keepalive",
    }
)
"""What the quick path touches."""


def quick_path_fits() -> bool:
    """Whether this aiohttp has every name that the quick path touches."""
    return set(dir(RequestHandler)) >= _NAMES_OF_AIOHTTP


class _AlreadyRead:
    """Stands for the parser while aiohttp takes up what the parser has read: nothing is parsed twice."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def feed_data(self, _data: bytes) -> Any:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class QuickConnection(ClientConnection):
    """A connection whose plain requests are offered to `at_once`."""

    __slots__ = ("_answers_at_once", "_at_once", "_has_place", "_held", "_is_proven", "_over", "_waits")

    def __init__(
        self,
        server: web.Server,
        unparsed: UnparsedHandler,
        clients: Connections,
        at_once: AtOnce,
        departs: Callable[[], bool] = lambda: False,
    ) -> None:
        self._held = b""
        self._waits: asyncio.Future[None] | None = None
        super().__init__(server, unparsed, clients, departs)
        self._at_once = at_once
        self._answers_at_once = False
        """A request is being answered here; aiohttp knows nothing of it."""
        self._is_proven = False
        """The last request told who asks."""
        self._has_place = False
        self._over: asyncio.Future[None] | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._answers_at_once and self.transfer is not None:
            self.transfer.abandon()

    def make_room(self) -> bool:
        return not self._answers_at_once and super().make_room()

    def _is_disposable(self, socket: asyncio.Transport) -> bool:
        return not (self._answers_at_once or self._held) and super()._is_disposable(socket)

    def data_received(self, data: bytes) -> None:
        in_body = not self._body.is_eof()
        if self._close or self._force_close:
            super().data_received(data)
        elif self._must_wait(data, in_body=in_body):
            self._hold(data)
        elif in_body or not self._is_alone(data):
            super().data_received(data)
        elif self._is_proven:
            self._clients.turns.serve_proven()
            self._clients.wakes(self)
            self._read_alone(data)
        elif self._has_place or self._clients.turns.has_place(is_new=not self._request_count):
            self._has_place = False
            self._clients.wakes(self)
            self._read_alone(data)
        else:
            self._clients.wakes(self)
            self._hold(data)
            self._clients.turns.wait(self._take_held_in_turn, is_new=not self._request_count)

    def _take_held_in_turn(self) -> None:
        self._has_place = True
        self._take_held()
        self._has_place = False

    def _must_wait(self, data: bytes, *, in_body: bool) -> bool:
        """Whether an earlier request is still being answered.

        Aiohttp could take the next one into its queue, but a client that asks on as soon as it has its
        answer, before aiohttp's task has come round, would then stay in that queue for ever.
        """
        if self._answers_at_once or self._held:
            return True
        return (
            self._waiter is None
            and not (in_body or self._messages or self._upgraded or self._payload_parser)
            and data.endswith(_END_OF_HEAD)
        )

    def _is_alone(self, data: bytes) -> bool:
        """Whether nothing came before that is not answered yet, and nothing stands behind a whole head."""
        waiter = self._waiter
        return (
            data.endswith(_END_OF_HEAD)
            and waiter is not None
            and not waiter.done()
            and not (self._messages or self._upgraded or self._payload_parser)
        )

    def _read_alone(self, data: bytes) -> None:
        """One plain request is answered at once; whatever else it was, aiohttp has it now."""
        parser = cast("Any", self._parser)
        outcome: Any
        try:
            outcome = parser.feed_data(data)
        except HttpProcessingError as error:
            outcome = error
        else:
            messages, is_upgraded, _tail = outcome
            if len(messages) == 1 and not is_upgraded and self._is_answered(*messages[0]):
                parser.message_consumed()
                return
        self._parser = cast("Any", _AlreadyRead(outcome))
        try:
            super().data_received(data)
        finally:
            if self._parser is not None:
                self._parser = parser

    def _is_answered(self, message: http_parser.RawRequestMessage, payload: StreamReader) -> bool:
        if payload is not EMPTY_PAYLOAD or message.upgrade:
            return False
        headers = message.headers
        if "Upgrade" in headers or "Expect" in headers:
            return False
        version = message.version
        raw = RawRequest(
            message.method,
            message.path,
            (version.major, version.minor),
            message.raw_headers,
            self._peer or "",
        )
        self._answers_at_once = True
        if not self._at_once(raw, self, not message.should_close):
            self._answers_at_once = False
            return False
        self._request_count += 1
        if self._manager is not None:
            self._manager.requests_count += 1
        self._head_began, self._parser_is_empty = False, True
        if self._answers_at_once:
            self._head_due = 0.0
        return True

    def exchange_is_over(self, *, keeps_alive: bool, is_proven: bool) -> None:
        """The answer of the quick path is written, or never will be."""
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
        socket = self._socket
        if socket is None:
            self._answers_at_once = False
            return
        if not keeps_alive or self._close or self._force_close:
            self._close, self._answers_at_once = True, False
            socket.close()
            if socket.get_write_buffer_size():
                self._watch_writing()
            return
        now = self._loop.time()
        self._next_keepalive_close_time = now + self._keepalive_timeout
        self._is_proven = is_proven
        if self._held:
            self._loop.call_soon(self._take_held)  # not here: an upstream's read may be what calls this
            return
        self._answers_at_once = False
        self._clients.rests(self, is_proven=is_proven, since=now)
        if is_proven:
            self._head_due = 0.0
        else:
            self._expect_head()  # as on a new connection: a place is for somebody

    def _hold(self, data: bytes) -> None:
        """Whoever sends on before the answer has come waits for it."""
        self._held += data
        if len(self._held) > _MOST_HELD and self._socket is not None and not self._socket.is_closing():
            self._socket.pause_reading()  # not before: nobody who does not read sees a client leave

    def _take_held(self) -> None:
        if not self._held:
            return
        self._answers_at_once = False
        held, self._held = self._held, b""
        if self._socket is not None and not self._socket.is_closing():
            if len(held) > _MOST_HELD:
                self._socket.resume_reading()
            self.data_received(held)

    @property
    def _waiter(self) -> "asyncio.Future[None] | None":
        """What aiohttp's task waits for between two requests: set, it has come round."""
        return self._waits

    @_waiter.setter
    def _waiter(self, waits: "asyncio.Future[None] | None") -> None:
        self._waits = waits
        if waits is not None and self._held:
            self._loop.call_soon(self._take_held)

    def _process_keepalive(self) -> None:
        if self._answers_at_once:  # aiohttp thinks that the connection rests
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def close(self) -> None:
        if self._answers_at_once:
            self._close = True  # what is being answered is the last one
            return
        super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        if self._answers_at_once:
            self._over = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._over
        await super().shutdown(timeout)
