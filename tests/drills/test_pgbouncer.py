"""Both services' databases through a real PgBouncer in transaction mode: nothing is left or mixed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text

from admin_service.app import MIGRATIONS as ADMIN_MIGRATIONS
from admin_service.app import ROLE as ADMIN_ROLE
from admin_service.tables import AUDIT
from service_kit.audit.verifying import ChainVerifier
from service_kit.db.migrations import migrate
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from tenant_service.app import MIGRATIONS as TENANT_MIGRATIONS
from tests.drills.pooler import SERVER_CONNECTIONS, pooled
from tests.fakes.clock import FrozenClock
from tests.fixtures.databases import newest_revision
from tests.integration.service_kit.audit.writing import entry, record

pytestmark = [pytest.mark.drill, pytest.mark.postgres, pytest.mark.timeout(120)]

LIMITS = {"lock_timeout": "3s", "statement_timeout": "10s", "idle_in_transaction_session_timeout": "15s"}


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator[Database]:
    """The admin service's database, migrated through the pooler."""
    async with pooled(postgres_url) as (url,):
        database = Database.open(url)
        await migrate(database, ADMIN_MIGRATIONS)
        yield database
        await database.close()


async def test_starters_migrate_once_through_it(postgres_url: str, other_postgres_url: str) -> None:
    """Architecture 10: two starters of each service on empty databases; the lock lasts as the transaction."""
    found = []
    async with pooled(postgres_url, other_postgres_url) as urls:
        for url, scripts in zip(urls, (ADMIN_MIGRATIONS, TENANT_MIGRATIONS), strict=True):
            databases = [Database.open(url) for _ in range(2)]
            found += await asyncio.gather(*(migrate(database, scripts) for database in databases))
            for database in databases:
                await database.close()

    newest = [newest_revision(scripts) for scripts in (ADMIN_MIGRATIONS, TENANT_MIGRATIONS)]
    assert found == [newest[0], newest[0], newest[1], newest[1]]


async def test_many_writers_share_three_connections(admin: Database) -> None:
    """Forty transactions with parameters, JSON and a role, more than the pooler has connections: whole."""
    served, clock = admin.acting_as(ADMIN_ROLE), FrozenClock()

    async def write(number: int) -> None:
        await record(served, clock, entry(details={"n": number}, details_pii={"name": f"Person {number}"}))
        async with served.read() as session:
            found = await session.scalar(
                select(AUDIT.events.c.details).where(AUDIT.events.c.chain_seq == number % 3 + 1).limit(1)
            )
        assert isinstance(found, dict)

    await write(0)
    await write(1)
    await write(2)
    await asyncio.gather(*(write(number) for number in range(3, 40)))
    verified = await ChainVerifier(admin, AUDIT).verify()

    assert verified.ok
    assert verified.checked == 80
    async with admin.read() as session:
        servers = await session.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND backend_type = 'client backend'"
            )
        )
    assert servers <= SERVER_CONNECTIONS


async def test_limits_and_roles_end_with_their_transaction(admin: Database) -> None:
    """Requirement of transaction mode: the next transaction on that connection may be anybody's."""
    served = admin.acting_as(ADMIN_ROLE)
    show = text("SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in LIMITS))
    async with served.read() as session:
        within = dict((await session.rows(show))[0])
        role = await session.scalar(text("SELECT current_user"))
    async with admin.write_engine.connect() as connection:
        # The same pool of three, but a transaction that took neither limits nor a role.
        await connection.exec_driver_sql("COMMIT")
        after = (await connection.exec_driver_sql("SELECT current_user")).scalar()
        limit = (await connection.exec_driver_sql("SELECT current_setting('statement_timeout')")).scalar()

    assert within == LIMITS
    assert role == ADMIN_ROLE
    assert after != ADMIN_ROLE
    assert limit == "0"


async def test_a_lock_is_not_waited_for_without_end(admin: Database) -> None:
    """The limit holds through the pooler too: come again, not a request that hangs."""
    async with admin.write() as first:
        await first.execute(text("LOCK TABLE audit_chain_heads IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(UnavailableError):
            async with admin.write() as second:
                await second.execute(text("LOCK TABLE audit_chain_heads IN ACCESS EXCLUSIVE MODE"))
