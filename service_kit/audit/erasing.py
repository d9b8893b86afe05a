"""Erasing personal data from an audit log: by person, by organization, or by age; the chain stays whole.

Rows stay, and so does their commitment; only what `audit_pii` holds goes. Each batch is one transaction with
an audit row that tells how many rows it was and commits to which ones, so that verification can tell erased
data from data that somebody destroyed. It cannot be undone, and it hides no tampering: that row also names
the rows whose data was no longer what they commit to.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Text,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)

from service_kit.audit.chain import digest_of, pii_commitment
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.export_rows import PERSON
from service_kit.audit.own_events import ERASED
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.tables import AuditTables
from service_kit.db.session import Database, ReadSession, WriteSession

AT_ONCE: Final = 2000
"""Rows in one transaction, which holds the head of the chain: some tens of milliseconds."""

_MOST_NAMED: Final = 100
_DETAILS: Final = "details_pii"


class Basis(StrEnum):
    """By what the rows are chosen."""

    USER = "user"
    OPERATOR = "operator"
    ORGANIZATION = "organization"
    BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data goes: an id, or with `before` everything older."""

    basis: Basis
    value: str
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was done: the rows whose personal data went, and the audit rows that tell of it."""

    rows: int
    event_ids: tuple[str, ...]
    altered: int = 0
    """Of these rows: those whose data was not what the row commits to. Somebody had changed it before."""


class PersonalDataEraser:
    """The only way in which personal data leaves an audit log."""

    def __init__(self, database: Database, tables: AuditTables, recorder: AuditRecorder) -> None:
        self._database = database
        self._tables = tables
        self._recorder = recorder

    async def count(self, subject: Subject) -> int:
        """How many rows would lose their personal data now."""
        async with self._database.read() as session:
            return int(await session.scalar(self._chosen(subject, func.count())))

    async def erase(self, subject: Subject, *, reason: str, ticket_ref: str = "") -> Erasure:
        """Erase it, batch by batch. Raises UnavailableError; what was committed stays erased."""
        after, rows, altered = "", 0, 0
        told: list[str] = []
        while True:
            async with self._database.write() as session:
                found = await self._batch(session, subject, after)
                if not found:
                    return Erasure(rows, tuple(told), altered)
                erasure_id, odd = await self._erase(session, subject, found, reason, ticket_ref)
            told.append(erasure_id)
            rows, after, altered = rows + len(found), found[-1], altered + odd

    async def _altered(self, session: ReadSession, found: Sequence[str]) -> Sequence[str]:
        """The rows whose personal data is not what they commit to: afterwards nobody could tell."""
        events, pii = self._tables.events, self._tables.pii
        columns = [pii.c[name] for name in PERSON if name != _DETAILS]
        query = select(
            events.c.id, events.c.pii_commitment, *columns, cast(pii.c[_DETAILS], Text).label(_DETAILS)
        )
        query = query.join_from(pii, events, events.c.id == pii.c.event_id).where(pii.c.event_id.in_(found))
        return sorted(row["id"] for row in await session.rows(query) if not _fits(row))

    async def _batch(self, session: ReadSession, subject: Subject, after: str) -> Sequence[str]:
        event_id = self._tables.pii.c.event_id
        query = self._chosen(subject, event_id).where(event_id > after).order_by(event_id).limit(AT_ONCE)
        return [row["event_id"] for row in await session.rows(query)]

    async def _erase(
        self, session: WriteSession, subject: Subject, found: Sequence[str], reason: str, ticket_ref: str
    ) -> tuple[str, int]:
        pii, erasures = self._tables.pii, self._tables.erasures
        details: dict[str, Any] = {"basis": subject.basis.value, "rows": len(found)}
        details["digest"] = digest_of(found)
        if odd := await self._altered(session, found):
            details |= {"altered": len(odd), "alteredRows": list(odd[:_MOST_NAMED])}
        entry = AuditEntry(
            ERASED, SYSTEM, subject.value, reason=reason, ticket_ref=ticket_ref, details=details
        )
        [erasure_id] = await self._recorder.record(session, entry)
        if session.dialect == "sqlite":  # what was deleted must not lie in a free page of the file
            await session.execute(text("PRAGMA secure_delete = ON"))
        named = [{"event_id": event_id, "erasure_id": erasure_id} for event_id in found]
        await session.execute(insert(erasures), named)
        mine = select(erasures.c.event_id).where(erasures.c.erasure_id == erasure_id)
        await session.execute(delete(pii).where(pii.c.event_id.in_(mine)))
        return erasure_id, len(odd)

    def _chosen(self, subject: Subject, *columns: Any) -> Select[Any]:
        events, pii = self._tables.events, self._tables.pii
        joined = pii.join(events, events.c.id == pii.c.event_id)
        # The rows that tell of erasures name the subject too; they hold no personal data.
        others = events.c.event != ERASED.name
        return select(*columns).select_from(joined).where(others, self._condition(subject))

    def _condition(self, subject: Subject) -> ColumnElement[bool]:
        events = self._tables.events.c
        match subject.basis:
            case Basis.BEFORE:
                return events.occurred_at < subject.before
            case Basis.ORGANIZATION:
                return or_(events.target_id == subject.value, events.organization_id == subject.value)
            case _:  # what the person did, and what was done to them
                return or_(events.actor_id == subject.value, events.resource_id == subject.value)


def _fits(row: RowMapping) -> bool:
    """Whether the personal data is what its row commits to."""
    try:
        details = json.loads(row[_DETAILS]) if row[_DETAILS] is not None else None
        person = {name: row[name] for name in PERSON if name not in {"salt", _DETAILS}}
        found = pii_commitment(str(row["salt"]), {**person, _DETAILS: details})
    except (ValueError, TypeError):
        return False
    return found == str(row["pii_commitment"])
