"""How many connections there may be, how long a client may take, and why one was ended for its cost.

It counts and decides; it closes nothing itself. When all places are taken, the connection that has
rested longest between two requests makes room, and before all others one whose last request proved
nobody: a flood of bad requests costs no place of somebody's. Without one, the new connection is refused.
"""

import asyncio
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from auth_proxy.transport.turns import Turns

_MOST_ASKED: Final = 16
"""How many resting connections are asked for one place: a new connection costs no more."""


class Shed(StrEnum):
    """Why a connection was ended before its client wished: the label of the metric."""

    LIMIT = "limit"
    """One more than all clients together may have."""
    RESTED = "rested"
    """It rested longest between two requests when all places were taken."""
    PEER_LIMIT = "peer_limit"
    """One more than its address may have."""
    SILENT = "silent"
    """It never sent a byte."""
    SLOW_HEAD = "slow_head"
    """The head of a request did not arrive in time."""
    SLOW_READER = "slow_reader"
    """The client read nothing of its answer for too long."""


@dataclass(frozen=True, slots=True)
class ConnectionPolicy:
    """The limits of a listener; `most_per_peer` 0 is none, as behind a tunnel there is only one peer."""

    header_seconds: float = 10.0
    write_seconds: float = 60.0
    most: int = 10_000
    most_per_peer: int = 0


def peer_of(transport: asyncio.Transport) -> str:
    """The address of the other end; empty where there is none, as on a unix socket."""
    peer = transport.get_extra_info("peername")
    return sys.intern(str(peer[0])) if isinstance(peer, tuple) and peer else ""


class Resting(Protocol):
    """A connection between two requests."""

    def make_room(self) -> bool:
        """End at once and leave; False when it does not rest after all."""
        ...


class Queue:
    """Connections that rest, in the order in which they came to rest: the parked ones before all others."""

    __slots__ = ("awake", "parked")

    def __init__(self) -> None:
        self.awake: OrderedDict[Resting, float] = OrderedDict()
        """Since when they rest."""
        self.parked: OrderedDict[Resting, float] = OrderedDict()
        """Until when they may."""

    def has_made_room(self) -> bool:
        return _one_left(self.parked) or _one_left(self.awake)


class Connections:
    """The open connections of a listener."""

    def __init__(
        self, policy: ConnectionPolicy, on_shed: Callable[[Shed], None] = lambda _cause: None
    ) -> None:
        self.policy = policy
        self.shed = on_shed
        self._by_peer: Counter[str] = Counter()
        self._open = 0
        self.turns = Turns()
        self.proven = Queue()
        self.unproven = Queue()
        self.unheard = Queue()
        """Those who never sent a byte: they make no room, and have the time of a head."""

    @property
    def open(self) -> int:
        return self._open

    def enter(self, peer: str) -> Shed | None:
        """Count one more connection of the address; why not, when there is no room for it."""
        if self.policy.most_per_peer and self._by_peer[peer] >= self.policy.most_per_peer:
            return Shed.PEER_LIMIT
        if self._open >= self.policy.most and not self._made_room():
            return Shed.LIMIT
        self._open += 1
        self._by_peer[peer] += 1
        return None

    def leave(self, peer: str) -> None:
        """A connection that was let in has ended."""
        self._open -= 1
        self._by_peer[peer] -= 1
        if self._by_peer[peer] <= 0:
            del self._by_peer[peer]  # an address that is gone takes no memory

    def rests(self, connection: Resting, *, is_proven: bool, since: float) -> None:
        """Its answer is sent; from now on it waits for its next request."""
        (self.proven if is_proven else self.unproven).awake[connection] = since

    def wakes(self, connection: Resting) -> None:
        """It rests no longer, or it has ended."""
        self.proven.awake.pop(connection, None)
        self.unproven.awake.pop(connection, None)

    def _made_room(self) -> bool:
        return self.unproven.has_made_room() or self.proven.has_made_room()


def _one_left(resting: OrderedDict[Resting, float]) -> bool:
    for _ in range(min(len(resting), _MOST_ASKED)):
        connection, time = resting.popitem(last=False)
        if connection.make_room():
            return True
        resting[connection] = time  # asked again after all others
    return False
