"""Roles of PostgreSQL: a transaction has the rights of its role, and a connection carries none of them on."""

from collections.abc import AsyncIterator, Callable

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import DBAPIError

from service_kit.db.roles import grant, isolate, make_role
from service_kit.db.session import Database, ReadSession
from service_kit.errors import UnavailableError
from tests.integration.service_kit.db.tables import NOTES, opened

READER, SCOPED = "kit_test_reader", "kit_test_scoped"


def migrated(work: Callable[[], None]) -> Callable[[Connection], None]:
    """A step of a migration, to be run on a connection."""

    def run(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            work()

    return run


def _isolate() -> None:
    for role in (READER, SCOPED):
        make_role(role)
        make_role(role)
    grant(READER, {"SELECT": ["notes"]})
    grant(SCOPED, {"SELECT, INSERT": ["notes"]})
    isolate("notes", scoped={SCOPED: "id = current_setting('app.note', true)"}, everywhere=[READER])


@pytest.fixture
async def roles(postgres_url: str) -> AsyncIterator[Database]:
    """A database with two notes, one role that reads all of them, and one that has to name its own."""
    async with opened(postgres_url) as database:
        async with database.write_engine.connect() as connection, connection.begin():
            await connection.run_sync(migrated(_isolate))
        async with database.write() as session:
            await session.execute(insert(NOTES), [{"id": "a"}, {"id": "b"}])
        yield database


async def names(session: ReadSession) -> list[str]:
    return [row["id"] for row in await session.rows(text("SELECT id FROM notes ORDER BY id"))]


@pytest.mark.postgres
async def test_a_transaction_has_the_rights_of_its_role_and_no_more(roles: Database) -> None:
    """Who may read may not write, and the next user of the connection has its own rights again."""
    reader = roles.acting_as(READER)
    async with reader.read() as session:
        assert await names(session) == ["a", "b"]
        assert await session.scalar(text("SELECT current_user")) == READER
    with pytest.raises(DBAPIError, match="permission denied"):
        async with reader.write() as writer:
            await writer.execute(insert(NOTES).values(id="c"))

    for _ in range(12):  # each connection of the pool
        async with roles.read() as session:
            assert await session.scalar(text("SELECT current_user")) != READER


@pytest.mark.postgres
async def test_a_scoped_role_without_a_scope_sees_nothing(roles: Database) -> None:
    """Data model 2.8: the policy is by role; a forgotten scope sees nothing, a foreign row is refused."""
    scoped = roles.acting_as(SCOPED)
    async with scoped.read() as session:
        assert await names(session) == []
    async with scoped.write() as writer:
        await writer.rows(text("SELECT set_config('app.note', 'a', true)"))
        assert await names(writer) == ["a"]
    async with scoped.read() as session:
        assert await names(session) == []

    async def write_a_foreign_row() -> None:
        async with scoped.write() as writer:
            await writer.rows(text("SELECT set_config('app.note', 'a', true)"))
            await writer.execute(insert(NOTES).values(id="c"))

    with pytest.raises(DBAPIError, match="row-level security"):
        await write_a_foreign_row()


@pytest.mark.postgres
async def test_a_role_that_is_not_there_refuses_everything(roles: Database) -> None:
    """A typing error must not run with the owner's rights."""
    with pytest.raises((DBAPIError, UnavailableError)):
        async with roles.acting_as('no "such" role').read():
            pytest.fail("it ran without its role")


async def test_sqlite_knows_no_roles(sqlite_url: str) -> None:
    """The same code runs on SQLite, where the scoped repositories alone isolate."""
    async with opened(sqlite_url) as database, database.acting_as(READER).write() as session:
        await session.execute(insert(NOTES).values(id="a"))
