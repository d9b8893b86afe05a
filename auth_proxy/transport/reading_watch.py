"""Watches a client that has been written to: one that takes nothing for too long is shed.

Made only for a connection whose client once did not read: nobody else pays for it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from auth_proxy.transport.connections import Connections, Shed

_LOOKS_PER_WAIT: Final = 4
"""How often a connection that cannot be written to is looked at within the time it is given."""


class ReadingWatch:
    """Looks at one connection, while its client does not read or it is closing."""

    __slots__ = ("_clients", "_is_held_back", "_loop", "_socket", "_stalled_since", "_timer", "_unwritten")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clients: Connections, is_held_back: Callable[[], bool]
    ) -> None:
        self._loop = loop
        self._clients = clients
        self._is_held_back = is_held_back
        self._socket: asyncio.Transport | None = None
        self._stalled_since = 0.0
        self._unwritten = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, socket: asyncio.Transport) -> None:
        """From now on bytes must go out."""
        self._socket = socket
        self._unwritten, self._stalled_since = socket.get_write_buffer_size(), self._loop.time()
        if self._timer is None:
            self._look_again()

    def end(self) -> None:
        """The connection is gone."""
        self._socket = None
        if self._timer is not None:
            self._timer.cancel()

    def _look_again(self) -> None:
        self._timer = self._loop.call_later(self._clients.policy.write_seconds / _LOOKS_PER_WAIT, self._look)

    def _look(self) -> None:
        self._timer = None
        socket = self._socket
        if socket is None or not (self._is_held_back() or socket.is_closing()):
            return
        before, self._unwritten = self._unwritten, socket.get_write_buffer_size()
        if self._unwritten < before:
            self._stalled_since = self._loop.time()
        elif self._loop.time() - self._stalled_since >= self._clients.policy.write_seconds:
            self._clients.shed(Shed.SLOW_READER)
            socket.abort()
            return
        self._look_again()
