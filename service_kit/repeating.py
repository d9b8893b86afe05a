"""Work that a process does again and again until it leaves.

It is asked to stop, not cancelled: a query that is cut off may leave its connection behind, and a connection
that is being made outlives the loop that asked for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_PATIENCE_SECONDS: Final = 2.0
"""So long a turn may go on when the process leaves; a database that does not answer must not hold it."""


class Repeating:
    """Calls `turn` after `first` seconds, and `every` seconds after each end. `turn` raises nothing."""

    def __init__(self, turn: Callable[[], Awaitable[None]], *, first: float, every: float) -> None:
        self._turn = turn
        self._first = first
        self._every = every
        self._is_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Begin no other turn; the one that runs may end, or is cut off two seconds later."""
        self._is_asked.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_PATIENCE_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        wait = self._first
        while not await self._asked_within(wait):
            await self._turn()
            wait = self._every

    async def _asked_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._is_asked.wait()
        except TimeoutError:
            return False
