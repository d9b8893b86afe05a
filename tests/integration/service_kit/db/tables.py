"""A small database for the tests of the kit: tables that belong to no service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

from sqlalchemy import Column, Table, Text, text

from service_kit.audit.guards import guard_ddl
from service_kit.audit.tables import AuditTables, append_only_anchors_ddl, append_only_ddl
from service_kit.db.columns import BigInt, BoolInt, JsonText, UtcDateTime, new_metadata, one_of
from service_kit.db.service_keys import service_keys_table
from service_kit.db.session import Database
from service_kit.web.idempotency import idempotency_table


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


METADATA = new_metadata()
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=True),
    Column("details", JsonText, nullable=True),
    Column("done", BoolInt, nullable=True),
    Column("count", BigInt, nullable=True),
    Column("colour", Text, nullable=True),
    one_of("colour", Colour),
    sqlite_strict=True,
)
AUDIT = AuditTables(METADATA)
KEYS = service_keys_table(METADATA)
IDEMPOTENCY = idempotency_table(METADATA)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database with every table and the append-only triggers, as a migration would leave it."""
    database = Database.open(url)
    async with database.write_engine.connect() as connection, connection.begin():
        await connection.run_sync(METADATA.create_all)
        dialect = database.dialect
        for statement in (
            *append_only_ddl(dialect),
            *append_only_anchors_ddl(dialect),
            *guard_ddl(dialect),
        ):
            await connection.execute(text(statement))
    try:
        yield database
    finally:
        await database.close()
