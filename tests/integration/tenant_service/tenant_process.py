"""A whole tenant service for tests: the real application on a real database, asked with signed proofs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import text

from service_kit.audit.events import AuditEntry, EventType, Severity, Visibility
from service_kit.audit.recorder import AuditRecorder
from service_kit.db.session import Database
from service_kit.identity.model import InternalIdentity, Role
from service_kit.ids import IdFactory
from service_kit.settings import load_settings
from tenant_service.app import DATABASE, MIGRATIONS, Applications, create_app
from tenant_service.asking import Asker
from tenant_service.settings import TenantSettings
from tenant_service.tables import schema
from tests.fakes.clock import FrozenClock
from tests.fixtures.audit_keys import audit_key
from tests.fixtures.databases import with_schema
from tests.fixtures.identities import Vouch

AUDIENCE = "tenant_service"
TENANTS = "/api/admin/tenants"
TABLES = (
    "organizations",
    "invitations",
    "slug_tombstones",
    "idempotency_keys",
    "audit_events",
    "audit_pii",
    "audit_chain_heads",
)
SUPPORT_QUERY = EventType(
    "admin.support_query.executed", "support_search", Severity.CRITICAL, Visibility.DUAL, "user"
)


def new_tenant(slug: str = "acme", **members: object) -> dict[str, object]:
    """A body that is right."""
    return {"slug": slug, "name": "Acme Inc", "primaryAdminEmail": "bob@example.com", **members}


def settings_for(database_url: str, **environ: str) -> TenantSettings:
    given = {"TENANT_DATABASE_URL": database_url, "INTERNAL_JWKS_FILE": "/nowhere/jwks.json"}
    return load_settings(TenantSettings, {**given, **audit_key(database_url, "tenant"), **environ})


@dataclass(frozen=True)
class TenantProcess:
    """The running service and what a test needs to ask it."""

    apps: Applications
    client: "TestClient[Any, Any]"
    vouch: Vouch
    clock: FrozenClock

    @property
    def database(self) -> Database:
        served = self.apps.internal[DATABASE]
        return Database(served.write_engine, served._read)  # with the rights of the owner

    async def get(self, target: str, role: Role | None = Role.SUPER_ADMIN, **identity: Any) -> ClientResponse:
        headers = self.vouch.headers(role, audience=AUDIENCE, target=target, **identity)
        return await self.client.get(target, headers=headers)

    async def create(
        self,
        body: Mapping[str, object] | bytes,
        *,
        role: Role | None = Role.SUPER_ADMIN,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **identity: Any,
    ) -> ClientResponse:
        proof = self.vouch.headers(role, audience=AUDIENCE, method="POST", target=TENANTS, **identity)
        sent = {**proof, **({"Idempotency-Key": key} if key else {}), **(headers or {})}
        if isinstance(body, bytes):
            return await self.client.post(
                TENANTS, data=BytesIO(body), headers={"Content-Type": "application/json", **sent}
            )
        return await self.client.post(TENANTS, json=body, headers=sent)

    async def rows(self, table: str) -> Sequence[Mapping[str, Any]]:
        """Every row of a table as the database holds it."""
        async with self.database.read() as session:
            return [dict(row) for row in await session.rows(text(f'SELECT * FROM "{table}"'))]

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {table: len(await self.rows(table)) for table in TABLES}

    async def metric(self, name: str) -> float:
        """The value of an unlabelled metric of the operations listener."""
        async with TestClient(TestServer(self.apps.ops)) as ops:
            page = await (await ops.get("/metrics")).text()
        [line] = [line for line in page.splitlines() if line.startswith(f"{name} ")]
        return float(line.rsplit(" ", 1)[1])

    async def record_admin_event(self, organization_id: str = "org_1") -> str:
        """An `admin.*` pair in this database, as a support search will write one; the global row's id."""
        recorder = AuditRecorder(schema().audit, IdFactory(self.clock), self.clock)
        entry = AuditEntry(
            SUPPORT_QUERY, asker().actor, resource_id="search", organization_id=organization_id
        )
        async with self.database.write() as session:
            ids = await recorder.record(session, entry)
        return ids[0]

    async def sql(self, *statements: str) -> None:
        async with self.database.write() as session:
            for statement in statements:
                await session.execute(text(statement))


def asker(role: Role = Role.SUPER_ADMIN) -> Asker:
    """A proven operator, for tests that speak to a service object."""
    identity = InternalIdentity(
        subject="sub-1",
        email="op@example.com",
        name="Op",
        audience=AUDIENCE,
        token_id="t" * 16,
        expires_at=0,
        operator_id="adm_1",
        role=role,
    )
    return Asker(identity, "req_1", "192.0.2.1", "browser")


@asynccontextmanager
async def tenant_process(database_url: str, **environ: str) -> AsyncIterator[TenantProcess]:
    clock = FrozenClock()
    vouch = Vouch(clock)
    await with_schema(database_url, MIGRATIONS)
    apps = create_app(settings_for(database_url, **environ), clock=clock, public_keys=vouch.public_keys)
    async with TestClient(TestServer(apps.internal)) as client:
        yield TenantProcess(apps, client, vouch, clock)
