"""A value that is read from files and renewed when they change; the last good one stays on any doubt.

It never trades a good value for a broken one, and never keeps silent about a broken file.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from service_kit.telemetry.logging import get_logger

LOOK_EVERY_SECONDS: Final = 0.4
"""A change is seen by one look and read at the next, if nothing moved in between: within a second."""

_log = get_logger(__name__)
T = TypeVar("T")
_Signature = tuple[tuple[str, int, int, int, int], ...]


class Watched(Generic[T]):
    """The value behind a file, or behind the `*.pem` files of a folder.

    The first reading raises what `load` raises; later ones keep the old value, log
    `reload_refused`, and call `refused`. What `adopted` refuses to take over, by raising, is not
    taken over here either.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], T],
        *,
        expected: type[Exception],
        adopted: Callable[[T], None] = lambda _value: None,
        refused: Callable[[], None] = lambda: None,
        every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        self._path = path
        self._load = load
        self._expected = expected
        self._adopted = adopted
        self._refused = refused
        self._every_seconds = every_seconds
        self._problem: str | None = None
        self._seen = self._glimpsed = _signature(path)
        self._task: asyncio.Task[None] | None = None
        self._value = load(path)

    @property
    def value(self) -> T:
        return self._value

    @property
    def is_stale(self) -> bool:
        """Whether the files say something else, which was refused."""
        return self._problem is not None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def look(self, *, anyway: bool = False) -> None:
        """Read anew if anything changed, or anyway. Never raises, whatever became of the files.

        What was refused is tried again each time: it may have needed something beside it, such as a
        folder. It is told of once.
        """
        is_news = True
        try:
            found = _signature(self._path)
            is_news = anyway or found != self._seen
            if not is_news and self._problem is None:
                return
            self._seen = found
            value = self._load(self._path)
            self._adopted(value)
        except Exception as error:  # noqa: BLE001 - whatever it was, looking must go on
            # The text of an expected error names the file and the place in it, never a value.
            problem = str(error) if isinstance(error, self._expected) else type(error).__name__
            self._refuse(problem, is_news=is_news or problem != self._problem)
            return
        self._value = value
        self._problem = None
        _log.info("reloaded", path=str(self._path))

    def _refuse(self, problem: str, *, is_news: bool) -> None:
        self._problem = problem
        if is_news:
            _log.error("reload_refused", path=str(self._path), problem=problem)
            self._refused()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            if self._has_settled():
                self.look()

    def _has_settled(self) -> bool:
        """Whether the files are as at the last look: half of a file may be a good one that says less."""
        before = self._glimpsed
        try:
            self._glimpsed = _signature(self._path)
        except Exception:  # noqa: BLE001 - the look itself tells of it
            return True
        return before == self._glimpsed


def _signature(path: Path) -> _Signature:
    """What changes when a file does: also when a whole folder is swapped under a symbolic link."""
    try:
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
    except OSError:  # a folder above that is shut for a moment: the next look sees what came of it
        files = []
    return tuple(entry for file in files for entry in _stat(file))


def _stat(file: Path) -> _Signature:
    try:
        status = file.stat()
    except OSError:  # gone between two looks: that is a change too
        return ()
    return ((str(file), status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino),)
