"""PostgreSQL isolates beside the code: with the application's filter taken out, nothing foreign is seen.

The service runs here as a login that owns its database and nothing else, as it does in production; the
superuser of the test server would pass every policy.
"""

import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import Table, select, text, true
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from service_kit.db.migrations import migrate
from service_kit.db.session import Database
from tenant_service.app import DATABASE, MIGRATIONS
from tenant_service.people.scope import ROLE, TenantScope
from tenant_service.support.transactions import READER_ROLE
from tenant_service.tables import schema
from tests.integration.tenant_service.public.tenant_site import TenantSite, tenant_site

pytestmark = pytest.mark.postgres
APP_ROLES = ("platform_app", READER_ROLE, ROLE)
APPEND_ONLY = (
    "audit_events",
    "audit_checkpoints",
    "audit_witnesses",
    "audit_erasures",
    "credit_txns",
    "credit_ledger",
)
INVITE = "/api/auth/organization/invite-member"


async def administer(server: str, *statements: str) -> None:
    url = make_url(server)
    connection = await asyncpg.connect(
        host=url.query.get("host") or url.host, port=url.port, user=url.username, database=url.database
    )
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def site(postgres_server: str) -> AsyncIterator[TenantSite]:
    """The service on a database whose owner is no superuser; a DBA made the roles and granted them."""
    name = f"owner_{secrets.token_hex(4)}"
    await administer(
        postgres_server,
        *(
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            for role in APP_ROLES
        ),
        f"CREATE ROLE {name} LOGIN NOSUPERUSER NOBYPASSRLS",
        f"GRANT {', '.join(APP_ROLES)} TO {name}",
        f"CREATE DATABASE {name} OWNER {name}",
    )
    url = make_url(postgres_server).set(username=name, database=name).render_as_string(hide_password=False)
    async with tenant_site(url) as made:
        yield made
    await administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


async def test_the_service_lives_with_the_rights_of_its_roles(site: TenantSite) -> None:
    """data-model 2.8: the story of an owner and a colleague needs neither a superuser nor an owner."""
    owner = await site.owner("acme")
    invited = await owner.ask("POST", INVITE, {"email": "max@example.com", "role": "member"})
    assert invited.status == 201
    assert (await owner.ask("DELETE", f"/api/tenant/invitations/{invited.body['id']}")).status in (200, 204)
    for path in ("/api/tenant", "/api/tenant/members", "/api/tenant/billing", "/api/tenant/audit-logs"):
        assert (await owner.ask("GET", path)).status == 200, path
    found = await site.process.get("/api/admin/users?email=bob@example.com")
    assert (found.status, len((await found.json())["data"])) == (200, 1)

    async with site.process.apps.internal[DATABASE].read() as session:
        assert await session.scalar(text("SELECT current_user")) == "platform_app"
    async with site.plane.database.read(TenantScope("org_1")) as at:
        assert await at.session.scalar(text("SELECT current_user")) == ROLE


async def test_without_the_filter_of_the_code_the_database_still_isolates(site: TenantSite) -> None:
    """data-model 2.8: each scoped table, read whole within one tenant, gives that tenant's rows alone."""
    for slug, email in (("acme", "bob@example.com"), ("globex", "gil@globex.example")):
        browser = await site.owner(slug, email)
        await browser.ask("POST", INVITE, {"email": f"max@{slug}.example", "role": "member"})
    acme, globex = sorted(
        (str(row["id"]) for row in await site.process.rows("organizations")), key=lambda each: each
    )
    seen_somewhere = set()
    for mine in (acme, globex):
        async with site.plane.database.read(TenantScope(mine)) as at:
            for table in scoped_tables():
                if not await at.session.scalar(text(f"SELECT has_table_privilege('{table.name}', 'SELECT')")):
                    continue
                rows = await at.session.rows(select(table).where(true()))
                column = "id" if table.name == "organizations" else "organization_id"
                assert {row[column] for row in rows} <= {mine}, table.name
                seen_somewhere |= {table.name} if rows else set()
            people = await at.session.rows(select(schema().audit.pii))
            events = await at.session.rows(select(schema().audit.events))
            assert {row["event_id"] for row in people} <= {row["id"] for row in events}
    assert seen_somewhere >= {"organizations", "members", "sessions", "invitations", "audit_events", "outbox"}


