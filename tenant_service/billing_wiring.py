"""Billing put together from its parts; it opens nothing and holds no rule."""

from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web
from prometheus_client import CollectorRegistry

from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from service_kit.jobs.job import Job
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.paging import CursorCodec
from tenant_service.attention import ATTENTION, AttentionReader
from tenant_service.billing.credits import handlers as credit_handlers
from tenant_service.billing.credits.expiring import CreditJobs
from tenant_service.billing.credits.journal import Journal
from tenant_service.billing.credits.ledger import Ledger
from tenant_service.billing.credits.reading import BillingReader
from tenant_service.billing.credits.repository import CreditRepository
from tenant_service.billing.credits.runtime import RuntimeCredits
from tenant_service.billing.credits.service import Caps, GrantService
from tenant_service.billing.credits.statements import Statements
from tenant_service.billing.credits.verifying import LedgerVerifier
from tenant_service.billing.credits.watching import LedgerMetrics, LedgerWatch
from tenant_service.billing.packs import handlers as pack_handlers
from tenant_service.billing.packs.repository import PackRepository
from tenant_service.billing.packs.service import PackService
from tenant_service.billing.runtime import handlers as runtime_handlers
from tenant_service.half_accepted import HalfAcceptedRows
from tenant_service.recording import Recorder
from tenant_service.tables import Tables
from tenant_service.tenants.repository import TenantRepository


@dataclass(frozen=True, slots=True)
class BillingParts:
    """What lives as long as the process."""

    database: Database
    tables: Tables
    recorder: Recorder
    ids: IdFactory
    clock: Clock
    cursors: CursorCodec
    caps: Caps

    @property
    def tenants(self) -> TenantRepository:
        tables = self.tables
        return TenantRepository(tables.organizations, tables.slug_tombstones, tables.billing.accounts)

    @property
    def credits(self) -> CreditRepository:
        return CreditRepository(self.tables.billing, self.tables.organizations)

    @property
    def keys(self) -> IdempotencyStore:
        return IdempotencyStore(self.tables.idempotency, self.clock)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.database, self.credits, Journal(self.tables.billing), self.ids)

    @property
    def runtime(self) -> RuntimeCredits:
        return RuntimeCredits(self.ledger, self.clock)

    @property
    def grants(self) -> GrantService:
        return GrantService(self.ledger, self.tenants, self.keys, self.recorder, self.clock, self.caps)

    @property
    def packs(self) -> PackService:
        packs = PackRepository(self.tables.billing)
        return PackService(self.database, packs, self.recorder, self.keys, self.ids, self.clock)

    @property
    def statements(self) -> Statements:
        return Statements(self.tables.billing, self.tables.organizations)

    @property
    def reader(self) -> BillingReader:
        return BillingReader(
            self.database, self.tenants, self.credits, self.statements, self.cursors, self.clock, self.caps
        )

    @property
    def jobs(self) -> CreditJobs:
        return CreditJobs(self.ledger, self.runtime, self.recorder)

    @property
    def verifier(self) -> LedgerVerifier:
        return LedgerVerifier(self.database, self.tables.billing)


def wire_billing(app: web.Application, parts: BillingParts) -> None:
    """Give the handlers their services."""
    app[pack_handlers.PACKS] = parts.packs
    app[credit_handlers.GRANTS] = parts.grants
    app[credit_handlers.BILLING] = parts.reader
    app[runtime_handlers.RUNTIME] = parts.runtime
    app[ATTENTION] = AttentionReader(
        parts.database,
        parts.tables.invitations,
        parts.statements,
        HalfAcceptedRows(parts.tables.invitations, parts.tables.people, parts.tables.audit),
        parts.clock,
    )


def billing_jobs(parts: BillingParts, registry: CollectorRegistry, namespace: str) -> tuple[Job, ...]:
    """What runs by the clock: expiry, overdue reservations, and the proof of the ledger."""
    watch = LedgerWatch(parts.database, parts.verifier, parts.recorder, LedgerMetrics(registry, namespace))

    async def expire(limit: int) -> int:
        return await parts.jobs.expire_grants(parts.clock.now(), limit)

    async def release(limit: int) -> int:
        return await parts.jobs.release_expired_reservations(parts.clock.now(), limit)

    async def prove(_limit: int) -> int:
        await watch.prove()
        return 1

    return (
        Job("expire_credits", timedelta(minutes=1), expire),
        Job("release_reservations", timedelta(minutes=1), release),
        # One proof is a whole one: it never asks for another at once.
        Job("prove_ledger", timedelta(hours=1), prove, limit=2, most_seconds=900),
    )
