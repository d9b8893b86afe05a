"""Columns that mean the same on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from service_kit.db.session import Database
from tests.integration.service_kit.db.tables import NOTES, Colour


async def kept(database: Database, **values: Any) -> Any:
    """One value, written and read back."""
    (name,) = values
    async with database.write() as session:
        await session.execute(insert(NOTES).values(id="n", **values))
    async with database.read() as session:
        return await session.scalar(select(NOTES.c[name]))


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 2, 1, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
    ids=str,
)
async def test_a_time_comes_back_to_the_microsecond_in_utc(database: Database, at: datetime) -> None:
    """Whatever zone it was told in."""
    found = await kept(database, at=at)

    assert found == at
    assert found.utcoffset() == timedelta(0)


async def test_a_naive_time_is_refused(database: Database) -> None:
    """Nobody knows when it was."""
    with pytest.raises(StatementError, match="naive"):
        await kept(database, at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


async def test_the_order_of_times_is_the_order_of_time(database: Database) -> None:
    """Also on SQLite, where a time is text: fixed width, one zone."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    steps = [
        timedelta(microseconds=1),
        timedelta(0),
        timedelta(days=400),
        timedelta(seconds=1),
        -timedelta(hours=1),
    ]
    async with database.write() as session:
        for number, step in enumerate(steps):
            await session.execute(insert(NOTES).values(id=str(number), at=start + step))
    async with database.read() as session:
        rows = await session.rows(select(NOTES.c.at).order_by(NOTES.c.at))
        later = await session.rows(select(NOTES.c.id).where(NOTES.c.at > start).order_by(NOTES.c.id))

    assert [row["at"] for row in rows] == sorted(start + step for step in steps)
    assert [row["id"] for row in later] == ["0", "2", "3"]


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"a": 1, "b": [True, None, "é"]},
        {"deep": {"x": {"y": "🦄"}}},
        {"big": 2**53 + 1},
        {"quote": "'\"\\"},
    ],
    ids=str,
)
async def test_an_object_comes_back_as_it_was(database: Database, details: dict[str, Any]) -> None:
    """Text on SQLite, jsonb on PostgreSQL, the same object for us."""
    assert await kept(database, details=details) == details


@pytest.mark.parametrize("value", [True, False])
async def test_a_truth_value_comes_back_as_one(database: Database, value: bool) -> None:
    """0 or 1 in the database, bool here."""
    assert await kept(database, done=value) is value


@pytest.mark.parametrize("column", ["at", "details", "done", "count", "colour"])
async def test_nothing_stays_nothing(database: Database, column: str) -> None:
    """NULL is None in every type."""
    assert await kept(database, **{column: None}) is None


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0])
async def test_an_integer_has_sixty_four_bits(database: Database, value: int) -> None:
    """Replies of a large tenant fit."""
    assert await kept(database, count=value) == value


@pytest.mark.parametrize("colour", list(Colour))
async def test_a_member_of_the_enum_is_accepted(database: Database, colour: Colour) -> None:
    """The closed set in the database is the enum of the code."""
    assert await kept(database, colour=colour.value) == colour.value


@pytest.mark.parametrize("colour", ["green", "RED", "", " red"])
async def test_anything_else_is_refused_by_the_database_itself(database: Database, colour: str) -> None:
    """R-071 relies on this: raw SQL cannot invent a role either."""
    with pytest.raises(IntegrityError, match="ck_notes_colour"):
        async with database.write() as session:
            await session.execute(
                text("INSERT INTO notes (id, colour) VALUES ('n', :c)").bindparams(c=colour)
            )


async def test_a_strict_table_takes_no_value_of_another_type(database: Database) -> None:
    """SQLite alone would store text in an integer column."""
    with pytest.raises(Exception, match=r"(?i)cannot store|invalid input|type"):
        async with database.write() as session:
            await session.execute(text("INSERT INTO notes (id, count) VALUES ('n', 'many')"))
