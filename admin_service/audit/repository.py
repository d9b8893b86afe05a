"""The admin service's own audit rows: pages and single rows by the kit's queries, and counts per day."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, cast, func, select, text

from admin_service.tables import AUDIT
from service_kit.audit.events import AuditScope
from service_kit.audit.export_places import ChainPlaces, RowPlace
from service_kit.audit.hiding import shown_only
from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.audit.tables import IS_ADMIN_EVENT
from service_kit.db.keyset import Position
from service_kit.db.session import ReadSession

_E = AUDIT.events.c
_DAY_CHARACTERS: Final = 10
_IS_ADMIN_EVENT: Final = text(f"{IS_ADMIN_EVENT} = 1")
"""The expression of the index, letter by letter."""

MOST_VIEWS: Final = 500


class AuditRepository:
    """The admin service's half of the audit log."""

    def __init__(self) -> None:
        self._queries = AuditQueries(AUDIT)
        self._places = ChainPlaces(AUDIT)

    async def page(
        self,
        session: ReadSession,
        wanted: AuditFilter,
        *,
        position: Position | None,
        limit: int,
        hide_admin_events: bool,
    ) -> Sequence[Mapping[str, Any]]:
        return await self._queries.page(
            session, wanted, position=position, limit=limit, hide_admin_events=hide_admin_events
        )

    async def by_id(
        self, session: ReadSession, event_id: str, *, hide_admin_events: bool
    ) -> Mapping[str, Any] | None:
        return await self._queries.by_id(session, event_id, hide_admin_events=hide_admin_events)

    async def twin(
        self, session: ReadSession, row: Mapping[str, Any], *, hide_admin_events: bool
    ) -> Mapping[str, Any] | None:
        return await self._queries.twin(session, row, hide_admin_events=hide_admin_events)

    async def place(self, session: ReadSession, row: Mapping[str, Any]) -> RowPlace:
        return await self._places.of(session, row)

    async def viewed(
        self, session: ReadSession, event: str, actor_id: str, since: datetime
    ) -> Sequence[Mapping[str, Any]]:
        """The details, chained and erasable as one, of an actor's newest `admin.*` events of one kind.

        Not of all: whoever changes a filter a thousand times would make every look cost a thousand rows.
        """
        pii = AUDIT.pii
        query = (
            select(_E.details, pii.c.details_pii)
            .select_from(AUDIT.events.outerjoin(pii, pii.c.event_id == _E.id))
            .where(_E.actor_id == actor_id, _E.scope == AuditScope.GLOBAL.value, _IS_ADMIN_EVENT)
            .where(_E.event == event, _E.occurred_at >= since)
            .order_by(_E.occurred_at.desc(), _E.id.desc())
            .limit(MOST_VIEWS)
        )
        return [{**row["details"], **(row["details_pii"] or {})} for row in await session.rows(query)]

    async def per_day(
        self, session: ReadSession, since: datetime, *, hide_admin_events: bool
    ) -> dict[date, int]:
        """Global rows a UTC day; a day without any is absent."""
        day = _day(session.dialect)
        conditions = [_E.occurred_at >= since, _E.scope == AuditScope.GLOBAL.value]
        if hide_admin_events:
            conditions += shown_only(_E.event)
        query = select(day.label("day"), func.count().label("count")).where(*conditions).group_by("day")
        return {date.fromisoformat(row["day"]): row["count"] for row in await session.rows(query)}


def _day(dialect: str) -> ColumnElement[str]:
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", _E.occurred_at), "YYYY-MM-DD")
    # On SQLite a time is text that begins with its day (data-model 2.1).
    return func.substr(cast(_E.occurred_at, Text), 1, _DAY_CHARACTERS)
