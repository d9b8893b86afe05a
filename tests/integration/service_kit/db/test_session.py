"""Sessions: one transaction each, on both kinds of database."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from tests.integration.service_kit.db.tables import NOTES, opened


async def ids(database: Database) -> list[str]:
    async with database.read() as session:
        return [row["id"] for row in await session.rows(select(NOTES).order_by(NOTES.c.id))]


async def test_a_block_that_ends_well_is_committed(database: Database) -> None:
    """The commit stands at the end of the block, and execute tells how many rows it touched."""
    async with database.write() as session:
        await session.execute(insert(NOTES), [{"id": "a"}, {"id": "b"}])
        assert await session.execute(delete(NOTES).where(NOTES.c.id == "a")) == 1
        assert await session.scalar(select(NOTES.c.id)) == "b"

    assert await ids(database) == ["b"]


async def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    """Any exception rolls everything back, and passes on as it is."""

    async def change() -> None:
        async with database.write() as session:
            await session.execute(insert(NOTES).values(id="a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()
    assert await ids(database) == []


async def test_a_cancelled_block_leaves_nothing_and_no_lock(database: Database) -> None:
    """A client that leaves in the middle of a change has changed nothing, and blocks nobody."""

    async def change() -> None:
        async with database.write() as session:
            await session.execute(insert(NOTES).values(id="a"))
            await asyncio.Event().wait()

    task = asyncio.create_task(change())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20), database.write() as session:
        await session.execute(insert(NOTES).values(id="b"))

    assert await ids(database) == ["b"]


async def test_a_callback_runs_after_the_commit_and_only_then(database: Database) -> None:
    """What tells the world of a change waits until it is durable."""
    told: list[str] = []

    async def fail() -> None:
        async with database.write() as session:
            session.after_commit(lambda: told.append("never"))
            raise ZeroDivisionError

    async with database.write() as session:
        await session.execute(insert(NOTES).values(id="a"))
        session.after_commit(lambda: told.append("a"))
        session.after_commit(lambda: told.append("b"))
        assert told == []
    assert told == ["a", "b"]

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert told == ["a", "b"]


async def test_a_broken_rule_is_not_an_outage(database: Database) -> None:
    """IntegrityError passes untouched: the service says what it means."""
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            await session.execute(insert(NOTES), [{"id": "a"}, {"id": "a"}])

    assert await ids(database) == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO notes (id) VALUES ('x')",
        "UPDATE notes SET count = 1",
        "DELETE FROM notes",
        "DROP TABLE notes",
    ],
)
async def test_a_read_session_cannot_write_by_any_means(database: Database, statement: str) -> None:
    """The type offers no way, and the database refuses raw SQL too."""
    async with database.read() as session:
        assert not hasattr(session, "execute")
    with pytest.raises((DBAPIError, UnavailableError)):
        async with database.read() as reader:
            await reader._connection.execute(text(statement))

    assert await ids(database) == []


async def test_a_reader_sees_no_uncommitted_change(database: Database) -> None:
    """Reading goes on beside a writer, and sees what is committed."""
    async with database.write() as session:
        await session.execute(insert(NOTES).values(id="a"))
        assert await ids(database) == []
    assert await ids(database) == ["a"]


async def test_every_statement_of_a_read_sees_the_same_moment(database: Database) -> None:
    """What is committed between two statements is for the next read; the writer waits for nobody."""
    async with database.read() as reader:
        before = await reader.rows(select(NOTES))
        async with asyncio.timeout(20), database.write() as session:
            await session.execute(insert(NOTES).values(id="a"))
        after = await reader.rows(select(NOTES))

    assert (before, after) == ([], [])
    assert await ids(database) == ["a"]


async def test_a_write_that_follows_a_read_locks_what_is_there_now(database: Database) -> None:
    """The one moment ends with the read: the same connection, used to write, sees every commit again."""
    await ids(database)
    async with database.write() as session:
        await session.execute(insert(NOTES).values(id="a"))
        assert await session.scalar(select(NOTES.c.id)) == "a"
        if database.dialect == "postgresql":
            assert await session.scalar(text("SHOW transaction_isolation")) == "read committed"


async def test_first_and_scalar_say_none_for_nothing(database: Database) -> None:
    """No row is None, not an error."""
    async with database.read() as session:
        assert await session.first(select(NOTES)) is None
        assert await session.scalar(select(NOTES.c.id)) is None
        assert session.dialect == database.dialect


async def test_many_writers_that_read_first_all_succeed(database: Database) -> None:
    """Read, then write, eight at a time: no snapshot is lost, and no update."""
    async with database.write() as first:
        await first.execute(insert(NOTES).values(id="n", count=0))

    async def add() -> None:
        async with database.write() as session:
            query = select(NOTES.c.count).where(NOTES.c.id == "n").with_for_update()
            count = await session.scalar(query)
            await session.execute(NOTES.update().where(NOTES.c.id == "n").values(count=count + 1))

    await asyncio.gather(*(add() for _ in range(8)))
    async with database.read() as session:
        assert await session.scalar(select(NOTES.c.count)) == 8


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:///{folder}"])
async def test_a_database_that_is_away_is_unavailable(url: str, tmp_path: Path) -> None:
    """503 with Retry-After for whoever asks, and readiness knows it."""
    database = Database.open(url.format(folder=tmp_path))
    for attempt in (database.ping(), _write(database)):
        with pytest.raises(UnavailableError) as caught:
            await attempt
        assert (caught.value.code, caught.value.headers) == ("DATABASE_UNAVAILABLE", {"Retry-After": "2"})
    await database.close()


async def _write(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("SELECT 1"))


async def test_a_database_that_answers_is_pinged(database: Database) -> None:
    """Readiness asks for real."""
    await database.ping()


@pytest.mark.postgres
async def test_a_connection_that_is_cut_is_an_outage_and_heals(postgres_url: str) -> None:
    """A restarted server: the running transaction fails as unavailable, the next one works."""

    async def be_cut(database: Database) -> None:
        async with database.write() as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with database.write() as other:
                await other.scalar(text(f"SELECT pg_terminate_backend({pid})"))
            await session.execute(insert(NOTES).values(id="a"))

    async with opened(postgres_url) as database:
        with pytest.raises(UnavailableError):
            await be_cut(database)

        async with database.write() as session:
            await session.execute(insert(NOTES).values(id="b"))
        assert await ids(database) == ["b"]


@pytest.mark.postgres
async def test_a_statement_that_takes_too_long_is_an_outage(postgres_url: str) -> None:
    """A lock that is not given, a statement that is told to stop: come again, not a defect."""

    async def sleep(database: Database) -> None:
        async with database.write() as session:
            await session.execute(text("SET LOCAL statement_timeout = '50ms'"))
            await session.execute(text("SELECT pg_sleep(5)"))

    async with opened(postgres_url) as database:
        with pytest.raises(UnavailableError):
            await sleep(database)


async def test_sqlite_commits_survive_a_power_cut(sqlite_url: str) -> None:
    """WAL with synchronous=FULL, foreign keys and recursive triggers: on every connection."""
    async with opened(sqlite_url) as database, database.write() as session:
        pragmas = {
            name: await session.scalar(text(f"PRAGMA {name}"))
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "recursive_triggers",
                "trusted_schema",
            )
        }

    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "trusted_schema": 0,
    }
