"""Audit rows as an export carries them: every column that the hash covers, and the person beside them.

It changes nothing, and reads page by page, each in a transaction of its own: an export of any length holds
one page in memory and keeps no transaction open while its reader is slow.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import RowMapping, select

from service_kit.audit.export_places import ChainPlace, ChainPlaces
from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.audit.tables import AuditTables
from service_kit.db.columns import new_metadata
from service_kit.db.keyset import Position
from service_kit.db.session import Database, ReadSession

PAGE: Final = 250
"""Rows that are read at a time."""

PERSON: Final = ("salt", "actor_email", "actor_name", "ip", "user_agent", "details_pii")
"""The members of `person`: the salt, and what is salted with it."""

_PII: Final = "pii."
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """One row: `row` has the columns of `audit_events` as they were hashed, times as text; `person` has the
    salt and the personal data that the row commits to, or is None when that was erased.
    """

    row: Mapping[str, Any]
    person: Mapping[str, Any] | None

    @property
    def key(self) -> tuple[str, str]:
        """The order of the log: times have a fixed width, so their text is ordered as they are."""
        return self.row["occurred_at"], self.row["id"]

    @property
    def chain(self) -> str:
        return str(self.row["chain"])

    @property
    def seq(self) -> int:
        return int(self.row["chain_seq"])


def compact_json(value: Any) -> bytes:
    """The one spelling of an export's JSON: sorted members, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def row_columns() -> frozenset[str]:
    """The columns that a row of an export has, no more and no fewer."""
    return frozenset(column.name for column in AuditTables(new_metadata()).events.c)


def utc_text(moment: datetime) -> str:
    """A time as the hash covers it."""
    return moment.astimezone(UTC).strftime(_TIME)


class ExportWalk:
    """One service's rows for one export, newest first; afterwards, where their chains stand."""

    def __init__(
        self, database: Database, tables: AuditTables, wanted: AuditFilter, *, hide_admin_events: bool
    ) -> None:
        self._database = database
        self._tables = tables
        self._queries = AuditQueries(tables)
        self._places = ChainPlaces(tables)
        self._wanted = wanted
        self._hide = hide_admin_events
        self.places: tuple[ChainPlace, ...] = ()

    async def rows(self) -> AsyncIterator[ExportedRow]:
        """Every row once. Raises UnavailableError when the database does not answer."""
        lasts: dict[str, int] = {}
        position: Position | None = None
        while True:
            page = await self._page(position)
            for one in page:
                lasts[one.chain] = max(one.seq, lasts.get(one.chain, 0))
                yield one
            if len(page) < PAGE:
                break
            position = Position(
                datetime.strptime(page[-1].key[0], _TIME).replace(tzinfo=UTC), page[-1].key[1]
            )
        self.places = await self._stand(lasts)

    async def _page(self, position: Position | None) -> Sequence[ExportedRow]:
        """The rows that the list would show, with its own rule about `admin.*`, but all their columns."""
        async with self._database.read() as session:
            shown = await self._queries.page(
                session, self._wanted, hide_admin_events=self._hide, position=position, limit=PAGE
            )
            return await self._whole(session, [row["id"] for row in shown])

    async def _whole(self, session: ReadSession, ids: Sequence[str]) -> Sequence[ExportedRow]:
        events, pii = self._tables.events, self._tables.pii
        person = [pii.c[name].label(_PII + name) for name in PERSON]
        query = select(*events.c, *person).select_from(events.outerjoin(pii, pii.c.event_id == events.c.id))
        found = [_exported(row) for row in await session.rows(query.where(events.c.id.in_(ids)))]
        return sorted(found, key=lambda one: one.key, reverse=True)

    async def _stand(self, lasts: Mapping[str, int]) -> tuple[ChainPlace, ...]:
        async with self._database.read() as session:
            return tuple(
                [await self._places.at(session, chain, last) for chain, last in sorted(lasts.items())]
            )


def _exported(found: RowMapping) -> ExportedRow:
    row = {name: _plain(value) for name, value in found.items() if not name.startswith(_PII)}
    person = {name.removeprefix(_PII): value for name, value in found.items() if name.startswith(_PII)}
    return ExportedRow(row, person if any(person.values()) else None)


def _plain(value: Any) -> Any:
    return utc_text(value) if isinstance(value, datetime) else value
