"""Whether somebody came in through the host: when break-glass was last used, as a metric.

The command is a process of its own, which no Prometheus scrapes. What it leaves is its CRITICAL row, so
the gauge is read from the log, and every replica tells the same. It changes nothing.
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import select

from admin_service.events import BREAK_GLASS_USED
from service_kit.audit.events import AuditScope
from service_kit.audit.tables import AuditTables
from service_kit.db.session import Database


@dataclass(frozen=True, slots=True)
class BreakGlassGauge:
    """Looks for the newest row, by an index."""

    database: Database
    audit: AuditTables
    used_at: Gauge

    @classmethod
    def gauge(cls, registry: CollectorRegistry, namespace: str) -> Gauge:
        return Gauge(
            "break_glass_last_used_timestamp_seconds",
            "When break-glass was last used on the host (Unix); 0 for never.",
            namespace=namespace,
            registry=registry,
        )

    async def look(self) -> None:
        """Bring the gauge up to date. Raises UnavailableError."""
        events = self.audit.events.c
        newest = (
            select(events.occurred_at)
            .where(events.event == BREAK_GLASS_USED.name, events.scope == AuditScope.GLOBAL.value)
            .order_by(events.occurred_at.desc())
            .limit(1)
        )
        async with self.database.read() as session:
            found = await session.scalar(newest)
        self.used_at.set(found.timestamp() if found is not None else 0)
