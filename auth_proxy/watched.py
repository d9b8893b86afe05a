"""A value that is read from files and renewed when they change; the last good one stays on any doubt.

It never trades a good value for a broken one, and never keeps silent about a broken file.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from service_kit.telemetry.logging import get_logger

LOOK_EVERY_SECONDS: Final = 1.0

_log = get_logger(__name__)
T = TypeVar("T")
_Signature = tuple[tuple[str, int, int, int], ...]


class Watched(Generic[T]):
    """The value behind a file, or behind the `*.pem` files of a folder.

    The first reading raises what `load` raises; later ones keep the old value, log
    `reload_refused`, and call `refused`.
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
        self._seen = _signature(path)
        self._task: asyncio.Task[None] | None = None
        self._value = load(path)

    @property
    def value(self) -> T:
        return self._value

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def look(self) -> None:
        """Read anew if anything changed. Never raises, whatever became of the files."""
        try:
            found = _signature(self._path)
            if found == self._seen:
                return
            self._seen = found
            self._value = self._load(self._path)
            self._adopted(self._value)
        except Exception as error:  # noqa: BLE001 - whatever it was, looking must go on
            # The text of an expected error names the file and the place in it, never a value.
            problem = str(error) if isinstance(error, self._expected) else type(error).__name__
            _log.error("reload_refused", path=str(self._path), problem=problem)
            self._refused()
            return
        _log.info("reloaded", path=str(self._path))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            self.look()


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
    return ((str(file), status.st_mtime_ns, status.st_size, status.st_ino),)
