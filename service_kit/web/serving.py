"""Running the listeners of a process: bind, say where, stop gracefully.

It binds nothing that a setting did not name, and a port that is taken is one clear line.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from service_kit.settings import Listen
from service_kit.telemetry.logging import get_logger
from service_kit.web.leaving import PatientConnection, cut_off
from service_kit.web.listening import (
    BACKLOG,
    Opened,
    PortInUseError,
    SocketFile,
    open_listeners,
    turn_newcomers_away,
    waiting_connections,
)
from service_kit.web.ops import ReadinessCheck

__all__ = ["DRAIN_SECONDS", "PortInUseError", "Site", "end_at_once", "run_service", "serving"]

DRAIN_SECONDS: Final = 30.0
OPENING_SECONDS: Final = 2.0
"""So long a listener waits for its process to be able to serve: whoever finds nobody goes elsewhere. Then it
opens all the same, because an answer that says what is missing is better than none."""
_LAST_LOOK_SECONDS: Final = 1.0
"""Whoever tells of the end may finish that, also when the drain took all its time."""
_HANDSHAKE_SECONDS: Final = 0.05
"""Who has begun to connect is let in: so long a packet may be on its way there and back. Whoever begins in
that time is refused a second later."""
_SETTLE_SECONDS: Final = 0.5
"""Who has just connected has a request on its way: that long it is waited for before idle ones are closed."""
_LAST_ANSWERS_SECONDS: Final = 2.5
"""So long a service that leaves says `Connection: close` with each answer, before it closes what rests. The
sidecar sends what it must not send twice only over a connection that has rested for a second (its
FRESH_SECONDS): none of those is left by then, and no change is lost on its way to a service that stops."""
_SETTLE_LOOKS: Final = 0.02
_SAME_WISH_SECONDS: Final = 1.0
_PARSER_LIMITS: Final[dict[str, Any]] = {
    # What the sidecar let pass must not be refused by the parser behind it.
    "max_line_size": 16 * 1024,
    "max_field_size": 32 * 1024,
    "max_headers": 256,
    "auto_decompress": False,  # a compressed body is no JSON and no form: it is refused as it is
}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """One listener: where, and what answers there."""

    name: str
    listen: Listen
    app: web.Application | web.Server
    options: dict[str, Any] = field(default_factory=dict)
    inherited: tuple[socket.socket, ...] = ()
    """Sockets that listen there already, opened by the process that started this one."""
    has_successor: Callable[[], bool] = lambda: False
    """Whether another process goes on with the inherited sockets when this one leaves."""
    accepts_per_turn: int = 1
    """How many new connections a turn of the loop may take. uvloop takes one for each socket that it listens
    with, however many wait: beside sixty busy connections the sixtieth new one waited for 1.5 s."""
    opens_when: Sequence[ReadinessCheck] = ()
    """What must hold before it is opened, if it does in time: else everybody would be refused."""
    outlasts: bool = False
    """It answers until the others have ended: whoever asks how the process is, is told that it leaves."""
    head_seconds: float = 0.0
    """How long a new connection may take for the head of its first request; 0 waits for ever. Further heads
    are waited for as long as `keepalive_timeout` in `options` says."""


@asynccontextmanager
async def serving(sites: Sequence[Site], *, drain_seconds: float = DRAIN_SECONDS) -> AsyncIterator[None]:
    """Listen while the block runs; then stop accepting and let running requests finish.

    Leaving takes `drain_seconds`, and a second more for who asks how the process is. Raises PortInUseError
    before anything is served when one of the addresses is taken.
    """
    listeners: list[_Listener] = []
    try:
        for site in sites:
            listeners.append(_Listener(site, drain_seconds))
            await listeners[-1].prepare()
        # Who waits for nothing opens first: nobody else is kept out, and /readyz says what is waited for.
        for listener in sorted(listeners, key=lambda each: bool(each.site.opens_when)):
            await listener.open()
            _log.info("listening", listener=listener.site.name, address=str(listener.site.listen))
        yield
    finally:
        loop = asyncio.get_running_loop()
        until = loop.time() + drain_seconds
        for outlasting in (False, True):
            leaving = [listener for listener in listeners if listener.site.outlasts is outlasting]
            turned_away = [listener.turn_newcomers_away() for listener in leaving]
            if any(turned_away) and not outlasting:
                await asyncio.sleep(min(_HANDSHAKE_SECONDS, drain_seconds))
            for listener in leaving:
                await listener.stop_accepting()
            if not outlasting:
                await _settled(leaving, drain_seconds)
            # In the opposite order: a later listener may stand on what an earlier one opened.
            for listener in reversed(leaving):
                await listener.finish(max(until, loop.time() + _LAST_LOOK_SECONDS) if outlasting else until)


class _Listener:
    """A site with its sockets and the server that answers on them."""

    def __init__(self, site: Site, drain_seconds: float) -> None:
        self.site = site
        self.settle_seconds = _SETTLE_SECONDS
        self._is_leaving = False
        if isinstance(site.app, web.Application):
            site.app.on_response_prepare.append(self._say_last)
            self.settle_seconds = _LAST_ANSWERS_SECONDS
        self._runner = _runner(site, drain_seconds)
        self._sockets: tuple[socket.socket, ...] = ()
        self._file: SocketFile | None = None
        self._servers: list[list[asyncio.Server]] = []

    @property
    def has_connections(self) -> bool:
        return self._runner.server is not None and bool(self._runner.server.connections)

    async def prepare(self) -> None:
        """Start the application; a later one may stand on it."""
        await self._runner.setup()

    async def open(self) -> None:
        """Listen. Raises PortInUseError."""
        await _until_it_can_serve(self.site)
        opened = await self._open()
        self._sockets, self._file = opened.sets[0], opened.file
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            same = [listening, *(listening.dup() for _ in range(self.site.accepts_per_turn - 1))]
            self._servers.append(
                [await loop.create_server(self._protocol, sock=each, backlog=BACKLOG) for each in same]
            )

    async def _open(self) -> Opened:
        if self.site.inherited:
            return Opened((self.site.inherited,), _shared_file(self.site))
        # A name may have to be looked up, which waits.
        return await asyncio.to_thread(open_listeners, self.site.name, self.site.listen)

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner.server is not None  # noqa: S101 - it is there from setup to cleanup
        server = self._runner.server
        connection: web.RequestHandler
        if isinstance(self.site.app, web.Application):
            connection = PatientConnection(server, loop=asyncio.get_running_loop(), **server._kwargs)  # noqa: SLF001 - aiohttp's own Server does the same
        else:
            connection = server()
        if self.site.head_seconds:
            asyncio.get_running_loop().call_later(self.site.head_seconds, _shed_slow_head, connection)
        return connection

    async def _say_last(self, _request: web.Request, response: web.StreamResponse) -> None:
        if self._is_leaving:
            response.force_close()
            response.headers["Connection"] = "close"

    def turn_newcomers_away(self) -> bool:
        """Let nobody begin to connect, unless a successor lets them in. Whether anybody is turned away."""
        self._is_leaving = True
        if self.site.inherited and self.site.has_successor():
            return False
        if self._file is not None:
            self._file.remove()
        turned_away = [turn_newcomers_away(listening) for listening in self._sockets]
        return self._file is not None or any(turned_away)

    async def stop_accepting(self) -> None:
        """Close the door behind the last one who stands in it.

        Who is connected already but not accepted yet would be reset by the close: take them in first.
        """
        loop = asyncio.get_running_loop()
        for listening, servers in zip(self._sockets, self._servers, strict=True):
            # Nothing may come between these lines.
            last = list(waiting_connections(listening))
            for server in servers:
                server.close()
            for connection in last:
                connection.setblocking(False)  # noqa: FBT003 - the method's only argument
                await loop.connect_accepted_socket(self._protocol, connection)
        self._sockets, self._servers = (), []

    async def finish(self, until: float) -> None:
        """Let running requests end until then, in the time of the loop, and everybody else go."""
        loop = asyncio.get_running_loop()
        # Never at once: those who have ended by then are written out, and the idle ones are told.
        cutting = loop.call_at(max(until, loop.time() + _SETTLE_LOOKS), self._cut_off)
        try:
            await self._runner.cleanup()
        finally:
            cutting.cancel()

    def _cut_off(self) -> None:
        if self._runner.server is not None:
            cut_off(self._runner.server.connections)


async def _until_it_can_serve(site: Site) -> None:
    """Wait for what the site is opened for, and say so where that takes too long."""
    waiting: list[str] = []
    try:
        async with asyncio.timeout(OPENING_SECONDS):
            while True:
                told = [await look() for look in site.opens_when]
                waiting = [each.name for each in told if not each.ready]
                if not waiting:
                    return
                await asyncio.sleep(_SETTLE_LOOKS)
    except TimeoutError:
        _log.warning("opened_unready", listener=site.name, waiting=waiting)


def _shared_file(site: Site) -> SocketFile | None:
    """The file of an inherited socket, which goes with the first who leaves: all do at the same time."""
    if not site.listen.path or site.outlasts:  # there the others still tell how they are
        return None
    with contextlib.suppress(OSError):  # somebody took it away: nobody connects to it
        return SocketFile.at(site.listen.path)
    return None


def _shed_slow_head(connection: web.RequestHandler) -> None:
    """Close a connection that has sent no whole head yet. aiohttp itself would wait for ever."""
    if connection.transport is not None and not connection._request_count:  # noqa: SLF001 - the pinned range has it
        connection.transport.abort()


async def _settled(listeners: Sequence[_Listener], at_most: float) -> None:
    seconds = min(max((listener.settle_seconds for listener in listeners), default=0.0), at_most)
    for _ in range(int(seconds / _SETTLE_LOOKS)):
        # Before the first look: the loop tells of who was accepted just now a turn later.
        await asyncio.sleep(_SETTLE_LOOKS)
        if not any(listener.has_connections for listener in listeners):
            return


def _runner(site: Site, drain_seconds: float) -> web.BaseRunner:
    options = {"shutdown_timeout": drain_seconds, "handle_signals": False, **site.options}
    if isinstance(site.app, web.Application):
        return web.AppRunner(site.app, access_log=None, **_PARSER_LIMITS, **options)
    return web.ServerRunner(site.app, **options)


def run_service(
    main: Callable[[asyncio.Event], Awaitable[None]],
    *,
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    again: Callable[[int], None] = lambda _number: None,
) -> None:
    """Run `main` on the fastest loop there is until one of the signals sets its event.

    A later one calls `again`: not one that comes within a second, because a service manager and a
    terminal tell the same wish to a process and to its parent. Files that the process makes, databases
    above all, are for its own user alone.
    """
    os.umask(0o077)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_stopped(main, signals, again))


def end_at_once(number: int) -> None:
    """End this process as the signal itself would."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


async def _until_stopped(
    main: Callable[[asyncio.Event], Awaitable[None]],
    signals: Sequence[signal.Signals],
    again: Callable[[int], None],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked_at = 0.0

    def asked(number: int) -> None:
        nonlocal asked_at
        if not stop.is_set():
            asked_at = loop.time()
            stop.set()
        elif loop.time() - asked_at >= _SAME_WISH_SECONDS:
            again(number)

    for number in signals:
        loop.add_signal_handler(number, asked, number)
    await main(stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - a platform without it still runs
    except ImportError:
        return None
    return uvloop.new_event_loop
