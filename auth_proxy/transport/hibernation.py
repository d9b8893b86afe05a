"""Sockets of connections that rest for long: each is a number in one epoll, with no transport above it.

What it trades: the first request after such a rest pays some 100 µs for a new transport, beside what parking
costs (`parked`). What it saves is nearly all that a parked connection takes: the transport of uvloop has
1.2 KB, an entry here has 0.1. Nothing is read here but, to see whether the client has gone, one byte that
stays where it is: what a client sends waits in the kernel for the transport.

Linux only. Elsewhere, and for a transport that is more than a socket (TLS), everybody keeps the transport.
"""

import asyncio
import os
import select
import socket
from collections.abc import Callable
from typing import Final, Generic, TypeVar

_MOST_AT_ONCE: Final = 32
"""How many may wake in one turn of the loop; the others wake in the next."""

BareSocket = socket.socket
Sleeper = TypeVar("Sleeper")


class _Nobody(asyncio.Protocol):
    """Stands for the connection while its transport is thrown away: nothing of that is its end."""


class Hibernation(Generic[Sleeper]):
    """The sockets that are watched, each with whom to call when its client sends something, or leaves.

    `wake` is called with a sleeper and its socket, which is no longer watched and belongs to the called one;
    with None when the client has left, and the socket is closed already.
    """

    def __init__(self, wake: Callable[[Sleeper, BareSocket | None], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._epoll: select.epoll | None = None
        self._is_closed = False
        self._nobody = _Nobody()
        self._sleepers: dict[int, Sleeper] = {}

    def __len__(self) -> int:
        return len(self._sleepers)

    def lay_down(self, sleeper: Sleeper, transport: asyncio.Transport) -> int | None:
        """Keep the socket and abort the transport, which must have nothing left to write.

        Returns the descriptor, by which `let_go` finds it; None where it cannot be done, and nothing was.
        """
        if self._is_closed or transport.is_closing():  # the number of a closed socket may be another one's
            return None
        bare = transport.get_extra_info("socket")
        if bare is None or transport.get_extra_info("sslcontext") is not None:
            return None
        try:
            descriptor = self._watch(bare.fileno())
        except OSError:  # the system has no place left: it stays as it is
            return None
        self._sleepers[descriptor] = sleeper
        transport.set_protocol(self._nobody)
        transport.abort()  # closes its own descriptor of the socket, and tells the client nothing
        return descriptor

    def let_go(self, descriptor: int) -> None:
        """End the connection."""
        if self._epoll is not None and self._sleepers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)  # closing does not, while the transport has not closed its own
            os.close(descriptor)

    def close(self) -> None:
        """End all of them, and watch nobody from now on."""
        self._is_closed = True
        for descriptor in list(self._sleepers):
            self.let_go(descriptor)
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _watch(self, original: int) -> int:
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._look)
        descriptor = os.dup(original)
        try:
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _look(self) -> None:
        epoll = self._epoll
        if epoll is None:
            return
        for descriptor, _event in epoll.poll(0, _MOST_AT_ONCE):
            sleeper = self._sleepers.pop(descriptor, None)
            if sleeper is None:
                continue  # whoever woke before it has ended it
            epoll.unregister(descriptor)
            bare = BareSocket(fileno=descriptor)
            bare.settimeout(0)
            if _has_bytes(bare):
                self._wake(sleeper, bare)
            else:
                bare.close()
                self._wake(sleeper, None)


def can_hibernate() -> bool:
    """Whether this system has what watches sockets here."""
    return hasattr(select, "epoll")


def _has_bytes(bare: BareSocket) -> bool:
    """False at the end of what the client sends, and when the connection is broken."""
    try:
        return bool(bare.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True  # woken for nothing: a transport waits as well
    except OSError:
        return False
