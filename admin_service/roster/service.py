"""The hub of the roster feed: one watcher of the database, any number of readers.

It never vouches for what it did not read: a heartbeat carries the version read at that moment, and
when the database does not answer there is no heartbeat. Silence is the signal (architecture 5).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from admin_service.roster.models import Roster, heartbeat_line
from admin_service.roster.repository import RosterRepository
from service_kit.db.session import Database
from service_kit.telemetry.logging import get_logger

BEAT_SECONDS: Final = 1.0
_READ_SECONDS: Final = 2.0
_MOST_WAITING: Final = 64
"""Lines that may wait for a slow reader: a minute of heartbeats. It reads a fresh snapshot afterwards."""

_log = get_logger(__name__)


class RosterMetrics:
    """Who listens to the feed, and how often a listener was too slow."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self.readers = Gauge(
            "roster_feed_readers",
            "Sidecars that read the roster feed now.",
            namespace=namespace,
            registry=registry,
        )
        self.dropped = Counter(
            "roster_feed_dropped_total",
            "Readers dropped because they did not keep up.",
            namespace=namespace,
            registry=registry,
        )
        self.version = Gauge(
            "roster_version", "The roster version seen last.", namespace=namespace, registry=registry
        )


class _Reader:
    """One reader's bounded queue of lines; None ends it."""

    def __init__(self, first: bytes) -> None:
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        self._lines.put_nowait(first)

    def offer(self, line: bytes) -> bool:
        """Whether there was room."""
        if self._lines.full():
            return False
        self._lines.put_nowait(line)
        return True

    def end(self) -> None:
        """Nothing more will come, and what waits is not worth sending."""
        while not self._lines.empty():
            self._lines.get_nowait()
        self._lines.put_nowait(None)

    async def lines(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            yield line


class RosterHub:
    """Watches the roster and tells every reader."""

    def __init__(
        self,
        database: Database,
        roster: RosterRepository,
        metrics: RosterMetrics,
        *,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._database = database
        self._roster = roster
        self._metrics = metrics
        self._beat_seconds = beat_seconds
        self._changed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._known: Roster | None = None
        self._readers: set[_Reader] = set()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def announce(self) -> None:
        """Something was committed in this process: look now, not at the next beat."""
        self._changed.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="roster-hub")

    async def close(self) -> None:
        """End every stream at once; a reader connects to another replica, or again."""
        self._closed = True
        for reader in self._readers:
            reader.end()
        if self._task is not None:
            # Asked to stop, not cancelled: a read that is cut off may leave its connection behind.
            self._changed.set()
            await self._task
            self._task = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of the feed, from a fresh snapshot on. Raises UnavailableError without a database."""
        _, roster = await self._refresh()
        reader = _Reader(roster.snapshot_line())
        if self._closed:
            reader.end()
        self._readers.add(reader)
        self._metrics.readers.set(len(self._readers))
        try:
            yield reader.lines()
        finally:
            self._readers.discard(reader)
            self._metrics.readers.set(len(self._readers))

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        next_beat = loop.time() + self._beat_seconds
        while not self._closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_beat):
                    await self._changed.wait()
            self._changed.clear()
            if self._closed:
                return
            try:
                version, _ = await self._refresh()
            except Exception as error:  # noqa: BLE001 - whatever it was, the answer is silence, and to go on
                _log.warning("roster_not_read", cause=type(error).__name__)
                next_beat = loop.time() + self._beat_seconds
                continue
            if loop.time() >= next_beat:
                self._send(heartbeat_line(version))
                next_beat = loop.time() + self._beat_seconds

    async def _refresh(self) -> tuple[int, Roster]:
        """The version in the database now, and the roster as of that version or later."""
        async with self._reading, asyncio.timeout(_READ_SECONDS), self._database.read() as session:
            version = await self._roster.version(session)
            if self._known is not None and version == self._known.version:
                return version, self._known
            roster = await self._roster.roster(session)
            before, self._known = self._known, roster
            self._metrics.version.set(roster.version)
            if before is not None:
                self._send(roster.change_line(before))
            return roster.version, roster

    def _send(self, line: bytes) -> None:
        for reader in [reader for reader in self._readers if not reader.offer(line)]:
            reader.end()
            self._readers.discard(reader)
            self._metrics.dropped.inc()
            _log.warning("roster_reader_dropped")
