"""Reading the audit log: newest first, by keyset, with the rule about `admin.*` inside the SQL.

It shows no row that the reader's role hides, neither in a list nor by id (R-080), and walks over none: a page
is made of the newest rows of each shelf that the reader may see, each of which an index holds in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    RowMapping,
    Select,
    Text,
    and_,
    bindparam,
    func,
    select,
    text,
    true,
    tuple_,
    union_all,
)

from service_kit.audit.events import AuditScope
from service_kit.audit.hiding import is_hidden, shown_only
from service_kit.audit.tables import ADMIN_EVENTS, IS_ADMIN_EVENT, AuditTables, shelf_of
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
)


@dataclass(frozen=True, slots=True)
class _Place:
    """A stretch of an index that is in the order of the list: a shelf, or one event on it."""

    scope: str
    admin: bool
    event: str = ""

    @property
    def shelf(self) -> str:
        return shelf_of(ADMIN_EVENTS if self.admin else "", self.scope)


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
        places = await self._places(session, wanted, hide_admin_events=hide_admin_events)
        if not places:
            return []
        if session.dialect == "postgresql":
            await session.first(_TRUST_THE_FILTER)
        keys = self._keys(wanted, places, position, limit, self._hidden(hide_admin_events))
        query = self._select().join(keys, keys.c.id == self._tables.events.c.id)
        query = query.where(*self._hidden(hide_admin_events))  # whatever a copy or an index may say
        query = query.order_by(*_order(keys.c.occurred_at, keys.c.id, position)).limit(limit)
        rows = [_merged(row) for row in await session.rows(query)]
        return rows[::-1] if _is_backward(position) else rows

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
        """The row of a dual-scope pair in the other scope; of several tenants' rows the first.

        Never another tenant's row of the same pair: a search tells each tenant that it found.
        """
        if row["pair_id"] is None:
            return None
        events = self._tables.events
        pair = and_(events.c.pair_id == row["pair_id"], events.c.scope != row["scope"])
        query = self._select().where(pair, *self._hidden(hide_admin_events)).order_by(events.c.id)
        found = await session.first(query.limit(1))
        return _merged(found) if found is not None else None

    def _select(self) -> Select[Any]:
        events, pii = self._tables.events, self._tables.pii
        person = (pii.c.actor_email, pii.c.actor_name, pii.c.ip, pii.c.user_agent, pii.c.details_pii)
        return select(events, *person).select_from(events.outerjoin(pii, pii.c.event_id == events.c.id))

    async def _places(
        self, session: ReadSession, wanted: AuditFilter, *, hide_admin_events: bool
    ) -> Sequence[_Place]:
        """Where the rows stand that may be shown."""
        scopes = [wanted.scope] if wanted.scope else [scope.value for scope in AuditScope]
        if not wanted.event:
            kinds = [False] if hide_admin_events else [False, True]
            return [_Place(scope, admin) for admin in kinds for scope in scopes]
        names = [wanted.event]
        if wanted.event.endswith(".*"):
            names = [name for name in await self._names(session) if name.startswith(wanted.event[:-1])]
        shown = [name for name in names if not (hide_admin_events and is_hidden(name))]
        return [_Place(scope, name.startswith(ADMIN_EVENTS), name) for name in shown for scope in scopes]

    async def _names(self, session: ReadSession) -> Sequence[str]:
        """Every event's name in the log, by one step of an index for each, whatever the collation."""
        event = self._tables.events.c.event
        names = select(func.min(event).label("name")).cte("names", recursive=True)
        step = select(func.min(event)).where(event > names.c.name).scalar_subquery()
        names = names.union_all(select(step).where(names.c.name.is_not(None)))
        found = await session.rows(select(names.c.name).where(names.c.name.is_not(None)))
        return [row["name"] for row in found]

    def _keys(
        self,
        wanted: AuditFilter,
        places: Sequence[_Place],
        position: Position | None,
        limit: int,
        hidden: Sequence[ColumnElement[bool]],
    ) -> Any:
        """Time and id of the newest rows of every place: at most `limit` of each."""
        if wanted.actor_email:  # what is hidden on a shelf that is shown names nobody
            made = [self._keys_of_person(wanted, place, position) for place in places]
        else:
            made = [self._keys_of_row(wanted, place, position).where(*hidden) for place in places]
        found = [one.limit(limit).subquery() for one in made]
        if len(found) == 1:
            return found[0]
        return union_all(*(select(one.c.occurred_at, one.c.id) for one in found)).subquery("keys")

    def _keys_of_row(self, wanted: AuditFilter, place: _Place, position: Position | None) -> Select[Any]:
        events = self._tables.events.c
        query = select(events.occurred_at, events.id).where(events.scope == place.scope)
        if not place.event:  # the name of an event tells it by itself
            query = query.where(_IS_ADMIN_EVENT if place.admin else _IS_NO_ADMIN_EVENT)
        query = query.where(*self._conditions(wanted, place))
        return _stretch(query, events.occurred_at, events.id, wanted, position)

    def _keys_of_person(self, wanted: AuditFilter, place: _Place, position: Position | None) -> Select[Any]:
        """By the index of `audit_pii`; the row itself is asked only when another filter needs it."""
        events, pii = self._tables.events, self._tables.pii
        query = select(pii.c.occurred_at, pii.c.event_id.label("id"))
        conditions = self._conditions(wanted, place)
        if conditions:
            query = query.select_from(pii.join(events, events.c.id == pii.c.event_id)).where(*conditions)
        query = query.where(pii.c.actor_email == wanted.actor_email, pii.c.shelf == place.shelf)
        return _stretch(query, pii.c.occurred_at, pii.c.event_id, wanted, position)

    def _conditions(self, wanted: AuditFilter, place: _Place) -> list[ColumnElement[bool]]:
        events = self._tables.events.c
        conditions = [events[name] == getattr(wanted, name) for name in _EXACT if getattr(wanted, name)]
        return [*conditions, events.event == place.event] if place.event else conditions

    def _hidden(self, hide_admin_events: bool) -> list[ColumnElement[bool]]:  # noqa: FBT001 - private, one caller's flag
        return shown_only(self._tables.events.c.event) if hide_admin_events else []


