"""Bringing a database to the schema of this code, once, however many processes start at a time.

A database that is newer than the code is refused: an old process must not write into a new schema.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from service_kit.db.session import Database

_LOCK_KEY: Final = 0x5A11_1901
"""Any fixed number: all starters of all versions must use the same one."""


class DatabaseNewerError(Exception):
    """The database was migrated by a newer version of this program."""


async def migrate(database: Database, scripts: Path) -> str:
    """Upgrade to the newest revision of `scripts` and return its name.

    Concurrent starters wait for each other: exactly one migrates. Raises DatabaseNewerError.
    """
    async with database.write_engine.connect() as connection, connection.begin():
        if database.dialect == "postgresql":
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        return await connection.run_sync(_upgrade, scripts)


def _upgrade(connection: Connection, scripts: Path) -> str:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))  # ConfigParser's escape
    config.attributes["connection"] = connection
    directory = ScriptDirectory.from_config(config)
    _refuse_newer(MigrationContext.configure(connection).get_current_revision(), directory)
    command.upgrade(config, "head")
    return directory.get_current_head() or "empty"


def _refuse_newer(current: str | None, directory: ScriptDirectory) -> None:
    if current is None:
        return
    try:
        directory.get_revision(current)
    except CommandError as error:
        raise DatabaseNewerError(
            f"the database is at revision {current}, which this version does not know; "
            "start the version that migrated it, or a newer one"
        ) from error
