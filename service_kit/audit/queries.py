"""Reading the audit log: newest first, by keyset, with the rule about `admin.*` inside the SQL.

It shows no row that the reader's role hides, neither in a list nor by id (R-080).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Select, Text, and_, bindparam, select, tuple_

from service_kit.audit.tables import AuditTables
from service_kit.db.columns import UtcDateTime
from service_kit.db.keyset import Position
from service_kit.db.session import ReadSession


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to list. `event` is exact, or a prefix such as `billing.*`; an empty member asks nothing."""

    event: str = ""
    action: str = ""
    actor_id: str = ""
    actor_email: str = ""
    resource_type: str = ""
    resource_id: str = ""
    organization_id: str = ""
    severity: str = ""
    outcome: str = ""
    request_id: str = ""
    scope: str = "global"
    """`global`, `tenant`, or empty for both; the default shows each action once."""
    since: datetime | None = None
    until: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_EXACT: Final = (
    "action",
    "actor_id",
    "resource_type",
    "resource_id",
    "organization_id",
    "severity",
    "outcome",
    "request_id",
    "scope",
)


class AuditQueries:
    """The reading side of one service's audit log."""

    def __init__(self, tables: AuditTables) -> None:
        self._tables = tables

    async def page(
        self,
        session: ReadSession,
        wanted: AuditFilter,
        *,
        hide_admin_events: bool,
        position: Position | None,
        limit: int,
    ) -> Sequence[Mapping[str, Any]]:
        """At most `limit` rows in display order (newest first) beyond the position."""
        events = self._tables.events
        query = self._select().where(*self._conditions(wanted, hide_admin_events=hide_admin_events))
        key = tuple_(events.c.occurred_at, events.c.id)
        if position is not None:
            edge = tuple_(_bound(position.at), _bound_id(position.id))
            query = query.where(key > edge if position.backward else key < edge)
        backward = position is not None and position.backward
        order = (events.c.occurred_at, events.c.id)
        query = query.order_by(*(order if backward else [column.desc() for column in order]))
        rows = [_merged(row) for row in await session.rows(query.limit(limit))]
        return rows[::-1] if backward else rows

    async def by_id(
        self, session: ReadSession, event_id: str, *, hide_admin_events: bool
    ) -> Mapping[str, Any] | None:
        """One row, or None when it does not exist or is hidden: the caller cannot tell which."""
        events = self._tables.events
        query = self._select().where(events.c.id == event_id, *self._hidden(hide_admin_events))
        row = await session.first(query)
        return _merged(row) if row is not None else None

    async def twin(
        self, session: ReadSession, row: Mapping[str, Any], *, hide_admin_events: bool
    ) -> Mapping[str, Any] | None:
        """The other row of a dual-scope pair."""
        if row["pair_id"] is None:
            return None
        events = self._tables.events
        pair = and_(events.c.pair_id == row["pair_id"], events.c.id != row["id"])
        found = await session.first(self._select().where(pair, *self._hidden(hide_admin_events)))
        return _merged(found) if found is not None else None

    def _select(self) -> Select[Any]:
        events, pii = self._tables.events, self._tables.pii
        person = (pii.c.actor_email, pii.c.actor_name, pii.c.ip, pii.c.user_agent, pii.c.details_pii)
        return select(events, *person).select_from(events.outerjoin(pii, pii.c.event_id == events.c.id))

    def _conditions(self, wanted: AuditFilter, *, hide_admin_events: bool) -> list[ColumnElement[bool]]:
        events, pii = self._tables.events, self._tables.pii
        conditions = [events.c[name] == getattr(wanted, name) for name in _EXACT if getattr(wanted, name)]
        if wanted.actor_email:
            conditions.append(pii.c.actor_email == wanted.actor_email)
        if wanted.event.endswith(".*"):
            conditions.append(events.c.event.startswith(wanted.event[:-1], autoescape=True))
        elif wanted.event:
            conditions.append(events.c.event == wanted.event)
        if wanted.since is not None:
            conditions.append(events.c.occurred_at >= wanted.since)
        if wanted.until is not None:
            conditions.append(events.c.occurred_at < wanted.until)
        return [*conditions, *self._hidden(hide_admin_events)]

    def _hidden(self, hide_admin_events: bool) -> list[ColumnElement[bool]]:  # noqa: FBT001 - private, one caller's flag
        return [self._tables.events.c.event.not_like("admin.%")] if hide_admin_events else []


def _bound(at: datetime) -> Any:
    return bindparam(None, at, type_=UtcDateTime())


def _bound_id(row_id: str) -> Any:
    return bindparam(None, row_id, type_=Text())


def _merged(row: RowMapping) -> Mapping[str, Any]:
    """Details as one object; personal data that was erased is simply absent."""
    merged = dict(row)
    merged["details"] = {**(row["details"] or {}), **(row["details_pii"] or {})}
    return merged
