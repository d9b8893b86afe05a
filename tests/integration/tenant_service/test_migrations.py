"""The schema: what the migrations make is what the code wants, and audit rows cannot be changed."""

import asyncio
import re
import warnings
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from service_kit.db.migrations import DatabaseNewerError, migrate
from service_kit.db.session import Database
from tenant_service.app import MIGRATIONS
from tenant_service.tables import schema
from tests.fixtures.databases import newest_revision
from tests.integration.tenant_service.tenant_process import TenantProcess, new_tenant


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty database."""
    opened = Database.open(database_url)
    yield opened
    await opened.close()


def differences(connection: Connection) -> list[object]:
    with warnings.catch_warnings():
        # SQLite cannot tell the expression of an index; `schema_of` compares the statements instead.
        warnings.filterwarnings("ignore", message=".*expression-based index.*")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, schema().metadata))


CONSTRAINTS = text(
    "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND contype <> 't'"
)
INDEXES = text("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
STATEMENTS = text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'trigger'")


def schema_of(connection: Connection) -> set[str]:
    """Every table, constraint and index, in the database's own words and without Alembic's own table."""
    if connection.dialect.name == "postgresql":
        found = [*connection.scalars(CONSTRAINTS), *connection.scalars(INDEXES)]
    else:
        found = [
            f"{statement.splitlines()[0]} {part}"
            for statement in connection.scalars(STATEMENTS)
            for part in re.split(r",\s*\n|\n", statement)
        ]
    return {re.sub(r"\s+", " ", line).strip() for line in found if "alembic_version" not in line}


async def test_migrating_an_empty_database_makes_the_schema_of_the_code(database: Database) -> None:
    """Alembic finds no difference between the migrated database and the tables of the code."""
    await migrate(database, MIGRATIONS)

    async with database.write_engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrations_make_every_constraint_of_the_code(database: Database) -> None:
    """CHECKs and index expressions, which Alembic does not compare, are those of the code too."""
    async with database.write_engine.begin() as connection:
        await connection.run_sync(schema().metadata.create_all)
        wanted = await connection.run_sync(schema_of)
        await connection.run_sync(schema().metadata.drop_all)
    await migrate(database, MIGRATIONS)

    async with database.write_engine.connect() as connection:
        assert await connection.run_sync(schema_of) == wanted
    assert len(wanted) > 40


async def test_migrating_again_changes_nothing(database: Database) -> None:
    """A second start finds its schema."""
    first = await migrate(database, MIGRATIONS)

    assert await migrate(database, MIGRATIONS) == first == newest_revision(MIGRATIONS)


async def test_several_starters_migrate_once(database_url: str) -> None:
    """Replicas that start together wait for each other."""
    databases = [Database.open(database_url) for _ in range(4)]
    try:
        revisions = await asyncio.gather(*(migrate(each, MIGRATIONS) for each in databases))
    finally:
        for each in databases:
            await each.close()

    assert revisions == [newest_revision(MIGRATIONS)] * 4


async def test_a_newer_database_is_refused(database: Database) -> None:
    """An old process must not write into a new schema."""
    await migrate(database, MIGRATIONS)
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseNewerError, match="9999"):
        await migrate(database, MIGRATIONS)


OVERWRITE = (
    "INSERT INTO audit_events SELECT * FROM audit_events WHERE true "
    "ON CONFLICT (id) DO UPDATE SET reason = 'other'"
)
FORBIDDEN = {
    "sqlite": (
        "UPDATE audit_events SET reason = 'other'",
        "UPDATE audit_events SET chain_seq = chain_seq + 10",
        "DELETE FROM audit_events",
        "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events",
        "REPLACE INTO audit_events SELECT * FROM audit_events LIMIT 1",
        OVERWRITE,
    ),
    "postgresql": (
        "UPDATE audit_events SET reason = 'other'",
        "UPDATE audit_events SET chain_seq = chain_seq + 10",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events CASCADE",
        OVERWRITE,
    ),
}


async def test_no_sql_changes_an_audit_row(process: TenantProcess) -> None:
    """Update, delete, overwrite and truncate are refused by the database itself (data-model 2.6)."""
    await process.create(new_tenant())
    before = await process.rows("audit_events")

    for statement in FORBIDDEN[process.database.dialect]:
        with pytest.raises(DBAPIError, match="append-only"):
            await process.sql(statement)

    assert await process.rows("audit_events") == before


@pytest.mark.postgres
async def test_no_mode_of_a_session_turns_the_triggers_off(postgres_process: TenantProcess) -> None:
    """`session_replication_role = replica` turns ordinary triggers off; these fire there too (R-132)."""
    await postgres_process.create(new_tenant())
    before = await postgres_process.rows("audit_events")
    for statement in FORBIDDEN["postgresql"]:
        with pytest.raises(DBAPIError, match="append-only"):
            await postgres_process.sql("SET LOCAL session_replication_role = replica", statement)

    assert await postgres_process.rows("audit_events") == before


REFUSED_ROWS = (
    "UPDATE organizations SET slug = 'Acme'",
    "UPDATE organizations SET slug = 'ac'",
    "UPDATE organizations SET slug = 'xn--acme'",
    "UPDATE organizations SET slug = 'acme-'",
    "UPDATE organizations SET name = ''",
    "UPDATE organizations SET currency = 'EUR'",
    "UPDATE organizations SET status = 'gone'",
    "UPDATE organizations SET status = 'suspended'",
    "UPDATE organizations SET status = 'deleted'",
    "UPDATE organizations SET suspended_at = created_at",
    "UPDATE invitations SET role = 'king'",
    "UPDATE invitations SET status = 'lost'",
    "UPDATE invitations SET inviter_id = 'usr_1'",
    "UPDATE invitations SET inviter_operator_id = NULL",
    "UPDATE invitations SET organization_id = 'org_none'",
)


async def test_the_database_refuses_rows_that_cannot_be(process: TenantProcess) -> None:
    """The closed sets and states of data-model 2.3 hold against raw SQL."""
    await process.create(new_tenant())

    for statement in REFUSED_ROWS:
        with pytest.raises(DBAPIError):
            await process.sql(statement)


async def test_one_open_invitation_per_tenant_and_address(process: TenantProcess) -> None:
    """A second pending invitation for the same person cannot be stored; a canceled one does not count."""
    await process.create(new_tenant())
    again = (
        "INSERT INTO invitations (id, secret_hash, organization_id, email, role, status, "
        "inviter_operator_id, expires_at, attempts, created_at, updated_at, version) "
        "SELECT 'inv_2', 'other', organization_id, email, role, 'pending', inviter_operator_id, "
        "expires_at, 0, created_at, updated_at, 1 FROM invitations"
    )

    with pytest.raises(DBAPIError):
        await process.sql(again)
    await process.sql("UPDATE invitations SET status = 'canceled'", again)
