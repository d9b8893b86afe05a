"""Random keys that belong to a service and all its replicas: for cursors and form tokens.

They stand in the service's own database, because every replica must read what another one wrote.
They open nothing by themselves: a cursor or form token never replaces the identity check.
"""

import base64
import secrets
from typing import Final

from sqlalchemy import Column, MetaData, Table, Text, insert, select
from sqlalchemy.exc import IntegrityError

from service_kit.clock import Clock
from service_kit.db.columns import UtcDateTime
from service_kit.db.session import Database

_KEY_BYTES: Final = 32


def service_keys_table(metadata: MetaData) -> Table:
    return Table(
        "service_keys",
        metadata,
        Column("name", Text, primary_key=True),
        Column("value", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        sqlite_strict=True,
    )


async def ensure_service_key(database: Database, table: Table, name: str, clock: Clock) -> bytes:
    """The key of that name; made by whichever replica asks first."""
    query = select(table.c.value).where(table.c.name == name)
    async with database.read() as session:
        found = await session.scalar(query)
    if found is None:
        found = await _make(database, table, name, clock)
    return base64.b64decode(found)


async def _make(database: Database, table: Table, name: str, clock: Clock) -> str:
    value = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    try:
        async with database.write() as session:
            await session.execute(insert(table).values(name=name, value=value, created_at=clock.now()))
    except IntegrityError:
        async with database.read() as session:  # another replica was quicker
            return str(await session.scalar(select(table.c.value).where(table.c.name == name)))
    return value
