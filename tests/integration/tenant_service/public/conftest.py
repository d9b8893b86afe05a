"""Fixtures of the public listener's tests; databases are copies of one that was migrated once."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from service_kit.db.migrations import migrate
from service_kit.db.session import Database
from tenant_service.app import MIGRATIONS
from tests.fixtures.databases import _administer
from tests.integration.tenant_service.public.tenant_site import TenantSite, tenant_site


def _migrate(url: str) -> None:
    async def upgrade() -> None:
        database = Database.open(url)
        await migrate(database, MIGRATIONS)
        await database.close()

    asyncio.run(upgrade())


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with this version's schema and nothing in it."""
    path = tmp_path_factory.mktemp("migrated") / "test.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """The name of such a database on the server."""
    name = f"m_{secrets.token_hex(6)}"
    asyncio.run(_administer(postgres_server, f'CREATE DATABASE "{name}"'))
    _migrate(make_url(postgres_server).set(database=name).render_as_string(hide_password=False))
    yield name
    asyncio.run(_administer(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """A database file of its own for one test."""
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def postgres_url(postgres_server: str, migrated_postgres: str) -> Iterator[str]:
    """A database of its own for one test."""
    name = f"t_{secrets.token_hex(6)}"
    asyncio.run(_administer(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{migrated_postgres}"'))
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_administer(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[TenantSite]:
    """A tenant service with its public listener, on each kind of database."""
    async with tenant_site(database_url) as running:
        yield running


@pytest.fixture
async def sqlite_site(sqlite_url: str) -> AsyncIterator[TenantSite]:
    """The same on SQLite alone, for rules that no database decides."""
    async with tenant_site(sqlite_url) as running:
        yield running