async def test_a_foreign_row_can_be_neither_written_nor_changed(site: TenantSite) -> None:
    """data-model 2.8: within one tenant no statement makes, moves or ends anything of another."""
    await site.owner("acme")
    other = str((await (await site.process.create(_globex())).json())["orgId"])
    [mine] = [str(row["id"]) for row in await site.process.rows("organizations") if row["slug"] == "acme"]
    before = {name: await site.process.rows(name) for name in ("members", "sessions", "organizations")}

    for statement in (
        f"UPDATE members SET organization_id = '{other}'",
        f"INSERT INTO sessions SELECT 'ses_x', 'x', user_id, '{other}', created_at, expires_at FROM sessions",
        "UPDATE organizations SET name = 'Mine'",
        f"INSERT INTO org_owner_guard VALUES ('{other}', 1)",
        "DELETE FROM audit_events",
        "SELECT * FROM service_keys",
        "UPDATE billing_accounts SET replies_remaining = 1000",
        "RESET ROLE; SELECT 1",
    ):
        with pytest.raises(DBAPIError):
            await _as_tenant(site, mine, statement)
    await _as_tenant(site, mine, f"UPDATE sessions SET revoked_at = now() WHERE organization_id = '{other}'")
    await _as_tenant(site, mine, f"DELETE FROM members WHERE organization_id = '{other}'")

    assert {name: await site.process.rows(name) for name in before} == before


async def test_every_table_of_a_tenant_is_isolated(site: TenantSite) -> None:
    """A table that gains a tenant's column without row-level security fails here, not in production."""
    async with site.process.database.read() as session:
        rows = await session.rows(
            text(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relrowsecurity AND relforcerowsecurity"
            )
        )

    exempt = {"slug_tombstones"}  # holds no row of a living tenant, and the tenants' plane has no right to it
    assert {row["relname"] for row in rows} >= {table.name for table in scoped_tables()} - exempt


async def test_no_role_can_change_what_only_grows(site: TenantSite) -> None:
    """R-031, data-model 2.2: no grant lets a request change or remove an audit row or a posting."""
    async with site.process.database.read() as session:
        for role in APP_ROLES:
            for table in APPEND_ONLY:
                for right in ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER"):
                    held = text(f"SELECT has_table_privilege('{role}', '{table}', '{right}')")
                    assert not await session.scalar(held), (role, table, right)
            rights = text(
                "SELECT rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole "
                f"FROM pg_roles WHERE rolname = '{role}'"
            )
            assert await session.scalar(rights) is False


async def test_every_table_serves_the_platform(site: TenantSite) -> None:
    """A table that a later migration adds without a grant fails here."""
    async with site.process.database.read() as session:
        for table in schema().metadata.tables:
            held = text(f"SELECT has_table_privilege('platform_app', '{table}', 'SELECT, INSERT')")
            assert await session.scalar(held), table


async def test_roles_that_nobody_may_make_are_asked_for_by_name(postgres_server: str) -> None:
    """Where the owner may neither make nor take the roles, migrating ends with a sentence of what to do."""
    name = f"owner_{secrets.token_hex(4)}"
    await administer(
        postgres_server,
        "DO $$ BEGIN CREATE ROLE platform_app NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        f"CREATE ROLE {name} LOGIN NOSUPERUSER",
        f"CREATE DATABASE {name} OWNER {name}",
    )
    url = make_url(postgres_server).set(username=name, database=name).render_as_string(hide_password=False)
    database = Database.open(url)
    try:
        with pytest.raises(DBAPIError, match=r"may not (make|take) it: see docs/postgresql\.md"):
            await migrate(database, MIGRATIONS)
    finally:
        await database.close()
        await administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


def scoped_tables() -> list[Table]:
    tables = schema().metadata.tables.values()
    return [table for table in tables if "organization_id" in table.columns or table.name == "organizations"]


def _globex() -> dict[str, object]:
    return {"slug": "globex", "name": "Globex", "primaryAdminEmail": "gil@globex.example"}


async def _as_tenant(site: TenantSite, organization_id: str, statement: str) -> None:
    async with site.plane.database.write(TenantScope(organization_id)) as at:
        await at.session.execute(text(statement))
