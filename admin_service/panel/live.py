"""The seats of the live dashboard: few at a time, one reading for all who may see the same.

It reads nothing itself and knows no page. A reading is shared only among operators whose permissions are
equal, so nobody is told what another's leave has opened.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Generic, TypeVar

TICK_SECONDS: Final = 5.0
MOST_SEATS: Final = 64
MOST_SEATS_EACH: Final = 3
"""A browser keeps six connections to a host at most: streams must leave some for the pages."""

T = TypeVar("T")


class LiveReadings(Generic[T]):
    """Who watches, and what was read last."""

    def __init__(
        self,
        *,
        tick_seconds: float = TICK_SECONDS,
        most: int = MOST_SEATS,
        most_each: int = MOST_SEATS_EACH,
    ) -> None:
        self.tick_seconds = tick_seconds
        self._most = most
        self._most_each = most_each
        self._taken: Counter[str] = Counter()
        self._known: dict[frozenset[str], tuple[float, T]] = {}
        self._locks: dict[frozenset[str], asyncio.Lock] = {}
        self._ended = asyncio.Event()

    @property
    def watching(self) -> int:
        return self._taken.total()

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    @contextlib.contextmanager
    def seat(self, operator_id: str) -> Iterator[bool]:
        """Whether there was one; it is free again at the end."""
        if self.is_over or self.watching >= self._most or self._taken[operator_id] >= self._most_each:
            yield False
            return
        self._taken[operator_id] += 1
        try:
            yield True
        finally:
            self._taken[operator_id] -= 1
            if not self._taken[operator_id]:
                del self._taken[operator_id]

    async def read(self, permissions: frozenset[str], take: Callable[[], Awaitable[T]]) -> T:
        """What was read in this tick for these permissions; the first who asks reads it for the others.

        Raises what `take` raises, and then the next one tries again.
        """
        async with self._locks.setdefault(permissions, asyncio.Lock()):
            now = asyncio.get_running_loop().time()
            taken_at, known = self._known.get(permissions, (None, None))
            if taken_at is not None and known is not None and now - taken_at < self.tick_seconds * 0.9:
                return known
            found = await take()
            self._known[permissions] = (now, found)
            return found

    async def pause(self, seconds: float) -> None:
        """Wait for the next tick, and no longer when everything ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._ended.wait()

    async def close(self) -> None:
        """End every stream; a graceful stop would otherwise wait for them in vain."""
        self._ended.set()
