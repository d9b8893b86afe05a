"""Reading the log: every row once, by keyset, and nothing that the reader's role hides."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.db.keyset import Position
from service_kit.db.session import Database
from tests.fakes.clock import START, FrozenClock
from tests.integration.service_kit.audit.tampering import unlock
from tests.integration.service_kit.audit.writing import (
    ADMIN_MADE,
    ADMIN_PAIR,
    PACK_MADE,
    SIGNED_IN,
    entry,
    record,
)
from tests.integration.service_kit.db.tables import AUDIT, opened

QUERIES = AuditQueries(AUDIT)
ALL = AuditFilter(scope="")


@pytest.fixture
async def filled(database: Database, clock: FrozenClock) -> Database:
    """Twelve rows, several of them within one moment."""
    for number, event in enumerate((PACK_MADE, ADMIN_MADE, SIGNED_IN, ADMIN_PAIR)):
        clock.advance(number % 2)
        await record(
            database, clock, entry(event, org="org_1", resource_id=f"r_{number}", request_id=f"req_{number}")
        )
    for number in range(3):
        await record(
            database, clock, entry(org=f"org_{number}", details={"n": number}, details_pii={"who": "Zoë"})
        )
        clock.advance(1)
    return database


async def page(
    database: Database,
    wanted: AuditFilter = ALL,
    *,
    hide: bool = False,
    position: Position | None = None,
    limit: int = 100,
) -> list[Mapping[str, Any]]:
    async with database.read() as session:
        rows = await QUERIES.page(session, wanted, hide_admin_events=hide, position=position, limit=limit)
    return list(rows)


async def test_the_newest_rows_come_first(filled: Database) -> None:
    """R-030, R-033: in the order of time and id, newest first, with the person joined in."""
    rows = await page(filled)
    keys = [(row["occurred_at"], row["id"]) for row in rows]

    assert len(rows) == 11
    assert keys == sorted(keys, reverse=True)
    assert {row["actor_email"] for row in rows} == {"ada@example.com"}
    assert rows[0]["details"] == {"n": 2, "who": "Zoë"}


async def test_the_default_shows_each_action_once(filled: Database) -> None:
    """R-126: of a pair the platform's log shows the global half."""
    assert {row["scope"] for row in await page(filled, AuditFilter())} == {"global"}
    assert len(await page(filled, AuditFilter())) == 6


async def test_admin_events_are_hidden_inside_the_query(filled: Database) -> None:
    """R-080, R-132: whatever the filter asks for, support sees no `admin.*` row, and pages stay full."""
    for wanted in (ALL, AuditFilter(), AuditFilter(event="admin.*"), AuditFilter(event="admin.created")):
        shown = [row["id"] for row in await page(filled, wanted, hide=True)]
        everything = await page(filled, wanted)
        assert shown == [row["id"] for row in everything if not row["event"].startswith("admin.")]

    assert len(await page(filled, ALL, hide=True, limit=5)) == 5


async def test_a_hidden_row_does_not_exist_by_id_or_as_twin(filled: Database) -> None:
    """R-080: neither a list nor an id nor the other half of a pair shows it."""
    rows = await page(filled)
    async with filled.read() as session:
        for row in rows:
            hidden = row["event"].startswith("admin.")
            found = await QUERIES.by_id(session, row["id"], hide_admin_events=True)
            twin = await QUERIES.twin(session, row, hide_admin_events=True)
            assert (found is None) == hidden
            assert twin is None or not twin["event"].startswith("admin.")
        assert await QUERIES.by_id(session, "aud_none", hide_admin_events=True) is None


async def test_a_pair_finds_its_other_half(filled: Database) -> None:
    """R-126: from either side; a single row has none."""
    async with filled.read() as session:
        for row in await page(filled):
            twin = await QUERIES.twin(session, row, hide_admin_events=False)
            if row["pair_id"] is None:
                assert twin is None
            else:
                assert twin is not None
                assert (twin["pair_id"], {twin["scope"], row["scope"]}) == (
                    row["pair_id"],
                    {"global", "tenant"},
                )


