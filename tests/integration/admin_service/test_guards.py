"""What holds against raw SQL too: the guards of the first migration (R-079, G-08)."""

import sqlite3
import warnings
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from admin_service.app import MIGRATIONS
from admin_service.operators.models import NewOperator
from admin_service.tables import METADATA
from service_kit.db.migrations import migrate
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import AdminProcess, admin_process, asker

LAST = (
    "UPDATE global_admins SET deactivated_at = created_at",
    "UPDATE global_admins SET role = 'support'",
    "UPDATE global_admins SET cf_access_sub = NULL",
    "DELETE FROM global_admins",
)

REPLACE_ROW = """
    INSERT OR REPLACE INTO global_admins
        (id, email, name, role, created_by, created_at, updated_at, version)
    SELECT id, email, name, 'support', created_by, created_at, updated_at, 1
    FROM global_admins WHERE id = 'adm_super_admin'"""


async def active_super_admins(process: AdminProcess) -> int:
    rows = await process.rows("global_admins")
    return sum(
        row["role"] == "super_admin" and row["cf_access_sub"] is not None and row["deactivated_at"] is None
        for row in rows
    )


async def test_the_migration_makes_what_the_models_say(process: AdminProcess) -> None:
    """After the migration the database and the tables in code do not differ; twice is once."""

    def differences(connection: Connection) -> list[object]:
        with warnings.catch_warnings():
            # SQLite cannot tell the expression of an index; the tenant service's test compares statements.
            warnings.filterwarnings("ignore", message=".*expression-based index.*")
            return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    await migrate(process.database, MIGRATIONS)
    async with process.database.write_engine.connect() as connection:
        found = await connection.run_sync(differences)

    assert found == []


@pytest.mark.parametrize("statement", LAST)
async def test_raw_sql_cannot_remove_the_last_super_admin(process: AdminProcess, statement: str) -> None:
    """Deactivating, demoting, unbinding or deleting the last active super_admin by SQL is refused (R-079)."""
    await process.add()
    await process.add(Role.SUPPORT)

    with pytest.raises(DBAPIError):
        await process.sql(statement)

    assert await active_super_admins(process) == 1


@pytest.mark.parametrize("statement", LAST)
async def test_raw_sql_cannot_remove_all_of_several(process: AdminProcess, statement: str) -> None:
    """One statement over every row is refused as a whole: the count is checked row by row (R-079)."""
    for number in range(3):
        await process.add(operator_id=f"adm_{number}")

    with pytest.raises(DBAPIError):
        await process.sql(statement)

    assert await active_super_admins(process) == 3


@pytest.mark.parametrize("statement", LAST)
async def test_a_plain_sqlite_connection_without_checks_cannot_either(
    sqlite_url: str, sqlite_process: AdminProcess, statement: str
) -> None:
    """R-079: not even with CHECK constraints, foreign keys and recursive triggers turned off."""
    await sqlite_process.add()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as plain:
        plain.execute("PRAGMA ignore_check_constraints=ON")
        with pytest.raises(sqlite3.IntegrityError):
            plain.execute(statement)

    assert await active_super_admins(sqlite_process) == 1


async def test_the_guard_follows_every_way_in_and_out(process: AdminProcess) -> None:
    """The guard row counts enrolled, live super_admins and nobody else (G-08)."""
    await process.add(operator_id="adm_a")
    await process.add(operator_id="adm_b")
    await process.add(operator_id="adm_c", cf_access_sub=None)
    await process.add(Role.SUPPORT)
    await process.sql("UPDATE global_admins SET cf_access_sub = 'late' WHERE id = 'adm_c'")
    assert (await process.rows("super_admin_guard"))[0]["active"] == 3

    await process.sql("UPDATE global_admins SET role = 'super_admin' WHERE id = 'adm_support'")
    await process.sql("DELETE FROM global_admins WHERE id = 'adm_b'")
    await process.sql("UPDATE global_admins SET deactivated_at = created_at WHERE id = 'adm_c'")

    assert (await process.rows("super_admin_guard"))[0]["active"] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE super_admin_guard SET active = 7",
        "DELETE FROM super_admin_guard",
        "INSERT INTO super_admin_guard (id, active) VALUES (1, 9)",
        "UPDATE roster_version SET version = 0",
        "DELETE FROM roster_version",
        "UPDATE audit_events SET actor_id = 'nobody'",
        "DELETE FROM audit_events",
    ],
)
async def test_the_guards_themselves_are_not_changed_by_hand(process: AdminProcess, statement: str) -> None:
    """Guard row, roster version and audit rows refuse raw SQL, so the guards cannot be talked round."""
    await process.add()
    await process.services.provisioning.create(asker(), NewOperator("a@b.example", "A", Role.SUPPORT))

    with pytest.raises(DBAPIError):
        await process.sql(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE OR IGNORE global_admins SET deactivated_at = created_at",
        "UPDATE OR REPLACE global_admins SET role = 'support'",
        # would delete the super_admin's row without firing a delete trigger, as a fresh connection has it
        "UPDATE OR REPLACE global_admins SET cf_access_sub = 'sub-super_admin' WHERE id = 'adm_support'",
        REPLACE_ROW,
    ],
)
async def test_sqlites_conflict_clauses_do_not_slip_past_the_guard(
    sqlite_url: str, sqlite_process: AdminProcess, statement: str
) -> None:
    """OR IGNORE and OR REPLACE override what a trigger's own statement says; the guard holds anyway (R-079).

    Through our connection, and through a plain one on which recursive_triggers is off.
    """
    process = sqlite_process
    await process.add()
    await process.add(Role.SUPPORT)

    with pytest.raises(DBAPIError):
        await process.sql(statement)
    with (
        closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as plain,
        pytest.raises(sqlite3.IntegrityError),
    ):
        plain.execute(statement)

    assert await active_super_admins(process) == 1


