"""A connection of a client while its process leaves: what is on its way is taken in, and ended in time.

It touches names that aiohttp does not document; pyproject.toml pins the range.
"""

import asyncio
from collections.abc import Iterable

from aiohttp.web_protocol import RequestHandler


class PatientConnection(RequestHandler):
    """What aiohttp forgets while a process leaves: the rest of a body, and a handler whose client is gone."""

    __slots__ = ()

    def connection_lost(self, exc: BaseException | None) -> None:
        task = self._task_handler
        super().connection_lost(exc)
        if task is not None and not task.done():
            self._task_handler = task  # it works on for a client who has left: whoever cuts off must find it
            # A turn later: by then a request that had just come is being worked on.
            self._loop.call_soon(self._wait_for_no_body, task)

    def _wait_for_no_body(self, task: "asyncio.Task[None]") -> None:
        """Nobody sends the rest of a body that was answered early. aiohttp would wait ten seconds for it."""
        if not self._request_in_progress:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        request = self._current_request
        if not (self._close or self._force_close):
            super().data_received(data)
        elif request is not None and not request.content.is_eof():
            self.take_while_leaving(data)

    def take_while_leaving(self, data: bytes) -> None:
        """Read on although the connection ends with its running request."""
        close, force_close = self._close, self._force_close
        self._close = self._force_close = False
        try:
            RequestHandler.data_received(self, data)
        finally:
            self._close, self._force_close = self._close or close, force_close


def cut_off(connections: Iterable[object]) -> None:
    """End whatever still runs. aiohttp would wait a second time for as long, and for 0 seconds for ever."""
    for connection in connections:
        if isinstance(connection, RequestHandler):
            task = connection._task_handler  # noqa: SLF001 - see above
            connection.force_close()
            if task is not None:
                task.cancel()
