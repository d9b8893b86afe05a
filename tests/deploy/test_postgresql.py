"""The script that makes roles and databases, on a real server: enough to migrate, and no more."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import admin_service.app
import tenant_service.app
from deploy.local.postgres import make_databases, owner_url
from service_kit.db.migrations import migrate
from service_kit.db.session import Database

pytestmark = pytest.mark.postgres
OWNERS = {"admin": admin_service.app.MIGRATIONS, "tenant": tenant_service.app.MIGRATIONS}


@pytest.fixture
async def server(postgres_server: str, tmp_path: Path) -> AsyncIterator[str]:
    """A superuser's URL, after the script ran; the databases and their owners are dropped afterwards."""
    for service in OWNERS:
        (tmp_path / f"{service}-owner.password").write_text(f"{service}-of-this-test", encoding="utf-8")
    make_databases(postgres_server, tmp_path)
    yield postgres_server
    connection = await asyncpg.connect(postgres_server)
    for service in OWNERS:
        await connection.execute(f"DROP DATABASE sallyport_{service} WITH (FORCE)")
        await connection.execute(f"DROP ROLE {service}_owner")
    await connection.close()


async def test_an_owner_migrates_its_own_database_without_any_right_over_the_server(
    server: str, tmp_path: Path
) -> None:
    """R-006: each owner makes its tables, and has no right over the server or the other database."""
    for service, scripts in OWNERS.items():
        database = Database.open(owner_url(server, service, tmp_path))
        assert await migrate(database, scripts)
        await database.close()
        other = next(name for name in OWNERS if name != service)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(
                owner_url(server, service, tmp_path).replace(f"/sallyport_{service}", f"/sallyport_{other}")
            )

    connection = await asyncpg.connect(server)
    owners = await connection.fetch(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, rolpassword"
        " FROM pg_authid WHERE rolname IN ('admin_owner', 'tenant_owner')"
    )
    await connection.close()
    assert len(owners) == 2
    for owner in owners:
        *rights, password = owner.values()
        assert not any(rights)
        assert password.startswith("SCRAM-SHA-256$")
