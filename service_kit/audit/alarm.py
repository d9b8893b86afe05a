"""What happens when an audit log turns out to be broken: one CRITICAL row for each break, and metrics.

It tells a break once, however often it is found again, and it repairs nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from service_kit.audit.chain import GLOBAL_CHAIN
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.failing import AuditWriteFailedError
from service_kit.audit.own_events import BROKEN
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.tables import AuditTables
from service_kit.audit.verifying import Break, printable
from service_kit.db.session import Database, ReadSession, WriteSession
from service_kit.errors import UnavailableError
from service_kit.telemetry.logging import get_logger

_log = get_logger(__name__)


def write_failures(registry: CollectorRegistry, namespace: str) -> Counter:
    """Counts the rows that could not be written, and so the changes that were undone (R-102)."""
    return Counter(
        "audit_write_failures_total",
        "Changes that were undone because their audit row could not be written.",
        namespace=namespace,
        registry=registry,
    )


class AuditMetrics:
    """What an SRE sees of the audit log; no label names a chain or a person."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, namespace=namespace, registry=registry)

        self.broken = gauge("audit_chain_broken", "1 while the last verification of the log found a break.")
        self.verified_at = gauge(
            "audit_last_verified_seconds", "When the whole log was last verified (Unix)."
        )
        self.unsigned = gauge("audit_unsigned_rows", "Rows that no signed checkpoint covers yet.")
        self.witnessed_at = gauge(
            "audit_last_witnessed_seconds",
            "When the newest checkpoint of the other service was signed (Unix).",
        )
        self.breaks = Counter(
            "audit_chain_breaks_total", "Breaks found and told.", namespace=namespace, registry=registry
        )
        self.verified = Counter(
            "audit_verified_rows_total", "Rows verified.", namespace=namespace, registry=registry
        )

    def whole_log(self, *, broken: bool, rows: int, at: datetime) -> None:
        """The log was verified from end to end."""
        self.broken.set(int(broken))
        self.verified.inc(rows)
        self.verified_at.set(at.timestamp())


class Alarm:
    """Tells breaks of this service's log, in this service's log."""

    def __init__(
        self, database: Database, tables: AuditTables, recorder: AuditRecorder, metrics: AuditMetrics
    ) -> None:
        self._database = database
        self._tables = tables
        self._recorder = recorder
        self.metrics = metrics

    async def tell(self, breaks: Sequence[Break]) -> int:
        """Record what was not told before; how many that were. Never raises: whoever found it goes on."""
        told = 0
        for found in breaks:
            self.metrics.broken.set(1)
            try:
                told += await self._tell(found)
            except (UnavailableError, AuditWriteFailedError, DBAPIError, RuntimeError):
                # A log so broken that no row can be added, or no database: the line is all there is.
                _log.critical("audit_chain_broken_untold", **_shown(found))
        return told

    async def _tell(self, found: Break) -> bool:
        entry = broken_entry(found)
        async with self._database.write() as session:
            await self._lock(session)
            if await self._is_told(session, entry.resource_id):
                return False
            await self._recorder.record(session, entry)
        self.metrics.breaks.inc()
        _log.critical("audit_chain_broken", **_shown(found))
        return True

    async def _lock(self, session: WriteSession) -> None:
        """Two replicas that find the same break at once tell it once."""
        heads = self._tables.heads
        await session.first(select(heads).where(heads.c.chain == GLOBAL_CHAIN).with_for_update())

    async def _is_told(self, session: ReadSession, resource_id: str) -> bool:
        events = self._tables.events.c
        query = select(events.id).where(events.event == BROKEN.name, events.resource_id == resource_id)
        return await session.first(query.limit(1)) is not None


def broken_entry(found: Break, origin: str = "") -> AuditEntry:
    """The row that tells of a break, in this log or in that of an origin."""
    shown = _shown(found)
    place = f"{shown['chain'] or '-'}/{found.seq}/{found.differs.value}"
    resource_id = f"{origin}/{place}" if origin else place
    return AuditEntry(BROKEN, SYSTEM, resource_id, details=shown)


def _shown(found: Break) -> dict[str, str | int]:
    """As text that any database keeps."""
    shown = {name: str(value).replace("\x00", "\\0") for name, value in printable(found).items()}
    return {**shown, "seq": found.seq}
