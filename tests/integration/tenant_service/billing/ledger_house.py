"""A ledger on a real database with one tenant or more, for tests that speak to it without HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import text

from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.migrations import migrate
from service_kit.db.session import Database
from service_kit.identity.model import Role
from service_kit.ids import IdFactory
from service_kit.web.paging import CursorCodec
from tenant_service.app import MIGRATIONS
from tenant_service.billing.credits.models import Balance
from tenant_service.billing.credits.schemas import GrantMade, NewGrant
from tenant_service.billing.credits.service import Caps
from tenant_service.billing_wiring import BillingParts
from tenant_service.recording import CountedRecorder
from tenant_service.tables import schema
from tenant_service.tenants.models import Currency, Organization, TenantStatus
from tests.fakes.clock import FrozenClock
from tests.fixtures.databases import with_schema
from tests.integration.tenant_service.tenant_process import asker

REASON = "a good reason"


@dataclass(frozen=True)
class LedgerHouse:
    """The parts, and the words in which a test asks them."""

    parts: BillingParts
    clock: FrozenClock

    @property
    def database(self) -> Database:
        return self.parts.database

    async def tenant(self, slug: str = "acme") -> str:
        """A new tenant's id."""
        now = self.clock.now()
        tenant = Organization(
            id=self.parts.ids.new("org"),
            slug=slug,
            name=slug.title(),
            primary_email=f"{slug}@example.com",
            plan="free",
            currency=Currency.INR,
            status=TenantStatus.ACTIVE,
            created_by_operator_id="adm_1",
            created_at=now,
            updated_at=now,
        )
        async with self.database.write() as session:
            assert await self.parts.tenants.add(session, tenant)
        return tenant.id

    async def grant(
        self, tenant: str, replies: int, *, key: str = "", role: Role = Role.SUPER_ADMIN, **members: Any
    ) -> GrantMade:
        wish = NewGrant(replies=replies, reason=REASON, **members)
        made = await self.parts.grants.grant(asker(role), tenant, wish, key=key or self.parts.ids.new("idem"))
        return made.answer

    async def balance(self, tenant: str) -> Balance:
        async with self.database.read() as session:
            return await self.parts.credits.balance(session, tenant) or Balance()

    async def rows(self, query: str) -> list[Mapping[str, Any]]:
        async with self.database.read() as session:
            return [dict(row) for row in await session.rows(text(query))]

    async def sql(self, *statements: str) -> None:
        async with self.database.write() as session:
            for statement in statements:
                await session.execute(text(statement))


def house_parts(database: Database, clock: Clock, caps: Caps) -> BillingParts:
    tables, ids = schema(), IdFactory(clock)
    recorder = CountedRecorder(AuditRecorder(tables.audit, ids, clock), CollectorRegistry(), "test")
    return BillingParts(database, tables, recorder, ids, clock, CursorCodec(b"k" * 32), caps)


@asynccontextmanager
async def ledger_house(database_url: str, *, caps: Caps | None = None) -> AsyncIterator[LedgerHouse]:
    """A migrated database and everything that billing is made of."""
    await with_schema(database_url, MIGRATIONS)
    database, clock = Database.open(database_url), FrozenClock()
    try:
        await migrate(database, MIGRATIONS)
        yield LedgerHouse(house_parts(database, clock, caps or Caps(10**6, 10**4, 10**9)), clock)
    finally:
        await database.close()
