"""Two ends of an upgraded connection, and the frames between them until one side closes.

A side that does not read holds the other one back: at most a window of bytes lies in between. A
close frame of our own is only put between two frames, never into one.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import aiohttp
from aiohttp import HttpVersion11, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_writer import StreamWriter

from auth_proxy.transport.websocket_frames import CloseCode, FrameWalk, close_frame

_WINDOW: Final = 64 * 1024
_CLOSE_SECONDS: Final = 5.0
"""How long the other side may take to answer a close frame that was passed on."""
_GOODBYE_SECONDS: Final = 0.4
"""How long a close frame of our own may take: to the end of the frame before it, and to be answered."""


class Cause(StrEnum):
    """Who or what ended a websocket: the label of the metric."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    VIOLATION = "violation"
    """One side sent what is no websocket frame, or a message beyond the limit."""
    EXPIRED = "expired"
    REVOKED = "revoked"
    ROSTER_STALE = "roster_stale"
    SHUTDOWN = "shutdown"


_LAPSED: Final = frozenset({Cause.EXPIRED, Cause.REVOKED, Cause.ROSTER_STALE})


@dataclass(frozen=True, slots=True)
class End:
    """Why the sidecar ends a websocket, and what it says to the client."""

    cause: Cause
    code: CloseCode
    text: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One peer: what comes from it, and the way to it."""

    incoming: aiohttp.StreamReader
    writer: StreamWriter
    masks: bool
    """Whether what goes to it must be masked: towards a server."""

    def say(self, code: CloseCode, text: str = "") -> None:
        """Write a close frame, if there still is a connection."""
        with contextlib.suppress(ConnectionError):
            mask = secrets.token_bytes(4) if self.masks else b""
            transport = self.writer.transport
            if transport is not None and not transport.is_closing():
                transport.write(close_frame(code, text, mask=mask))

    def abort(self) -> None:
        if self.writer.transport is not None:
            self.writer.transport.abort()


class _Inlet:
    """Feeds what aiohttp reads from an upgraded connection into a stream that holds its peer back."""

    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self._stream = stream

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._stream.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._stream.feed_eof()


def is_upgraded(request: web.BaseRequest) -> bool:
    """Whether the parser stopped at this head: only then is what follows it not read as requests."""
    return request.version == HttpVersion11 and request._message.upgrade  # noqa: SLF001 - aiohttp asks it too


def client_side(request: web.BaseRequest) -> Side:
    """The client, after the 101 was written. What follows its handshake is read as frames from now on."""
    stream = _stream(request.protocol)
    request.protocol.set_parser(_Inlet(stream))  # type: ignore[arg-type]  # aiohttp names its own parser
    return Side(stream, request.writer, masks=False)  # type: ignore[arg-type]  # its only writer


def upstream_side(response: aiohttp.ClientResponse) -> Side:
    """The upstream, after its 101."""
    connection = response.connection
    protocol = connection.protocol if connection is not None else None
    if protocol is None:
        raise ConnectionError("the upstream left after its handshake")
    stream = _stream(protocol)
    protocol.set_parser(_Inlet(stream), stream)
    return Side(stream, StreamWriter(protocol, asyncio.get_running_loop()), masks=True)


def _stream(protocol: BaseProtocol) -> aiohttp.StreamReader:
    return aiohttp.StreamReader(protocol, _WINDOW, loop=asyncio.get_running_loop())


class _Direction:
    """Bytes from one side to the other, as frames."""

    def __init__(self, source: Side, sink: Side, walk: FrameWalk) -> None:
        self.source, self.sink, self.walk = source, sink, walk
        self.is_told = False
        """A close frame of our own has gone to the sink: it hears no second one."""

    async def run(self) -> None:
        """Until a close frame has passed, the source has ended, or it broke the rules."""
        while chunk := await self.source.incoming.readany():
            await self.sink.writer.write(self.walk.feed(chunk))
            if self.walk.is_closed or self.walk.violation is not None:
                return

    async def reach_boundary(self) -> None:
        """Let the rest of the current frame pass, so that one of our own may follow."""
        while not self.walk.at_boundary and (chunk := await self.source.incoming.readany()):
            await self.sink.writer.write(self.walk.feed(chunk, one_frame=True))

    async def finish(self) -> None:
        """Let what the source has still to say pass, up to its close frame, which does not."""
        self.walk.withhold_close()
        while not (self.walk.is_closed or self.walk.is_answered or self.walk.violation):
            chunk = await self.source.incoming.readany()
            if not chunk:
                return
            await self.sink.writer.write(self.walk.feed(chunk))

    async def drain(self) -> None:
        """Read on without passing anything on, until the source has closed too."""
        while not self.walk.is_closed and (chunk := await self.source.incoming.readany()):
            self.walk.feed(chunk)


class Tunnel:
    """One open websocket."""

    def __init__(self, client: Side, upstream: Side, *, most_message_bytes: int) -> None:
        def walk(*, masked: bool) -> FrameWalk:
            return FrameWalk(masked=masked, most_message_bytes=most_message_bytes)

        self._up = _Direction(client, upstream, walk(masked=True))
        self._down = _Direction(upstream, client, walk(masked=False))
        self._end: End | None = None
        self.cause = Cause.CLIENT
        """Why it ended, or would, as far as is known now."""
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self, end: End) -> None:
        """End it from our side; the first reason counts."""
        if not self._ended.done():
            self._end, self.cause = end, end.cause
            self._ended.set_result(None)

    async def run(self) -> None:
        """Relay until one side closes, breaks the rules or leaves, or until `end`."""
        up, down = asyncio.create_task(self._up.run()), asyncio.create_task(self._down.run())
        try:
            await asyncio.wait([up, down, self._ended], return_when=asyncio.FIRST_COMPLETED)
            if self._end is not None:
                await self._say_goodbye(self._end, up, down)
            elif up.done():
                await self._after(up, self._up, down, self._down)
            else:
                await self._after(down, self._down, up, self._up)
        except asyncio.CancelledError:
            await _stopped(up, down)
            self._say(self._up, CloseCode.GOING_AWAY)  # the client has gone without a word
            raise
        finally:
            await _stopped(up, down)
            self._ended.cancel()

    async def _after(
        self, done: "asyncio.Task[None]", first: _Direction, running: "asyncio.Task[None]", other: _Direction
    ) -> None:
        """One direction is over: end the other one as it deserves."""
        self.cause = Cause.CLIENT if first is self._up else Cause.UPSTREAM
        if first.walk.violation is not None:
            self.cause = Cause.VIOLATION
            code = first.walk.violation if first is self._up else CloseCode.BAD_GATEWAY
            await self._say_goodbye(End(self.cause, code, first.walk.violation.name), done, running)
            return
        if first.walk.is_closed:
            await asyncio.wait(
                [running, self._ended], timeout=_CLOSE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        await _stopped(running)
        if first.walk.is_closed:
            self._say(other, CloseCode.GOING_AWAY)  # if the other side answered, nothing more is said
            return
        if done.exception() is not None:  # it could not be written to: the sink has gone, not the source
            first = other
            self.cause = Cause.CLIENT if first is self._up else Cause.UPSTREAM
        self._say(first, CloseCode.GOING_AWAY if first is self._up else CloseCode.BAD_GATEWAY)

    async def _say_goodbye(self, end: End, *tasks: "asyncio.Task[None]") -> None:
        await _stopped(*tasks)
        if end.cause is Cause.VIOLATION and self._up.walk.violation is not None:
            # What the client said before it broke the rules was right, and is being answered.
            self._say(self._up, CloseCode.GOING_AWAY)
            await _soon(self._down.finish())
        await _soon(self._down.reach_boundary())
        self._say(self._down, end.code, end.text)
        if end.cause not in _LAPSED:  # who may say nothing more does not finish a sentence either
            await _soon(self._up.reach_boundary())
        self._say(self._up, CloseCode.GOING_AWAY)
        # Closing with bytes unread would reset the connection, and the close frame with it.
        await _soon(self._up.drain())

    def _say(self, direction: _Direction, code: CloseCode, text: str = "") -> None:
        """A close frame where one fits in; in the middle of a frame the connection just breaks."""
        if not direction.walk.at_boundary:
            direction.sink.abort()
        elif not (direction.walk.is_closed or direction.is_told):
            direction.is_told = True
            direction.sink.say(code, text)


async def _stopped(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _soon(work: Awaitable[None]) -> None:
    """The work, as far as it comes within a moment."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await work
