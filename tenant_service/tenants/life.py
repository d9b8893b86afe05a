"""The life of a tenant: its change, suspension, deletion and return (R-085…R-087, G-02, G-04, G-10, G-11).

Each step is one transaction with its pair of audit rows; a step that was taken before changes nothing and
writes nothing. The purge at the end of a life is a job, not an operator's act: see `purging`.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from service_kit.audit.events import EventType
from service_kit.identity.model import Permission
from service_kit.jobs.outbox import Outbox
from service_kit.web.once import Once
from tenant_service import events
from tenant_service.asking import Asker
from tenant_service.invitations.mail import withdraw_letter
from tenant_service.invitations.models import InvitationStatus
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.tenants import states
from tenant_service.tenants.changes import Because, Happened, Held, TenantChanges
from tenant_service.tenants.errors import (
    ConfirmationMismatchError,
    MayNotUndeleteError,
    TenantChangedError,
)
from tenant_service.tenants.letters import suspension_message
from tenant_service.tenants.models import Organization, TenantStatus
from tenant_service.tenants.people import TenantPeople
from tenant_service.tenants.schemas import (
    DeletedTenant,
    DeleteTenant,
    RestoredTenant,
    RestoreTenant,
    SuspendedTenant,
    SuspendTenant,
    TenantPatch,
)


@dataclass(frozen=True, slots=True)
class TenantLife:
    """What operators do to a tenant as a whole, once it exists."""

    changes: TenantChanges
    people: TenantPeople
    invitations: InvitationRepository
    outbox: Outbox

    async def update(
        self, asker: Asker, reference: str, patch: TenantPatch, *, expected: Collection[int]
    ) -> None:
        """Change what may be changed; what is so already changes nothing.

        `expected` are the versions that the caller has seen. Raises TenantNotFoundError,
        TenantDeletedError, TenantChangedError.
        """
        async with self.changes.held(asker, reference) as held:
            tenant = states.living(held.tenant)
            if tenant.version not in expected:
                raise TenantChangedError
            before = asdict(tenant)
            changed = {name: value for name, value in patch.wanted.items() if before[name] != value}
            if not changed:
                return
            new = replace(tenant, **changed, updated_at=held.now, version=tenant.version + 1)
            await self.changes.tenants.save(held.session, new)
            await held.done(None, _updated(tenant, changed, Because(patch.reason, patch.ticket_ref)))

    async def suspend(
        self, asker: Asker, reference: str, wish: SuspendTenant, *, once: Once | None = None
    ) -> SuspendedTenant:
        """Suspend and end every session. Raises TenantNotFoundError, TenantDeletedError."""
        async with self.changes.held(asker, reference, once=once) as held:
            new = states.suspended(held.tenant, _step(held, wish.reason))
            if new is held.tenant:
                return await held.done(SuspendedTenant(status=new.status, sessions_revoked=0))
            await self.changes.tenants.save(held.session, new)
            ended = await self.people.end_sessions(held.session, new.id, now=held.now)
            if wish.notify_owner:
                await self.outbox.put(held.session, suspension_message(new))
            details = {"sessionsRevoked": ended, "ownerNotified": wish.notify_owner}
            because = Because(wish.reason, wish.ticket_ref)
            happened = Happened(events.TENANT_SUSPENDED, new.id, because, details)
            return await held.done(SuspendedTenant(status=new.status, sessions_revoked=ended), happened)

    async def restore(
        self, asker: Asker, reference: str, wish: RestoreTenant, *, once: Once | None = None
    ) -> RestoredTenant:
        """Lift a suspension, or bring a deleted tenant back within its time of grace.

        Raises TenantNotFoundError, TenantPurgedError, and MayNotUndeleteError for somebody who may not
        delete: what only they can do, only they can undo.
        """
        async with self.changes.held(asker, reference, once=once) as held:
            was_deleted = held.tenant.status is TenantStatus.DELETED
            if was_deleted and not asker.identity.may(Permission.TENANT_DELETE):
                raise MayNotUndeleteError
            way = states.undeleted if was_deleted else states.restored
            new = way(held.tenant, _step(held, wish.reason))
            if new is held.tenant:
                return await held.done(RestoredTenant(status=new.status))
            await self.changes.tenants.save(held.session, new)
            if was_deleted:
                await self.changes.tenants.lift_tombstone(held.session, new)
            event = events.TENANT_UNDELETED if was_deleted else events.TENANT_RESTORED
            happened = _moved(event, new, Because(wish.reason, wish.ticket_ref))
            return await held.done(RestoredTenant(status=new.status), happened)

    async def delete(
        self,
        asker: Asker,
        reference: str,
        wish: DeleteTenant,
        *,
        expected: Collection[int] | None = None,
    ) -> DeletedTenant:
        """Delete for now, and for good after the time of grace (G-11).

        Sessions end, open invitations are canceled and the slug is kept from others. Raises
        TenantNotFoundError, ConfirmationMismatchError, TenantChangedError.
        """
        async with self.changes.held(asker, reference) as held:
            if wish.confirm is not None and wish.confirm != held.tenant.slug:
                raise ConfirmationMismatchError
            new = states.deleted(held.tenant, _step(held, wish.reason))
            answer = DeletedTenant(status=new.status, purge_after=new.purge_after)
            if new is held.tenant:
                return await held.done(answer)
            if expected is not None and held.tenant.version not in expected:
                raise TenantChangedError
            await self.changes.tenants.save(held.session, new)
            await self.changes.tenants.entomb(held.session, new, held.now)
            happened = await self._end_all(held, new, Because(wish.reason, wish.ticket_ref))
            return await held.done(answer, happened)

    async def _end_all(self, held: Held, tenant: Organization, because: Because) -> Happened:
        ended = await self.people.end_sessions(held.session, tenant.id, now=held.now)
        open_invitations = await self.invitations.all_open(held.session, tenant.id)
        for invitation in open_invitations:
            await self.invitations.close(held.session, invitation, InvitationStatus.CANCELED, now=held.now)
            await withdraw_letter(self.outbox, held.session, invitation)
        details = {"sessionsRevoked": ended, "invitationsCanceled": [each.id for each in open_invitations]}
        return _moved(events.TENANT_DELETED, tenant, because, details)


def _step(held: Held, reason: str) -> states.Step:
    return states.Step(held.asker.actor.id, held.now, reason)


def _moved(
    event: EventType, new: Organization, because: Because, details: dict[str, object] | None = None
) -> Happened:
    said: dict[str, object] = {"slug": new.slug, "status": new.status.value, **(details or {})}
    if new.purge_after is not None:
        said["purgeAfter"] = new.purge_after.isoformat()
    return Happened(event, new.id, because, said)


def _updated(before: Organization, changed: dict[str, object], because: Because) -> Happened:
    """The values before and after; an address is a person's and stays erasable."""
    pairs = {
        name: {"before": getattr(before, name), "after": value} for name, value in sorted(changed.items())
    }
    address = pairs.pop("primary_email", None)
    details = {"changed": sorted(changed), **pairs}
    person = {"primaryEmail": address} if address else {}
    return Happened(events.TENANT_UPDATED, before.id, because, details, person)
