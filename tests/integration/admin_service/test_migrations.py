"""The second migration, from an empty database and from the first release's schema."""

import warnings
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import DBAPIError

from admin_service.app import MIGRATIONS
from admin_service.operators.models import GLOBAL_ADMINS
from admin_service.tables import METADATA
from service_kit.db.migrations import migrate
from service_kit.db.session import Database
from service_kit.identity.model import Role
from tests.fakes.clock import START
from tests.fixtures.databases import newest_revision
from tests.integration.admin_service.admin_process import AdminProcess

GOOD = {
    "id": "'ops_1'",
    "chain_id": "'ops_1'",
    "token_hash": "'hash'",
    "admin_id": "'adm_super_admin'",
    "access_sub": "'sub'",
    "created_at": "'2026-01-01T00:00:00.000000Z'",
    "expires_at": "'2026-01-01T08:00:00.000000Z'",
    "last_seen_at": "'2026-01-01T00:00:00.000000Z'",
    "ip": "''",
    "user_agent": "''",
    "revoked_at": "NULL",
    "revoked_reason": "NULL",
}


def _to_first(connection: Connection, scripts: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


async def test_a_database_of_the_first_release_is_brought_up(database_url: str) -> None:
    """From 0001 with rows in it: the operators stay, the table comes, and the models agree."""
    database = Database.open(database_url)
    operator = {
        "id": "adm_a",
        "email": "a@example.com",
        "name": "A",
        "role": Role.SUPPORT.value,
        "created_by": "test",
        "created_at": START,
        "updated_at": START,
        "version": 1,
    }
    try:
        async with database.write_engine.connect() as connection, connection.begin():
            await connection.run_sync(_to_first, MIGRATIONS)
        async with database.write() as session:
            await session.execute(insert(GLOBAL_ADMINS).values(**operator))

        assert await migrate(database, MIGRATIONS) == newest_revision(MIGRATIONS)

        async with database.read() as session:
            assert await session.scalar(text("SELECT id FROM global_admins")) == "adm_a"
            assert await session.scalar(text("SELECT count(*) FROM operator_sessions")) == 0
        async with database.write_engine.connect() as connection:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*expression-based index.*")  # SQLite tells none
                found = await connection.run_sync(
                    lambda sync: list(compare_metadata(MigrationContext.configure(sync), METADATA))
                )
        assert found == []
    finally:
        await database.close()


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_reason": "'because'", "revoked_at": "'2026-01-01T00:00:00.000000Z'"},
        {"revoked_reason": "'rotated'"},
        {"revoked_at": "'2026-01-01T00:00:00.000000Z'"},
        {"expires_at": "'2026-01-01T00:00:00.000000Z'"},
        {"access_sub": "''"},
        {"admin_id": "'adm_nobody'"},
        {"token_hash": "NULL"},
    ],
    ids=str,
)
async def test_the_database_refuses_a_session_that_makes_no_sense(
    process: AdminProcess, change: dict[str, str]
) -> None:
    """Reasons are a closed set, an end has a reason, a session has an operator, a sub and a later end."""
    await process.add()

    async def put(values: dict[str, str]) -> None:
        await process.sql(
            f"INSERT INTO operator_sessions ({', '.join(values)}) VALUES ({', '.join(values.values())})"
        )

    with pytest.raises(DBAPIError):
        await put({**GOOD, **change})
    await put(GOOD)
    with pytest.raises(DBAPIError):
        await put({**GOOD, "id": "'ops_2'"})  # the same digest again
