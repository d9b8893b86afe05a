"""Audit rows as the database holds them, byte for byte, for whoever must prove that nobody touched them.

It believes nothing: a text that is no UTF-8, a time that no calendar knows and a JSON document in another
spelling are handed over as they stand, because an attacker's row must be named, not end the search.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    LargeBinary,
    RowMapping,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

from service_kit.audit.guards import ERASED_EVENT
from service_kit.audit.tables import AuditTables, shelf_of
from service_kit.db.columns import JsonText, UtcDateTime
from service_kit.db.session import ReadSession

_TIME_FORMAT: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
_PII: Final = "pii."
_ERASURE: Final = "erasure_id"
_COPIES: Final = ("shelf", "occurred_at")
"""What `audit_pii` repeats of its row for an index."""
_TWIN: Final = (
    "event",
    "event_version",
    "action",
    "severity",
    "outcome",
    "actor_type",
    "actor_id",
    "actor_role",
    "target_id",
    "resource_type",
    "resource_id",
    "request_id",
    "reason",
    "ticket_ref",
    "details",
    "occurred_at",
)
"""What the two rows of one action say alike (R-126); they differ in scope, chain and target type."""

Raw = RowMapping


class UnreadableError(ValueError):
    """A stored value is not one that the recorder could have written."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a chain ends, by its head; an unknown chain ends before its first row."""

    seq: int
    hash: str