@pytest.mark.postgres
@pytest.mark.parametrize(
    "statement",
    [
        *LAST,
        "UPDATE super_admin_guard SET active = 7",
        "DELETE FROM super_admin_guard",
        "UPDATE roster_version SET version = 0",
        "DELETE FROM roster_version",
        "UPDATE audit_events SET actor_id = 'nobody'",
        "DELETE FROM audit_events",
        "TRUNCATE global_admins CASCADE",
        "TRUNCATE audit_events CASCADE",
    ],
)
async def test_the_guards_hold_in_a_replicating_session(postgres_url: str, statement: str) -> None:
    """R-079: `session_replication_role = replica` turns ordinary triggers off; ours fire in it too."""
    async with admin_process(postgres_url) as process:
        await process.add()
        await process.services.provisioning.create(asker(), NewOperator("a@b.example", "A", Role.SUPPORT))

        with pytest.raises(DBAPIError):
            await process.sql("SET LOCAL session_replication_role = replica", statement)

        assert await active_super_admins(process) == 1


@pytest.mark.postgres
async def test_the_count_is_kept_in_a_replicating_session(postgres_url: str) -> None:
    """G-08: what such a session does rightly is counted and told to the sidecars as in any other."""
    async with admin_process(postgres_url) as process:
        await process.add(operator_id="adm_a")
        await process.add(operator_id="adm_b")
        version = (await process.rows("roster_version"))[0]["version"]

        await process.sql(
            "SET LOCAL session_replication_role = replica",
            "UPDATE global_admins SET role = 'support' WHERE id = 'adm_b'",
        )

        assert (await process.rows("super_admin_guard"))[0]["active"] == 1
        assert (await process.rows("roster_version"))[0]["version"] == version + 1


@pytest.mark.postgres
@pytest.mark.parametrize("table", ["global_admins", "super_admin_guard", "roster_version", "audit_events"])
async def test_truncate_is_refused(postgres_url: str, table: str) -> None:
    """TRUNCATE fires no row trigger, so it is refused as a statement (R-079)."""
    async with admin_process(postgres_url) as process:
        await process.add()

        with pytest.raises(DBAPIError):
            await process.sql(f"TRUNCATE {table} CASCADE")


async def test_the_roster_version_moves_with_what_sidecars_must_see(process: AdminProcess) -> None:
    """Raw SQL that changes who passes moves the version; a sighting does not."""
    await process.add()
    await process.add(operator_id="adm_b")
    moves = [
        "UPDATE global_admins SET role = 'support' WHERE id = 'adm_b'",
        "UPDATE global_admins SET email = 'new@example.com' WHERE id = 'adm_b'",
        "UPDATE global_admins SET name = 'New' WHERE id = 'adm_b'",
        "UPDATE global_admins SET cf_access_sub = 'new' WHERE id = 'adm_b'",
        "UPDATE global_admins SET deactivated_at = created_at WHERE id = 'adm_b'",
        "DELETE FROM global_admins WHERE id = 'adm_b'",
    ]
    versions = [(await process.rows("roster_version"))[0]["version"]]

    for statement in moves:
        await process.sql(statement)
        versions.append((await process.rows("roster_version"))[0]["version"])
    await process.sql("UPDATE global_admins SET last_active_at = created_at")

    assert versions == list(range(versions[0], versions[0] + len(moves) + 1))
    assert (await process.rows("roster_version"))[0]["version"] == versions[-1]