_TRUST_THE_FILTER: Final = select(func.set_config("random_page_cost", "0.1", true()))
"""For this transaction. The planner knows that the index of times lies in the order of the table, and takes
a filter's columns for independent of each other: it would rather walk that index until enough rows fit, which
may be never, than take the few that the filter's own index names.
"""

_IS_ADMIN_EVENT: Final = text(f"{IS_ADMIN_EVENT} = 1")
_IS_NO_ADMIN_EVENT: Final = text(f"{IS_ADMIN_EVENT} = 0")
"""The expression of the indexes, letter by letter: a parameter in it would hide it from the planners."""


def _stretch(
    query: Select[Any],
    at: Column[Any],
    row_id: Column[Any],
    wanted: AuditFilter,
    position: Position | None,
) -> Select[Any]:
    """The part of a place that lies in the wanted time and beyond the position, in order."""
    if wanted.since is not None:
        query = query.where(at >= wanted.since)
    if wanted.until is not None:
        query = query.where(at < wanted.until)
    if position is not None:
        key, edge = tuple_(at, row_id), tuple_(_bound(position.at), _bound_id(position.id))
        query = query.where(key > edge if position.backward else key < edge)
    return query.order_by(*_order(at, row_id, position))


def _order(at: ColumnElement[Any], row_id: ColumnElement[Any], position: Position | None) -> Sequence[Any]:
    return (at, row_id) if _is_backward(position) else (at.desc(), row_id.desc())


def _is_backward(position: Position | None) -> bool:
    return position is not None and position.backward


def _bound(at: datetime) -> Any:
    return bindparam(None, at, type_=UtcDateTime())


def _bound_id(row_id: str) -> Any:
    return bindparam(None, row_id, type_=Text())


def _merged(row: RowMapping) -> Mapping[str, Any]:
    """Details as one object; personal data that was erased is simply absent."""
    merged = dict(row)
    merged["details"] = {**(row["details"] or {}), **(row["details_pii"] or {})}
    return merged
