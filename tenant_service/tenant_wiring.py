"""What operators do with tenants, put together from its parts; it opens nothing and holds no rule."""

from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from service_kit.audit.erasing import Basis, PersonalDataEraser, Subject
from service_kit.audit.queries import AuditQueries
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from service_kit.jobs.job import Job
from service_kit.jobs.outbox import Outbox
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.paging import CursorCodec
from tenant_service.accounts import handlers as account_handlers
from tenant_service.accounts.repository import AccountRepository
from tenant_service.accounts.service import AccountService
from tenant_service.billing.credits.repository import CreditRepository
from tenant_service.billing.credits.totals import TenantTotals
from tenant_service.flags import handlers as flag_handlers
from tenant_service.flags.repository import FlagRepository
from tenant_service.flags.service import FlagService
from tenant_service.half_accepted import HalfAcceptedRows
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.inviting import handlers as inviting_handlers
from tenant_service.inviting.expiry import InvitationExpiry
from tenant_service.inviting.service import InvitingService
from tenant_service.recording import Recorder
from tenant_service.settings import TenantSettings
from tenant_service.system.working import JOBS
from tenant_service.tables import Tables
from tenant_service.tenants import handlers as tenant_handlers
from tenant_service.tenants.audit_log import TenantAuditLog
from tenant_service.tenants.changes import TenantChanges
from tenant_service.tenants.counting import TenantCounter
from tenant_service.tenants.creation import TenantCreation
from tenant_service.tenants.erasing import ErasedTables, TenantErasure
from tenant_service.tenants.life import TenantLife
from tenant_service.tenants.membership import TenantMembership
from tenant_service.tenants.people import TenantPeople
from tenant_service.tenants.purging import TenantPurge
from tenant_service.tenants.repository import TenantRepository
from tenant_service.tenants.service import TenantService
from tenant_service.tenants.slugs import load_reserved_slugs


@dataclass(frozen=True, slots=True)
class TenantParts:
    """What lives as long as the process."""

    database: Database
    tables: Tables
    recorder: Recorder
    outbox: Outbox
    ids: IdFactory
    clock: Clock
    cursors: CursorCodec
    settings: TenantSettings

    @property
    def tenants(self) -> TenantRepository:
        tables = self.tables
        return TenantRepository(tables.organizations, tables.slug_tombstones, tables.billing.accounts)

    @property
    def invitations(self) -> InvitationRepository:
        return InvitationRepository(self.tables.invitations)

    @property
    def people(self) -> TenantPeople:
        people = self.tables.people
        return TenantPeople(people.users, people.members, people.sessions)

    @property
    def changes(self) -> TenantChanges:
        keys = IdempotencyStore(self.tables.idempotency, self.clock)
        return TenantChanges(self.database, self.tenants, self.recorder, keys, self.clock)

    async def purge(self, limit: int) -> int:
        """The job of `tenants.purging`."""
        return await _tenant_purge(self).purge_due(self.clock.now(), limit)

    async def expire_invitations(self, limit: int) -> int:
        """The job of `inviting.expiry`."""
        expiry = InvitationExpiry(self.database, self.invitations, self.recorder)
        return await expiry.expire_invitations(self.clock.now(), limit)


def wire_tenants(app: web.Application, parts: TenantParts) -> None:
    """Give the handlers their services, and the runner the jobs of a tenant's life."""
    _wire_views(app, parts)
    _wire_changes(app, parts)
    app[JOBS] += [
        Job("expire_invitations", timedelta(minutes=5), parts.expire_invitations),
        Job("purge_tenants", timedelta(hours=1), parts.purge, limit=20, most_seconds=300),
    ]


def _wire_views(app: web.Application, parts: TenantParts) -> None:
    accounts = AccountService(
        parts.database, parts.changes, AccountRepository(parts.tables.connected_accounts), parts.cursors
    )
    flags = FlagService(
        parts.database,
        parts.changes,
        FlagRepository(parts.tables.feature_flags),
        parts.settings.feature_flags,
    )
    app[account_handlers.ACCOUNTS] = accounts
    app[flag_handlers.FLAGS] = flags
    app[tenant_handlers.AUDIT_LOG] = TenantAuditLog(
        parts.database, parts.tenants, AuditQueries(parts.tables.audit), parts.cursors
    )
    app[tenant_handlers.TENANTS] = TenantService(
        database=parts.database,
        tenants=parts.tenants,
        invitations=parts.invitations,
        audit=AuditQueries(parts.tables.audit),
        cursors=parts.cursors,
        counter=TenantCounter(parts.database, parts.tenants, parts.invitations, parts.clock),
        clock=parts.clock,
        hosts=parts.settings.hosts,
        people=parts.people,
        accounts=accounts,
        flags=flags,
        billing=TenantTotals(CreditRepository(parts.tables.billing, parts.tables.organizations), parts.clock),
    )


def _wire_changes(app: web.Application, parts: TenantParts) -> None:
    app[tenant_handlers.CREATION] = TenantCreation(
        database=parts.database,
        tenants=parts.tenants,
        invitations=parts.invitations,
        recorder=parts.recorder,
        outbox=parts.outbox,
        idempotency=IdempotencyStore(parts.tables.idempotency, parts.clock),
        ids=parts.ids,
        clock=parts.clock,
        hosts=parts.settings.hosts,
        reserved_slugs=load_reserved_slugs(),
    )
    app[tenant_handlers.LIFE] = TenantLife(parts.changes, parts.people, parts.invitations, parts.outbox)
    app[tenant_handlers.MEMBERSHIP] = TenantMembership(
        parts.database, parts.changes, parts.people, parts.cursors
    )
    app[inviting_handlers.INVITING] = InvitingService(
        database=parts.database,
        changes=parts.changes,
        invitations=parts.invitations,
        people=parts.people,
        outbox=parts.outbox,
        ids=parts.ids,
        hosts=parts.settings.hosts,
        cursors=parts.cursors,
        half_accepted=HalfAcceptedRows(parts.tables.invitations, parts.tables.people, parts.tables.audit),
        clock=parts.clock,
    )


def _tenant_purge(parts: TenantParts) -> TenantPurge:
    """What erases deleted tenants, with every table that knows people."""
    tables = parts.tables
    erased = ErasedTables(
        users=tables.people.users,
        credentials=tables.people.credentials,
        members=tables.people.members,
        sessions=tables.people.sessions,
        invitations=tables.invitations,
        connected_accounts=tables.connected_accounts,
        feature_flags=tables.feature_flags,
        outbox=tables.jobs.outbox,
    )
    recorder = AuditRecorder(tables.audit, parts.ids, parts.clock)
    eraser = PersonalDataEraser(parts.database, tables.audit, recorder)

    async def erase_audit(organization_id: str) -> int:
        subject = Subject(Basis.ORGANIZATION, organization_id)
        return (await eraser.erase(subject, reason="The tenant is purged")).rows

    return TenantPurge(parts.database, parts.tenants, TenantErasure(erased), parts.recorder, erase_audit)
