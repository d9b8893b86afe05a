"""Invitations of a tenant that exists: made, sent again and taken back by operators (R-088, G-04, G-16).

Nobody becomes a member here: only who opens the link does. The letter goes into the outbox with the
invitation, and leaves after the commit (R-105).
"""

from dataclasses import dataclass, replace

from service_kit.audit.events import EventType
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.ids import IdFactory, is_id
from service_kit.jobs.outbox import Outbox
from service_kit.web.once import Once
from service_kit.web.pages import PageModel, cut, read_cursor
from service_kit.web.paging import CursorCodec
from tenant_service import events
from tenant_service.asking import Asker
from tenant_service.half_accepted import HalfAcceptedRows
from tenant_service.hosts import TenantHosts
from tenant_service.invitations.code import InvitationCode
from tenant_service.invitations.mail import Invited, invitation_message, withdraw_letter
from tenant_service.invitations.models import INVITATION_LIFETIME, Invitation, InvitationStatus
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.inviting.errors import (
    AlreadyMemberError,
    InvitationNotFoundError,
    InvitationNotPendingError,
)
from tenant_service.inviting.schemas import CreatedInvitation, InvitationPage, InvitationRow, NewInvitation
from tenant_service.tenants.changes import Because, Happened, Held, TenantChanges
from tenant_service.tenants.errors import TenantSuspendedError
from tenant_service.tenants.models import Organization, TenantStatus
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.people import TenantPeople
from tenant_service.tenants.schemas import PagingQuery
from tenant_service.tenants.states import living


@dataclass(frozen=True, slots=True)
class InvitingService:
    """The operators' side of invitations."""

    database: Database
    changes: TenantChanges
    invitations: InvitationRepository
    people: TenantPeople
    outbox: Outbox
    ids: IdFactory
    hosts: TenantHosts
    cursors: CursorCodec
    half_accepted: HalfAcceptedRows
    clock: Clock

    async def page(self, reference: str, query: PagingQuery) -> InvitationPage:
        """Invitations, newest first, by their public ids.

        Raises TenantNotFoundError, BadRequestError `INVALID_CURSOR`.
        """
        async with self.database.read() as session:
            tenant = await named_tenant(self.changes.tenants, session, reference)
            bound = {"list": "invitations", "tenant": tenant.id}
            position = read_cursor(self.cursors, query.cursor, bound)
            rows = await self.invitations.page(session, tenant.id, position=position, limit=query.limit + 1)
            left = await self.half_accepted.accounts(session, [row.id for row in rows], self.clock.now())
        page = cut(
            rows,
            limit=query.limit,
            position=position,
            key=lambda invitation: (invitation.created_at, invitation.id),
            encode=lambda place: self.cursors.encode(place, bound),
        )
        data = [InvitationRow.of(each, left.get(each.id)) for each in page.rows]
        return InvitationPage(data=data, page=PageModel.of(page))

    async def create(
        self, asker: Asker, reference: str, wish: NewInvitation, *, once: Once | None = None
    ) -> CreatedInvitation:
        """Invite a person; an open invitation of theirs is canceled, because its role may be another.

        Raises TenantNotFoundError, TenantDeletedError, TenantSuspendedError, AlreadyMemberError.
        """
        async with self.changes.held(asker, reference, once=once) as held:
            tenant = _inviting(held)
            if await self.people.has_member(held.session, tenant.id, wish.email):
                raise AlreadyMemberError
            because = Because(wish.reason, wish.ticket_ref)
            elder = await self.invitations.open_for(held.session, tenant.id, wish.email)
            canceled = [await self._cancel(held, elder, because)] if elder is not None else []
            code = InvitationCode.new(self.ids.new("inv"))
            made = _new(held, wish, code)
            await self.invitations.add(held.session, made, secret_hash=code.secret_hash)
            await self._send(held, made, code)
            answer = CreatedInvitation(
                invitation_id=code.full,
                accept_url=self.hosts.accept_url(tenant.slug, code.full),
                expires_at=made.expires_at,
            )
            return await held.done(answer, *canceled, _happened(events.INVITATION_CREATED, made, because))

    async def resend(
        self, asker: Asker, reference: str, invitation_id: str, *, once: Once | None = None
    ) -> InvitationRow:
        """Send an open invitation again, with a new secret and 48 more hours; the old link is dead.

        The secret itself was never kept, so no letter can repeat it. Raises TenantNotFoundError,
        TenantDeletedError, TenantSuspendedError, InvitationNotFoundError, InvitationNotPendingError.
        """
        async with self.changes.held(asker, reference, once=once) as held:
            _inviting(held)
            found = await self._named(held, invitation_id)
            await withdraw_letter(self.outbox, held.session, found)
            code = InvitationCode.new(found.id)
            renewed = replace(
                found,
                expires_at=held.now + INVITATION_LIFETIME,
                last_sent_at=held.now,
                version=found.version + 1,
            )
            if not await self.invitations.renew(
                held.session, renewed, secret_hash=code.secret_hash, now=held.now
            ):
                raise InvitationNotPendingError
            await self._send(held, renewed, code)
            happened = _happened(events.INVITATION_RESENT, renewed, Because())
            return await held.done(InvitationRow.of(renewed), happened)

    async def cancel(self, asker: Asker, reference: str, invitation_id: str) -> None:
        """Take an open invitation back.

        Raises TenantNotFoundError, InvitationNotFoundError, InvitationNotPendingError.
        """
        async with self.changes.held(asker, reference) as held:
            found = await self._named(held, invitation_id)
            await held.done(None, await self._cancel(held, found, Because()))

    async def _named(self, held: Held, invitation_id: str) -> Invitation:
        is_named = is_id(invitation_id, "inv")
        found = (
            await self.invitations.by_id(held.session, held.tenant.id, invitation_id) if is_named else None
        )
        if found is None:
            raise InvitationNotFoundError
        return found

    async def _cancel(self, held: Held, invitation: Invitation, because: Because) -> Happened:
        if not await self.invitations.close(
            held.session, invitation, InvitationStatus.CANCELED, now=held.now
        ):
            raise InvitationNotPendingError
        await withdraw_letter(self.outbox, held.session, invitation)
        return _happened(events.INVITATION_CANCELED, invitation, because)

    async def _send(self, held: Held, invitation: Invitation, code: InvitationCode) -> None:
        invited = Invited(
            email=invitation.email,
            role=invitation.role.value,
            organization_id=held.tenant.id,
            organization_name=held.tenant.name,
            slug=held.tenant.slug,
            code=code,
            expires_at=invitation.expires_at,
        )
        await self.outbox.put(held.session, invitation_message(invited, self.hosts))


def _inviting(held: Held) -> Organization:
    tenant = living(held.tenant)
    if tenant.status is TenantStatus.SUSPENDED:
        raise TenantSuspendedError
    return tenant


def _new(held: Held, wish: NewInvitation, code: InvitationCode) -> Invitation:
    return Invitation(
        id=code.public_id,
        organization_id=held.tenant.id,
        email=wish.email,
        role=wish.role,
        status=InvitationStatus.PENDING,
        inviter_operator_id=held.asker.actor.id,
        created_at=held.now,
        expires_at=held.now + INVITATION_LIFETIME,
        last_sent_at=held.now,
    )


def _happened(event: EventType, invitation: Invitation, because: Because) -> Happened:
    details = {"role": invitation.role.value, "expiresAt": invitation.expires_at.isoformat()}
    return Happened(event, invitation.id, because, details, {"email": invitation.email})
