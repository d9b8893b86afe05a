"""The end of a deleted tenant: after the time of grace, what was known of its people is erased (G-11).

Kept are its id, the tombstone of its slug, its ledger and its chain of audit rows; the texts beside the
chain that name people are erased, which the chain was made to bear. A job runs it; no endpoint does.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.db.session import Database
from tenant_service.events import TENANT_PURGED
from tenant_service.recording import Recorder
from tenant_service.tenants import states
from tenant_service.tenants.erasing import TenantErasure
from tenant_service.tenants.models import Organization
from tenant_service.tenants.repository import TenantRepository

EraseAudit = Callable[[str], Awaitable[int]]
"""Erases what the audit rows of one tenant say of people, in transactions of its own; of how many rows."""


@dataclass(frozen=True, slots=True)
class TenantPurge:
    """Erases, one tenant and one transaction at a time."""

    database: Database
    tenants: TenantRepository
    erasure: TenantErasure
    recorder: Recorder
    erase_audit: EraseAudit

    async def purge_due(self, now: datetime, limit: int) -> int:
        """Purge at most `limit` tenants whose time of grace is over; how many. It may run at any time."""
        async with self.database.read() as session:
            due = await self.tenants.due_for_purge(session, now, limit=limit)
        return sum([await self._purge(tenant_id, now) for tenant_id in due])

    async def _purge(self, tenant_id: str, now: datetime) -> bool:
        async with self.database.read() as reading:
            if not _is_due(await self.tenants.by_id(reading, tenant_id), now):
                return False
        # Before the tenant counts as purged: if this is cut off in between, the next run does it again.
        # Nothing makes a tenant that is due one that is not: undeleting asks the same clock.
        audited = await self.erase_audit(tenant_id)
        async with self.database.write() as session:
            tenant = await self.tenants.by_id(session, tenant_id, hold=True)
            if tenant is None or not _is_due(tenant, now):
                return False  # another process purged it meanwhile
            erased = await self.erasure.erase(session, tenant_id)
            await self.tenants.save(session, states.purged(tenant, states.Step(SYSTEM.id, now)))
            entry = AuditEntry(
                event=TENANT_PURGED,
                actor=SYSTEM,
                resource_id=tenant_id,
                organization_id=tenant_id,
                details={"slug": tenant.slug, "erased": {**erased, "auditRows": audited}},
            )
            await self.recorder.record(session, entry)
        return True


def _is_due(tenant: Organization | None, now: datetime) -> bool:
    if tenant is None or tenant.purged_at is not None or tenant.purge_after is None:
        return False
    return tenant.purge_after <= now
