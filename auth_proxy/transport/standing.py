"""Watches what stays open: ends it when its grant no longer holds.

One task looks at everything that is open, a few times a second; nothing waits for it. What cannot be
checked counts as lapsed. It also ends what takes too long: a timer for each request would cost 2 µs of
every one of them, an entry in a set a tenth of that.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Protocol

from auth_proxy.pipeline.exchange import Grant
from auth_proxy.refusals import Reason
from service_kit.telemetry.logging import get_logger

LOOK_EVERY_SECONDS: Final = 0.25
_BREATH: Final = 256
"""After how many checks other work gets its turn."""

_log = get_logger(__name__)
End = Callable[[Reason], None]


class StandingCheck(Protocol):
    """Tells whether a grant that was given would be given again."""

    def still_stands(self, grant: Grant) -> Reason | None:
        """Why it would be refused now; None while it holds."""
        ...


class Watched(Protocol):
    """Something that stays open under a grant."""

    grant: Grant
    is_new: bool
    due: float
    """The loop's time at which it has taken too long; infinite while nothing is waited for."""

    def lapse(self, reason: Reason) -> None:
        """Its grant no longer holds."""
        ...

    def overdue(self) -> None:
        """It has taken too long."""
        ...


class Open:
    """Something open under a grant; as a context it is watched."""

    __slots__ = ("due", "grant", "is_new", "lapse", "watch")

    def __init__(self, watch: "Watch", grant: Grant, end: End) -> None:
        self.watch, self.grant, self.lapse = watch, grant, end
        self.is_new = True
        self.due = float("inf")

    def overdue(self) -> None:
        """Never: it waits for nothing."""

    def __enter__(self) -> None:
        self.watch.opened.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.watch.opened.discard(self)


class Watch:
    """Everything that is open, and the task that looks after it."""

    def __init__(self, check: StandingCheck, *, every_seconds: float = LOOK_EVERY_SECONDS) -> None:
        self._check = check
        self._every_seconds = every_seconds
        self._task: asyncio.Task[None] | None = None
        self.opened: set[Watched] = set()

    def over(self, grant: Grant, end: End) -> Open:
        """A context in which `end` is called, at most once, when the grant no longer holds.

        The first look passes it by: what a request itself changed about its operator, such as a role,
        must not cut off its own answer.
        """
        return Open(self, grant, end)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._look_forever())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Check everything that was already open at the last look, and end what takes too long."""
        now = asyncio.get_running_loop().time()
        for number, item in enumerate(tuple(self.opened), start=1):
            if item.due <= now:
                self.opened.discard(item)
                _end(item.overdue)
            elif item.is_new:
                item.is_new = False
            elif item in self.opened and (reason := self._lapse(item.grant)) is not None:
                self.opened.discard(item)
                _end(partial(item.lapse, reason))
            if number % _BREATH == 0:
                await asyncio.sleep(0)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            await self.look()

    def _lapse(self, grant: Grant) -> Reason | None:
        try:
            return self._check.still_stands(grant)
        except Exception as error:  # noqa: BLE001 - what cannot be checked does not stay open
            _log.error("standing_check_failed", exc_info=error)
            return Reason.INTERNAL_ERROR


def _end(end: Callable[[], None]) -> None:
    try:
        end()
    except Exception as error:  # noqa: BLE001 - one that cannot be ended must not keep the others open
        _log.error("standing_end_failed", exc_info=error)
