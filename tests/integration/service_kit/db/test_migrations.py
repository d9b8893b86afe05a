"""Migrations: once, however many start, and never with an old program on a new schema."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from service_kit.db.migrations import DatabaseNewerError, migrate
from service_kit.db.session import Database

ENV = """
from alembic import context
connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
"""
REVISION = """
from alembic import op
revision = {revision!r}
down_revision = {before!r}
def upgrade():
    {upgrade}
"""


def scripts(folder: Path, **revisions: str) -> Path:
    """An Alembic environment of these revisions, in their order."""
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    before = None
    for revision, upgrade in revisions.items():
        code = REVISION.format(revision=revision, before=before, upgrade=upgrade)
        (folder / "versions" / f"{revision}.py").write_text(code)
        before = revision
    return folder


FIRST = 'op.execute("CREATE TABLE a (x INTEGER)")'
SECOND = 'op.execute("INSERT INTO a VALUES (1)")'


async def rows(database: Database) -> int:
    async with database.read() as session:
        return int(await session.scalar(text("SELECT count(*) FROM a")))


async def test_a_fresh_database_gets_the_newest_schema_and_a_second_start_changes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    """The name of the newest revision comes back each time."""
    folder = scripts(tmp_path / "m", r1=FIRST, r2=SECOND)
    database = Database.open(database_url)
    names = [await migrate(database, folder) for _ in range(2)]

    assert names == ["r2", "r2"]
    assert await rows(database) == 1
    await database.close()


async def test_of_four_starters_exactly_one_migrates(database_url: str, tmp_path: Path) -> None:
    """Four replicas of a service start at once: the others wait, and all go on."""
    folder = scripts(tmp_path / "m", r1=FIRST, r2=SECOND)
    databases = [Database.open(database_url) for _ in range(4)]
    names = await asyncio.gather(*(migrate(database, folder) for database in databases))

    assert names == ["r2"] * 4
    assert await rows(databases[0]) == 1
    for database in databases:
        await database.close()


async def test_an_old_program_refuses_a_new_database(database_url: str, tmp_path: Path) -> None:
    """It must not write into a schema that it does not know; the text says what to do."""
    database = Database.open(database_url)
    await migrate(database, scripts(tmp_path / "new", r1=FIRST, r2=SECOND))
    old = scripts(tmp_path / "old", r1=FIRST)

    with pytest.raises(DatabaseNewerError, match="revision r2, which this version does not know"):
        await migrate(database, old)
    assert await rows(database) == 1
    await database.close()


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database_url: str, tmp_path: Path
) -> None:
    """Schema and version move together or not at all; the mended program goes on from there."""
    database = Database.open(database_url)
    broken = scripts(tmp_path / "broken", r1=FIRST, r2="op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(Exception, match="nowhere"):
        await migrate(database, broken)

    assert await migrate(database, scripts(tmp_path / "mended", r1=FIRST, r2=SECOND)) == "r2"
    assert await rows(database) == 1
    await database.close()


async def test_a_folder_with_a_percent_sign_is_a_folder(database_url: str, tmp_path: Path) -> None:
    """The configuration file syntax of Alembic must not read the path."""
    database = Database.open(database_url)

    assert await migrate(database, scripts(tmp_path / "100%s", r1=FIRST)) == "r1"
    await database.close()


async def test_an_environment_without_revisions_is_empty(database_url: str, tmp_path: Path) -> None:
    """There is nothing to do, and that is said."""
    database = Database.open(database_url)

    assert await migrate(database, scripts(tmp_path / "m")) == "empty"
    await database.close()