FILTERS = (
    (AuditFilter(event="tenant.suspended", scope=""), 6),
    (AuditFilter(event="tenant.*", scope=""), 6),
    (AuditFilter(event="admin.*", scope=""), 3),
    (AuditFilter(event="%.*", scope=""), 0),
    (AuditFilter(event="a%", scope=""), 0),
    (AuditFilter(event="tenant", scope=""), 0),
    (AuditFilter(action="create_pack"), 1),
    (AuditFilter(actor_id="adm_1", scope=""), 11),
    (AuditFilter(actor_email="ada@example.com", scope=""), 11),
    (AuditFilter(actor_email="ADA@example.com", scope=""), 0),
    (AuditFilter(resource_type="credit_pack"), 1),
    (AuditFilter(resource_id="r_0"), 1),
    (AuditFilter(organization_id="org_1", scope=""), 3),
    (AuditFilter(severity="CRITICAL", scope=""), 3),
    (AuditFilter(outcome="denied", scope=""), 0),
    (AuditFilter(request_id="req_0", scope=""), 1),
    (AuditFilter(scope="tenant"), 5),
    (AuditFilter(since=START + timedelta(seconds=3), scope=""), 4),
    (AuditFilter(until=START + timedelta(seconds=1), scope=""), 1),
    (AuditFilter(since=START, until=START), 0),
)


async def test_each_filter_asks_for_what_it_says(filled: Database) -> None:
    """R-090, C-10: exact, or a prefix of event names; no text of a client is a pattern."""
    found = [(wanted, len(await page(filled, wanted))) for wanted, _ in FILTERS]

    assert found == list(FILTERS)


async def test_erased_personal_data_is_absent_not_an_error(filled: Database) -> None:
    """The row stays, without its person."""
    await unlock(filled)
    async with filled.write() as session:
        await session.execute(text("DELETE FROM audit_pii"))
    rows = await page(filled)

    assert len(rows) == 11
    assert {row["actor_email"] for row in rows} == {None}
    assert rows[0]["details"] == {"n": 2}


def test_paging_visits_every_row_once_in_both_directions(tmp_path: Path) -> None:
    """C-10: for any page size and any number of rows of one moment, forward and back again."""
    numbers = iter(range(1000))

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.integers(0, 2), max_size=7), st.integers(1, 4), st.booleans())
    def check(pauses: list[int], limit: int, hide: bool) -> None:
        asyncio.run(walk(f"sqlite:///{tmp_path}/{next(numbers)}.db", pauses, limit, hide=hide))

    check()


@pytest.mark.postgres
async def test_paging_visits_every_row_once_on_postgres(postgres_url: str) -> None:
    """The same walk with the other database's row comparison."""
    await walk(postgres_url, [0, 0, 1, 0, 2, 0, 0], 2, hide=True)


async def walk(url: str, pauses: list[int], limit: int, *, hide: bool) -> None:
    clock = FrozenClock()
    async with opened(url) as database:
        for number, pause in enumerate(pauses):
            clock.advance(pause)
            await record(database, clock, entry(ADMIN_MADE if number % 3 == 1 else entry().event))
        expected = [row["id"] for row in await page(database, hide=hide)]
        forward, position = [], None
        while rows := await page(database, hide=hide, position=position, limit=limit):
            forward += [row["id"] for row in rows]
            position = Position(rows[-1]["occurred_at"], rows[-1]["id"])
        backward: list[str] = []
        position = Position(START - timedelta(days=1), "", backward=True)
        while rows := await page(database, hide=hide, position=position, limit=limit):
            backward = [row["id"] for row in rows] + backward
            position = Position(rows[0]["occurred_at"], rows[0]["id"], backward=True)

    assert forward == expected
    assert backward == expected
