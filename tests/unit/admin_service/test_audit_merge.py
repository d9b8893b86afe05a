"""Paging over two sources: no gap, no duplicate, either way (R-033, data-model 2.6)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from admin_service.audit.models import AuditPage, AuditSource
from admin_service.audit.repository import AuditRepository
from admin_service.audit.service import AuditReader, Reader
from admin_service.tenant_answers import EventCatalogue
from service_kit.audit.queries import AuditFilter
from service_kit.db.keyset import Position
from service_kit.db.session import Database
from service_kit.identity.model import InternalIdentity, Role
from service_kit.web.paging import CursorCodec
from tests.fakes.clock import FrozenClock

START = datetime(2026, 1, 1, tzinfo=UTC)
READER = Reader(
    InternalIdentity("sub", "a@b.example", "A", "admin_service", "0" * 16, 0, "adm_1", Role.SUPER_ADMIN),
    "delegation",
)
_TEXT = (
    "event",
    "action",
    "severity",
    "outcome",
    "actor_type",
    "actor_id",
    "actor_role",
    "target_type",
    "target_id",
    "resource_type",
    "resource_id",
    "scope",
    "request_id",
    "reason",
    "ticket_ref",
    "chain",
    "hash",
    "prev_hash",
)


def row(second: int, number: int) -> Mapping[str, Any]:
    return {
        **dict.fromkeys(_TEXT, "x"),
        "id": f"aud_{number:026}",
        "occurred_at": START + timedelta(seconds=second),
        "event_version": 1,
        "chain_seq": number,
        "organization_id": None,
        "pair_id": None,
        "actor_email": None,
        "actor_name": None,
        "ip": None,
        "details": {},
    }


def key(one: Mapping[str, Any]) -> tuple[datetime, str]:
    return one["occurred_at"], one["id"]


def keyset(
    rows: Sequence[Mapping[str, Any]], position: Position | None, limit: int
) -> list[Mapping[str, Any]]:
    """What `AuditQueries.page` promises, in memory."""
    ordered = sorted(rows, key=key, reverse=True)
    if position is None:
        return ordered[:limit]
    edge = (position.at, position.id)
    if position.backward:
        return [one for one in ordered if key(one) > edge][-limit:]
    return [one for one in ordered if key(one) < edge][:limit]


class OwnRows:
    """An `AuditRepository` over a list."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    async def page(
        self, _session: object, _wanted: AuditFilter, *, position: Position | None, limit: int, **_hide: bool
    ) -> Sequence[Mapping[str, Any]]:
        return keyset(self._rows, position, limit)


class TenantRows:
    """A `TenantAudit` over a list."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    async def audit_page(
        self, _delegation: str, _wanted: AuditFilter, *, position: Position | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        return keyset(self._rows, position, limit)

    async def audit_event(self, delegation: str, event_id: str) -> Mapping[str, Any] | None:
        raise NotImplementedError

    async def event_catalogue(self, delegation: str) -> EventCatalogue:
        raise NotImplementedError

    async def audit_activity(self, delegation: str, days: int) -> Mapping[date, int]:
        raise NotImplementedError


class NoDatabase:
    """A `Database` whose sessions nobody looks at."""

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        yield None


def reader_over(own: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> AuditReader:
    return AuditReader(
        cast("Database", NoDatabase()),
        cast("AuditRepository", OwnRows(own)),
        TenantRows(theirs),
        FrozenClock(),
        CursorCodec(b"k" * 32),
    )


# Few distinct seconds: most rows share their time with another one, often of the other source.
_rows = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30)


@settings(max_examples=200, deadline=None)
@given(entries=_rows, limit=st.integers(1, 7))
def test_walking_forth_and_back_sees_every_row_once(entries: list[tuple[int, bool]], limit: int) -> None:
    """Equal times, any split, any page size: each row once, in one order, and the same way back."""
    rows = [(row(second, number), theirs) for number, (second, theirs) in enumerate(entries)]
    reader = reader_over([one for one, theirs in rows if not theirs], [one for one, theirs in rows if theirs])

    async def walk() -> tuple[list[AuditPage], list[AuditPage]]:
        forth = [await reader.page(READER, AuditFilter(), limit=limit)]
        while forth[-1].page.next_cursor is not None:
            forth.append(
                await reader.page(READER, AuditFilter(), limit=limit, cursor=forth[-1].page.next_cursor)
            )
        back = [forth[-1]]
        while back[-1].page.prev_cursor is not None:
            back.append(
                await reader.page(READER, AuditFilter(), limit=limit, cursor=back[-1].page.prev_cursor)
            )
        return forth, back

    forth, back = asyncio.run(walk())
    expected = [one["id"] for one in sorted((one for one, _ in rows), key=key, reverse=True)]

    assert [one.id for page in forth for one in page.rows] == expected
    assert [one.id for page in reversed(back) for one in page.rows] == expected
    assert all(len(page.rows) == limit for page in forth[:-1])
    assert {one.source for page in forth for one in page.rows} <= set(AuditSource)