class StoredRows:
    """The raw rows of one service's audit log."""

    def __init__(self, tables: AuditTables) -> None:
        self._tables = tables
        self._form = _Form(tables)

    async def next_chain(self, session: ReadSession, after: str | None) -> str | None:
        """The first chain by name after the given one, be it of rows or only of a head."""
        found = []
        for table in (self._tables.events, self._tables.heads):
            name = table.c.chain
            query = select(raw_value(name, session.dialect)).order_by(name).limit(1)
            if after is not None:
                query = query.where(name > _text(after, session.dialect))
            value = await session.scalar(query)
            found += [value] if value is not None else []
        return min((as_text(value) for value in found), default=None)

    async def head(self, session: ReadSession, chain: str) -> ChainHead | None:
        heads = self._tables.heads
        wanted = heads.c.chain == _text(chain, session.dialect)
        row = await session.first(
            select(heads.c.seq, raw_value(heads.c.hash, session.dialect).label("h")).where(wanted)
        )
        return ChainHead(row["seq"], as_text(row["h"])) if row is not None else None

    async def last_seq(self, session: ReadSession, chain: str) -> int:
        events = self._tables.events.c
        query = select(func.max(events.chain_seq)).where(events.chain == _text(chain, session.dialect))
        return int(await session.scalar(query) or 0)

    async def stretch(
        self, session: ReadSession, chain: str, since: datetime | None, until: datetime | None
    ) -> tuple[int | None, int | None]:
        """The first and the last place of a chain whose time lies within; None where nothing bounds it."""
        events = self._tables.events.c
        mine = events.chain == _text(chain, session.dialect)
        first = last = None
        if since is not None:
            query = select(func.min(events.chain_seq)).where(mine, events.occurred_at >= _moment(since))
            first = await session.scalar(query)
            first = first if first is not None else await self.last_seq(session, chain) + 1
        if until is not None:
            query = select(func.max(events.chain_seq)).where(mine, events.occurred_at < _moment(until))
            last = await session.scalar(query) or 0
        return first, last

    async def hash_at(self, session: ReadSession, chain: str, seq: int) -> str | None:
        """The stored hash of one row, or None where there is no row."""
        events = self._tables.events.c
        query = select(raw_value(events.hash, session.dialect)).where(
            events.chain == _text(chain, session.dialect), events.chain_seq == seq
        )
        value = await session.scalar(query)
        return as_text(value) if value is not None else None

    async def id_at(self, session: ReadSession, chain: str, seq: int) -> str:
        """The id of the row at a place, or nothing."""
        events = self._tables.events.c
        query = select(raw_value(events.id, session.dialect)).where(
            events.chain == _text(chain, session.dialect), events.chain_seq == seq
        )
        return as_text(await session.scalar(query) or "")

    async def batch(
        self, session: ReadSession, chain: str, *, after: int | None, last: int, limit: int
    ) -> Sequence[Raw]:
        """The next rows of a chain with their personal data, in the order of their places."""
        events = self._tables.events.c
        query = self._select(session.dialect).where(
            events.chain == _text(chain, session.dialect), events.chain_seq <= last
        )
        if after is not None:
            query = query.where(events.chain_seq > after)
        return await session.rows(query.order_by(events.chain_seq).limit(limit))

    async def twins(self, session: ReadSession, rows: Iterable[Raw]) -> Mapping[Any, Sequence[Raw]]:
        """For every pair that the rows name, all rows that name it, as far as twins must agree."""
        events = self._tables.events.c
        pairs = sorted({as_text(row["pair_id"]) for row in rows if row["pair_id"] is not None})
        names = ("pair_id", "scope", *_TWIN)
        query = select(*(raw_value(events[name], session.dialect).label(name) for name in names)).where(
            events.pair_id.in_([_text(pair, session.dialect) for pair in pairs])
        )
        found: dict[Any, list[Raw]] = {}
        for row in await session.rows(query) if pairs else ():
            found.setdefault(row["pair_id"], []).append(row)
        return found

    async def orphan(self, session: ReadSession) -> str | None:
        """Personal data that belongs to no row: it was moved away from the row that it told of."""
        events, pii = self._tables.events, self._tables.pii
        joined = pii.outerjoin(events, events.c.id == pii.c.event_id)
        query = select(raw_value(pii.c.event_id, session.dialect)).select_from(joined)
        value = await session.scalar(query.where(events.c.id.is_(None)).limit(1))
        return as_text(value) if value is not None else None

    def row(self, raw: Raw, dialect: str) -> dict[str, Any]:
        """The columns of `audit_events` as the recorder hashed them. Raises UnreadableError."""
        return self._form.read(self._tables.events.c, raw, "", dialect)

    def pii(self, raw: Raw, dialect: str) -> dict[str, Any] | None:
        """The personal data of a row with its salt, or None when there is none. Raises UnreadableError."""
        if raw[_PII + "event_id"] is None:
            return None
        found = self._form.read(self._tables.pii.c, raw, _PII, dialect)
        return {name: value for name, value in found.items() if name not in {"event_id", *_COPIES}}

    def odd_copy(self, raw: Raw) -> str:
        """The column of the personal data that repeats its row wrongly, or nothing."""
        shelf = shelf_of(as_text(raw["event"]), as_text(raw["scope"]))
        if as_text(raw[_PII + "shelf"]) != shelf:
            return "shelf"
        return "occurred_at" if raw[_PII + "occurred_at"] != raw["occurred_at"] else ""

    def is_erased(self, raw: Raw) -> bool:
        """Whether an erasure names the row."""
        return raw[_ERASURE] is not None

    async def next_erasure(self, session: ReadSession, after: str) -> Raw | None:
        """The row that tells of the next erasure, in the order of their ids."""
        events = self._tables.events.c
        later = events.id > _text(after, session.dialect)
        query = self._select(session.dialect).where(events.event == ERASED_EVENT, later)
        return await session.first(query.order_by(events.id).limit(1))

    async def erased_by(self, session: ReadSession, erasure_id: str) -> Sequence[str]:
        """The rows that an erasure names: some thousand at most."""
        erasures = self._tables.erasures.c
        query = select(raw_value(erasures.event_id, session.dialect).label("id")).where(
            erasures.erasure_id == _text(erasure_id, session.dialect)
        )
        return [as_text(row["id"]) for row in await session.rows(query)]

    async def untold_erasure(self, session: ReadSession) -> str | None:
        """A row that is called erased although no audit row tells of it."""
        events, erasures = self._tables.events, self._tables.erasures
        told = and_(events.c.id == erasures.c.erasure_id, events.c.event == ERASED_EVENT)
        query = select(raw_value(erasures.c.event_id, session.dialect)).select_from(
            erasures.outerjoin(events, told)
        )
        value = await session.scalar(query.where(events.c.id.is_(None)).limit(1))
        return as_text(value) if value is not None else None

    def _select(self, dialect: str) -> Select[Any]:
        events, pii, erasures = self._tables.events, self._tables.pii, self._tables.erasures
        columns = [raw_value(column, dialect).label(column.name) for column in events.c]
        columns += [raw_value(column, dialect).label(_PII + column.name) for column in pii.c]
        columns.append(raw_value(erasures.c.erasure_id, dialect).label(_ERASURE))
        joined = events.outerjoin(pii, pii.c.event_id == events.c.id)
        joined = joined.outerjoin(erasures, erasures.c.event_id == events.c.id)
        return select(*columns).select_from(joined)


