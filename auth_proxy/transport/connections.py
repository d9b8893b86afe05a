"""How many connections there may be, how long a client may take, and why one was ended for its cost.

It counts and decides; it closes nothing itself.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Shed(StrEnum):
    """Why a connection was ended before its client wished: the label of the metric."""

    LIMIT = "limit"
    """One more than all clients together may have."""
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
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


class Connections:
    """The open connections of a listener."""

    def __init__(
        self, policy: ConnectionPolicy, on_shed: Callable[[Shed], None] = lambda _cause: None
    ) -> None:
        self.policy = policy
        self.shed = on_shed
        self._by_peer: Counter[str] = Counter()
        self._open = 0

    @property
    def open(self) -> int:
        return self._open

    def enter(self, peer: str) -> Shed | None:
        """Count one more connection of the address; why not, when there is no room for it."""
        if self._open >= self.policy.most:
            return Shed.LIMIT
        if self.policy.most_per_peer and self._by_peer[peer] >= self.policy.most_per_peer:
            return Shed.PEER_LIMIT
        self._open += 1
        self._by_peer[peer] += 1
        return None

    def leave(self, peer: str) -> None:
        """A connection that was let in has ended."""
        self._open -= 1
        self._by_peer[peer] -= 1
        if self._by_peer[peer] <= 0:
            del self._by_peer[peer]  # an address that is gone takes no memory
