"""Counting what a service's audit log holds of a period: by event and by actor, for whoever audits it.

It counts the platform's own rows, so that each action counts once, and hides `admin.*` like every reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select

from service_kit.audit.events import ActorType, AuditScope
from service_kit.audit.hiding import shown_only
from service_kit.audit.tables import AuditTables
from service_kit.db.session import ReadSession

MOST_ACTORS: Final = 200
"""So many people of tenants and strangers are told apart. Operators, break-glass and jobs always are."""
_MANY: Final = (ActorType.USER.value, ActorType.ANONYMOUS.value)


@dataclass(frozen=True, slots=True)
class EventCount:
    """How often an event was recorded with an outcome."""

    event: str
    severity: str
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class ActorCount:
    """How much one actor did; `actor_email` is empty when nobody was known, or it was erased."""

    actor_type: str
    actor_id: str
    actor_email: str
    count: int


class AuditCounts:
    """Asks one service's tables."""

    def __init__(self, tables: AuditTables) -> None:
        self._tables = tables

    async def by_event(
        self, session: ReadSession, since: datetime, until: datetime, *, hide_admin_events: bool
    ) -> Sequence[EventCount]:
        events = self._tables.events.c
        kind = (events.event, events.severity, events.outcome)
        query = select(*kind, func.count().label("count")).group_by(*kind)
        query = query.where(*self._within(since, until, hide_admin_events=hide_admin_events))
        return [EventCount(**row) for row in await session.rows(query)]

    async def by_actor(
        self, session: ReadSession, since: datetime, until: datetime, *, hide_admin_events: bool
    ) -> Sequence[ActorCount]:
        """Everybody but the less busy of those who are many, by how much they did."""
        events, pii = self._tables.events, self._tables.pii
        who, count = (events.c.actor_type, events.c.actor_id), func.count().label("count")
        is_one_of_many = events.c.actor_type.in_(_MANY)
        order = (count.desc(), events.c.actor_id)
        grouped = (
            select(
                *who,
                func.coalesce(func.max(pii.c.actor_email), "").label("actor_email"),
                count,
                is_one_of_many.label("is_one_of_many"),
                func.row_number().over(partition_by=is_one_of_many, order_by=order).label("place"),
            )
            .select_from(events.outerjoin(pii, pii.c.event_id == events.c.id))
            .where(*self._within(since, until, hide_admin_events=hide_admin_events))
            .group_by(*who)
            .subquery()
        ).c
        told = or_(~grouped.is_one_of_many, grouped.place <= MOST_ACTORS)
        columns = (grouped.actor_type, grouped.actor_id, grouped.actor_email, grouped["count"])
        query = select(*columns).where(told).order_by(grouped["count"].desc(), grouped.actor_id)
        return [ActorCount(**row) for row in await session.rows(query)]

    def _within(
        self, since: datetime, until: datetime, *, hide_admin_events: bool
    ) -> list[ColumnElement[Any]]:
        events = self._tables.events.c
        found = [
            events.scope == AuditScope.GLOBAL.value,
            events.occurred_at >= since,
            events.occurred_at < until,
        ]
        return [*found, *shown_only(events.event)] if hide_admin_events else found
