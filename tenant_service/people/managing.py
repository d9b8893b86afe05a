"""A tenant's own team: who is in it, with which role, and who is invited (R-110).

Only owners make owners, or touch one. The last owner stays, whoever asks: the database holds that too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from service_kit.clock import Clock
from service_kit.ids import IdFactory, is_id
from service_kit.jobs.outbox import Outbox
from service_kit.web.pages import Page, cut, read_cursor
from service_kit.web.paging import CursorCodec
from tenant_service.hosts import TenantHosts
from tenant_service.invitations.code import InvitationCode
from tenant_service.invitations.mail import Invited, invitation_message, withdraw_letter
from tenant_service.invitations.models import (
    INVITATION_LIFETIME,
    Invitation,
    InvitationRole,
    InvitationStatus,
)
from tenant_service.people.attempts import Attempts
from tenant_service.people.errors import (
    InvitationStandsError,
    LastOwnerError,
    MayNotError,
    NoSuchInvitationError,
    NoSuchMemberError,
    NotSignedInError,
)
from tenant_service.people.invitations import TenantInvitations
from tenant_service.people.models import MemberRole, refuses_last_owner
from tenant_service.people.scope import TenantDatabase, TenantRead, TenantWrite
from tenant_service.people.sessions import SessionRepository
from tenant_service.people.team import Colleague, TeamRepository
from tenant_service.people.visitor import SignedIn
from tenant_service.people_events import (
    INVITATION_WITHDRAWN,
    MEMBER_INVITED,
    MEMBER_REMOVED,
    MEMBER_ROLE_CHANGED,
)
from tenant_service.recording import Recorder

_MOST_PENDING = 200


@dataclass(frozen=True, slots=True)
class Managing:
    """What owners and admins do with their team."""

    database: TenantDatabase
    team: TeamRepository
    invitations: TenantInvitations
    sessions: SessionRepository
    attempts: Attempts
    outbox: Outbox
    recorder: Recorder
    ids: IdFactory
    clock: Clock
    hosts: TenantHosts
    cursors: CursorCodec

    async def count(self, by: SignedIn) -> int:
        """How many members the tenant has."""
        async with self.database.read(by.visitor.scope) as at:
            return await self.team.count(at)

    async def members(self, by: SignedIn, *, cursor: str | None, limit: int) -> Page[Colleague]:
        """Members, newest first. Raises MayNotError, BadRequestError `INVALID_CURSOR`."""
        require_manager(by)
        bound = {"list": "team", "tenant": by.visitor.tenant.id}
        position = read_cursor(self.cursors, cursor, bound)
        async with self.database.read(by.visitor.scope) as at:
            rows = await self.team.page(at, position=position, limit=limit + 1)
        return cut(
            rows,
            limit=limit,
            position=position,
            key=lambda colleague: (colleague.since, colleague.id),
            encode=lambda place: self.cursors.encode(place, bound),
        )

    async def member(self, by: SignedIn, member_id: str) -> Colleague:
        """Raises MayNotError, NoSuchMemberError."""
        require_manager(by)
        async with self.database.read(by.visitor.scope) as at:
            return await self._colleague(at, member_id)

    async def change_role(self, by: SignedIn, member_id: str, role: MemberRole) -> Colleague:
        """Raises NoSuchMemberError, MayNotError, LastOwnerError. The same role again changes nothing."""
        require_manager(by)
        with _keeping_an_owner():
            async with self.database.write(by.visitor.scope) as at:
                acting, now = await self._acting(at, by), self.clock.now()
                found = await self._colleague(at, member_id)
                _require_reach(acting, found.role, role)
                if found.role is not role:
                    await self.team.change_role(at, found.id, role, now)
                    details: dict[str, object] = {"from": found.role.value, "to": role.value}
                    entry = by.visitor.entry(MEMBER_ROLE_CHANGED, found.id, by=by.person, details=details)
                    await self.recorder.record(at.session, entry)
                changed = await self._colleague(at, member_id)
        return changed

    async def remove(self, by: SignedIn, member_id: str) -> None:
        """Take a person out of the tenant and end their sessions there; their account stays.

        Raises NoSuchMemberError, MayNotError, LastOwnerError.
        """
        require_manager(by)
        with _keeping_an_owner():
            async with self.database.write(by.visitor.scope) as at:
                acting, now = await self._acting(at, by), self.clock.now()
                found = await self._colleague(at, member_id)
                _require_reach(acting, found.role)
                await self.team.remove(at, found.id)
                await self.sessions.revoke_of(at, found.user_id, now)
                details: dict[str, object] = {"userId": found.user_id, "role": found.role.value}
                entry = by.visitor.entry(
                    MEMBER_REMOVED, found.id, by=by.person, details=details, person={"email": found.email}
                )
                await self.recorder.record(at.session, entry)

    async def pending(self, by: SignedIn) -> list[Invitation]:
        """Open invitations, newest first, by their public ids. Raises MayNotError."""
        require_manager(by)
        async with self.database.read(by.visitor.scope) as at:
            return list(await self.invitations.pending(at, limit=_MOST_PENDING))

    async def invite(self, by: SignedIn, email: str, role: InvitationRole) -> Invitation:
        """Invite a person by mail; an open invitation of theirs is replaced.

        The link goes to the invited person alone: who invites must not be able to take the account of
        somebody else's address. Raises MayNotError, InvitationStandsError, RateLimitedError.
        """
        require_manager(by)
        async with self.database.write(by.visitor.scope) as at:
            acting, now = await self._acting(at, by), self.clock.now()
            _require_reach(acting, MemberRole(role.value))
            await self.attempts.invitation(at, now)
            if await self.team.has_email(at, email):
                raise InvitationStandsError.member()
            if (elder := await self.invitations.open_for(at, email)) is not None:
                if elder.role is InvitationRole.OWNER and acting is not MemberRole.OWNER:
                    raise InvitationStandsError.pending()
                await self._withdraw(at, elder, now)
            code = InvitationCode.new(self.ids.new("inv"))
            made = _invitation(by, email, role, code, now)
            await self.invitations.add(at, made, secret_hash=code.secret_hash)
            await self.outbox.put(at.session, invitation_message(_invited(by, made, code), self.hosts))
            details: dict[str, object] = {"role": role.value, "expiresAt": made.expires_at.isoformat()}
            entry = by.visitor.entry(
                MEMBER_INVITED, made.id, by=by.person, details=details, person={"email": email}
            )
            await self.recorder.record(at.session, entry)
        return made

    async def cancel(self, by: SignedIn, invitation_id: str) -> None:
        """Take an open invitation back. Raises MayNotError, NoSuchInvitationError."""
        require_manager(by)
        async with self.database.write(by.visitor.scope) as at:
            acting, now = await self._acting(at, by), self.clock.now()
            found = await self.invitations.by_id(at, invitation_id) if is_id(invitation_id, "inv") else None
            if found is None or found.status is not InvitationStatus.PENDING:
                raise NoSuchInvitationError
            _require_reach(acting, MemberRole(found.role.value))
            await self._withdraw(at, found, now)
            entry = by.visitor.entry(
                INVITATION_WITHDRAWN, found.id, by=by.person, person={"email": found.email}
            )
            await self.recorder.record(at.session, entry)

    async def _withdraw(self, at: TenantWrite, invitation: Invitation, now: datetime) -> None:
        if not await self.invitations.cancel(at, invitation, now):
            raise NoSuchInvitationError
        await withdraw_letter(self.outbox, at.session, invitation)

    async def _acting(self, at: TenantWrite, by: SignedIn) -> MemberRole:
        """The caller's role as it is now, under the tenant's lock: it may have been taken meanwhile."""
        tenant = await self.database.held(at)
        member = await self.team.of_user(at, by.user.id)
        if tenant is None or member is None:
            raise NotSignedInError
        if member.role is MemberRole.MEMBER:
            raise _needs_manager()
        return member.role

    async def _colleague(self, at: TenantRead, member_id: str) -> Colleague:
        found = await self.team.colleague(at, member_id) if is_id(member_id, "mem") else None
        if found is None:
            raise NoSuchMemberError
        return found


def require_manager(by: SignedIn) -> None:
    """Raise MayNotError unless the person is an owner or an admin."""
    if not by.manages:
        raise _needs_manager()


def _needs_manager() -> MayNotError:
    return MayNotError("an owner or an admin")


def _require_reach(acting: MemberRole, *touched: MemberRole) -> None:
    """Whatever makes, changes or ends an owner is for owners."""
    if MemberRole.OWNER in touched and acting is not MemberRole.OWNER:
        raise MayNotError("an owner")


@contextmanager
def _keeping_an_owner() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if refuses_last_owner(error):
            raise LastOwnerError from error
        raise


def _invitation(
    by: SignedIn, email: str, role: InvitationRole, code: InvitationCode, now: datetime
) -> Invitation:
    return Invitation(
        id=code.public_id,
        organization_id=by.visitor.tenant.id,
        email=email,
        role=role,
        status=InvitationStatus.PENDING,
        inviter_operator_id=None,
        inviter_id=by.user.id,
        created_at=now,
        expires_at=now + INVITATION_LIFETIME,
        last_sent_at=now,
    )


def _invited(by: SignedIn, made: Invitation, code: InvitationCode) -> Invited:
    tenant = by.visitor.tenant
    return Invited(
        email=made.email,
        role=made.role.value,
        organization_id=tenant.id,
        organization_name=tenant.name,
        slug=tenant.slug,
        code=code,
        expires_at=made.expires_at,
        inviter=by.user.name,
    )