class _Form:
    """From stored text to values, refusing what the recorder would have written otherwise."""

    def __init__(self, tables: AuditTables) -> None:
        self._sqlite = sqlite.dialect()
        self._types: Mapping[Column[Any], TypeEngine[Any]] = {
            column: column.type for table in (tables.events, tables.pii) for column in table.c
        }

    def read(self, columns: Iterable[Column[Any]], raw: Raw, prefix: str, dialect: str) -> dict[str, Any]:
        values = {}
        for column in columns:
            try:
                values[column.name] = self._value(self._types[column], raw[prefix + column.name], dialect)
            except (ValueError, RecursionError) as error:
                raise UnreadableError(column.name) from error
        return values

    def _value(self, kind: TypeEngine[Any], raw: Any, dialect: str) -> Any:
        if raw is None or isinstance(raw, int):
            return raw
        stored = raw.decode() if isinstance(raw, bytes) else raw
        if not unicodedata.is_normalized("NFC", stored):  # the same hash, but not what was written
            raise ValueError("not in NFC")
        if isinstance(kind, UtcDateTime):
            return self._same(kind, kind.process_result_value(stored, self._sqlite), stored)
        if isinstance(kind, JsonText):
            value = json.loads(stored)
            # jsonb has no spelling of its own; in text, spaces and the order of members could be changed.
            return self._same(kind, value, stored) if dialect == "sqlite" else value
        return stored

    def _same(self, kind: UtcDateTime | JsonText, value: Any, stored: str) -> Any:
        if kind.process_bind_param(value, self._sqlite) != stored:
            raise ValueError("another spelling")
        return value


def twins_agree(rows: Sequence[Raw]) -> bool:
    """Whether these are the two rows of one action, one for each reader, saying the same."""
    scopes = sorted(as_text(row["scope"]) for row in rows)
    return scopes == ["global", "tenant"] and all(rows[0][name] == rows[1][name] for name in _TWIN)


def raw_value(column: Column[Any], dialect: str) -> ColumnElement[Any]:
    """A column as it is stored, for `as_text`; whole numbers stay what they are."""
    if isinstance(column.type, BigInteger):
        return column
    if dialect != "postgresql":
        # As bytes: sqlite3 cannot even read a text that is no UTF-8, and such a row must be named.
        return cast(type_coerce(column, Text), LargeBinary) if _is_text(column) else column
    if isinstance(column.type, UtcDateTime):
        return func.to_char(func.timezone("UTC", column), _TIME_FORMAT)
    return cast(column, Text)


def _is_text(column: Column[Any]) -> bool:
    return isinstance(column.type, Text | UtcDateTime | JsonText)


def _text(value: str, dialect: str) -> ColumnElement[Any]:
    """A text as a parameter; on SQLite also one that is no UTF-8, as `as_text` read it."""
    if dialect == "postgresql":
        return bindparam(None, value, type_=Text())
    return cast(bindparam(None, value.encode("utf-8", "surrogateescape"), type_=LargeBinary()), Text)


def _moment(value: datetime) -> ColumnElement[Any]:
    return bindparam(None, value, type_=UtcDateTime())


def as_text(value: Any) -> str:
    """A raw value as text; bytes that are no UTF-8 stay distinct."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
