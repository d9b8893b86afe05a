"""A connection that rests waits in a place of its own, without the handler that reads its requests.

After a short rest the handler of a connection is given up: its parser, task, timers and what it remembers of
its last request. What is left is the transport, the address and one due time; the first bytes that come
make a new handler, and so they do on a new connection. Nobody waits for this: a look parks and ends a few
connections, and comes again at once if more are to be done. A connection with half a head, an unread answer,
an upgrade, or a body that ended in the middle of a read that cannot be counted, is never parked. When all
places are taken the parked ones make room first, because they have rested longest.

Who rests on gives up its transport too (`hibernation`), but not at once: a crowd in which each asks now
and then would pay for a transport with every request.

What it trades: the first request after a rest pays for a new handler (60 to 140 µs beside the 220 of the
request), parking costs 20 µs, and the end of a rest comes up to one look later. It touches names that
aiohttp does not document; on a version that lacks one of them nobody is parked, loudly. What it saves: of
10,000 connections that rest after one answer each takes 1.6 KB instead of 16, and 0.5 once it hibernates:
the process has 88 MB instead of 236, of which 75 are there before the first one. One that never sent a byte
takes 1.3 KB instead of 6.6.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, Protocol, cast

from aiohttp.web_protocol import RequestHandler

from auth_proxy.transport.client_connection import ClientConnection, GivenUp
from auth_proxy.transport.connections import Connections, Queue, Shed, peer_of
from auth_proxy.transport.hibernation import BareSocket, Hibernation, can_hibernate

REST_SECONDS: Final = 2.0
"""How long a handler stays with its connection: whoever asks once a second pays nothing."""
SLEEPLESS_SECONDS: Final = 1.0
"""How long a parked connection keeps its transport."""
_WAKING: Final = -1
_CROWD: Final = 128
"""Where more handlers wait at once, they do so from one look to the next: whoever is still to be read from
has been read by then, however busy the process is."""
_LOOK_SECONDS: Final = 0.1
_LOOKS_PER_HEAD: Final = 4
_MOST_AT_ONCE: Final = 50
_NEXT_FEW_SECONDS: Final = 0.005
_NAMES_OF_AIOHTTP: Final = frozenset(
    {
        "_messages",
        "_message_tail",
        "_waiter",
        "_upgraded",
        "_payload_parser",
        "_parser",
        "_manager",
        "_task_handler",
        "_keepalive_handle",
        "_next_keepalive_close_time",
        "_close",
        "_force_close",
        "_paused",
        "_reading_paused",
        "_buffer_paused",
        "transport",
    }
)
"""What giving a handler up touches."""


def parking_fits() -> bool:
    """Whether this aiohttp has every name that giving a handler up touches."""
    return set(dir(RequestHandler)) >= _NAMES_OF_AIOHTTP


class Lot(Protocol):
    """Where connections are parked."""

    clients: Connections
    hibernation: "Hibernation[Parked]"

    def let_in(self, parked: "Parked", transport: asyncio.Transport) -> None:
        """Count a connection that is new, or end it."""
        ...

    def wake(self, parked: "Parked", data: bytes) -> None:
        """Give the connection a handler, and the handler these bytes."""
        ...


class Parked(asyncio.Protocol):
    """A connection without a handler: between two requests, or before the first byte of the first.

    It has a transport, or a descriptor while it hibernates, or neither between the two.
    """

    __slots__ = ("_lot", "descriptor", "peer", "queue", "transport")

    def __init__(self, lot: Lot, queue: Queue) -> None:
        self._lot = lot
        self.queue = queue
        """Among whom it waits."""
        self.transport: asyncio.Transport | None = None
        self.descriptor: int | None = None
        self.peer: str | None = None
        """None before it is let in, and when it has left."""

    @property
    def has_hibernated(self) -> bool:
        """Also while it does."""
        return self.descriptor is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket = cast("asyncio.Transport", transport)
        if self.has_hibernated:
            self.transport = socket
            if self.peer is None:  # ended while it woke
                socket.abort()
        else:
            self._lot.let_in(self, socket)

    def data_received(self, data: bytes) -> None:
        self._lot.wake(self, data)

    def connection_lost(self, _exc: BaseException | None) -> None:
        self.leave()

    def make_room(self) -> bool:
        """End the connection for another one."""
        self._lot.clients.shed(Shed.RESTED)
        self.end()
        return True

    def end(self) -> None:
        """Its place is free at once, whenever its transport is told to be gone."""
        self.leave()
        if self.transport is not None:
            self.transport.abort()
        elif self.descriptor is not None:
            self._lot.hibernation.let_go(self.descriptor)

    def leave(self) -> None:
        """It is open no longer."""
        self.queue.parked.pop(self, None)
        if self.peer is not None:
            self._lot.clients.leave(self.peer)
        self.peer = None


class Parking:
    """Parks what rests among the connections of a server, wakes it, and ends what rests for too long."""

    def __init__(self, clients: Connections, new_handler: Callable[[], ClientConnection]) -> None:
        self.clients = clients
        self.hibernation: Hibernation[Parked] = Hibernation(self._rise)
        self._sleepless = deque[tuple[Parked, float]]()
        """Who was parked lately, and when: they do not hibernate yet, and some of them never will."""
        self._rising: set[asyncio.Task[None]] = set()
        self._new_handler = new_handler
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._looked = 0.0
        """When it was looked before this time."""

    def arrival(self) -> Parked:
        """A connection that is about to be made, and has a handler from its first bytes on."""
        return Parked(self, self.clients.unheard)

    def let_in(self, parked: Parked, transport: asyncio.Transport) -> None:
        peer = peer_of(transport)
        cause = self.clients.enter(peer)
        if cause is not None:
            self.clients.shed(cause)
            transport.abort()
            return
        parked.transport, parked.peer = transport, peer
        parked.queue.parked[parked] = self._loop.time() + self.clients.policy.header_seconds
        self._look_on()

    def _look_on(self) -> None:
        """Look at all of them every now and then, while there is one."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._pause, self._look)

    @property
    def _pause(self) -> float:
        return min(_LOOK_SECONDS, self.clients.policy.header_seconds / _LOOKS_PER_HEAD)

    def __iter__(self) -> Iterator[Parked]:
        return cast("Iterator[Parked]", chain.from_iterable(queue.parked for queue in self._queues))

    @property
    def _queues(self) -> tuple[Queue, ...]:
        return self.clients.unheard, self.clients.unproven, self.clients.proven

    def close(self) -> None:
        """The process ends: nobody has asked anything, so nobody is waited for."""
        for parked in list(self):
            parked.end()
        self.hibernation.close()

    def wake(self, parked: Parked, data: bytes) -> None:
        """Go on reading, as if the connection had had a handler all the time."""
        due, socket = parked.queue.parked.pop(parked, None), parked.transport
        if due is None or socket is None or parked.peer is None:
            return  # it has made room, or is being ended
        given_up = GivenUp(socket, parked.peer, due)
        parked.peer = None
        handler = self._new_handler()
        socket.set_protocol(handler)
        handler.take_over(given_up, is_timed=parked.queue is not self.clients.proven)
        handler.data_received(data)

    def _look(self) -> None:
        now = self._loop.time()
        if self._do_some(now):
            self._timer = self._loop.call_later(_NEXT_FEW_SECONDS, self._look)
            return
        self._looked, self._timer = now, None
        if self.clients.open:
            self._look_on()

    def _do_some(self, now: float) -> bool:
        """Whether there is more to do than may be done at once."""
        has_more = self._lay_down_some(now)
        for queue in self._queues:
            has_more |= self._end_due(queue, now) | self._park_some(queue, now)
        return has_more

    def _end_due(self, queue: Queue, now: float) -> bool:
        for _ in range(_MOST_AT_ONCE):
            first = next(iter(queue.parked.items()), None)
            if first is None or now < first[1]:
                return False
            if queue is not self.clients.proven:
                self.clients.shed(Shed.SILENT)
            cast("Parked", first[0]).end()
        return True

    def _park_some(self, queue: Queue, now: float) -> bool:
        for _ in range(_MOST_AT_ONCE):
            first = next(iter(queue.awake.items()), None)
            latest = self._looked if len(queue.awake) > _CROWD else now - REST_SECONDS
            if first is None or first[1] > latest:
                return False
            handler = cast("ClientConnection", first[0])
            del queue.awake[handler]
            if not self._is_parked(handler, queue, now):
                queue.awake[handler] = now  # it does not rest yet
        return True

    def _is_parked(self, handler: ClientConnection, queue: Queue, now: float) -> bool:
        given_up = handler.give_up()
        if given_up is None:
            return False
        parked = Parked(self, queue)
        parked.transport, parked.peer, queue.parked[parked] = given_up
        given_up.socket.set_protocol(parked)
        if can_hibernate():
            self._sleepless.append((parked, now + SLEEPLESS_SECONDS))
        return True

    def _lay_down_some(self, now: float) -> bool:
        for _ in range(_MOST_AT_ONCE):
            if not self._sleepless or now < self._sleepless[0][1]:
                return False
            parked, _due = self._sleepless.popleft()
            if parked in parked.queue.parked and parked.transport is not None:
                parked.descriptor = self.hibernation.lay_down(parked, parked.transport)
                parked.transport = None if parked.has_hibernated else parked.transport
        return True

    def _rise(self, parked: Parked, socket: BareSocket | None) -> None:
        """Its client has sent something, or left."""
        parked.descriptor = _WAKING
        if socket is None:
            parked.leave()
            return
        task = self._loop.create_task(self._give_transport(parked, socket))
        self._rising.add(task)
        task.add_done_callback(self._rising.discard)

    async def _give_transport(self, parked: Parked, socket: BareSocket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: parked, socket)
        except OSError:  # the client has gone between
            socket.close()
            parked.leave()
