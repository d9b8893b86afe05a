"""The SQL of the activity chart; rows themselves are read by the kit's `AuditQueries`."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import ColumnElement, Text, cast, func, select

from service_kit.audit.events import AuditScope
from service_kit.audit.hiding import shown_only
from service_kit.audit.tables import AuditTables
from service_kit.db.session import ReadSession

_LENGTH_OF_A_DAY = len("2026-01-31")


class ActivityRepository:
    """Counts of audit rows."""

    def __init__(self, tables: AuditTables) -> None:
        self._events = tables.events

    async def per_day(
        self, session: ReadSession, *, since: datetime, hide_admin_events: bool
    ) -> Mapping[date, int]:
        """How many actions each UTC day saw, each counted once: rows of the platform's own log."""
        events = self._events.c
        day = self._day(session.dialect).label("day")
        query = (
            select(day, func.count().label("n"))
            .where(events.scope == AuditScope.GLOBAL.value, events.occurred_at >= since)
            .group_by(day)
        )
        if hide_admin_events:
            query = query.where(*shown_only(events.event))  # R-080, inside the SQL
        return {date.fromisoformat(row["day"]): row["n"] for row in await session.rows(query)}

    def _day(self, dialect: str) -> ColumnElement[str]:
        occurred_at = self._events.c.occurred_at
        if dialect == "postgresql":
            return func.to_char(occurred_at, "YYYY-MM-DD")  # the session's time zone is UTC
        return func.substr(cast(occurred_at, Text), 1, _LENGTH_OF_A_DAY)
