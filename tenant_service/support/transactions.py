"""The transaction of a search over all tenants, apart from every other.

One place says as whom it reads, so that no handler can ask for more by a parameter (R-120).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from service_kit.db.session import Database, WriteSession

READER_ROLE: Final = "platform_reader"
"""The role of PostgreSQL that reads people of all tenants (data-model 2.6)."""


@asynccontextmanager
async def reading_all_tenants(database: Database) -> AsyncIterator[WriteSession]:
    """A transaction that reads users of every tenant, and writes the rows that tell of it."""
    async with database.acting_as(READER_ROLE).write() as session:
        yield session
