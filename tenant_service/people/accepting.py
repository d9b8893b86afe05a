"""Accepting an invitation: how a person comes to a tenant (R-106 … R-112, data-model 2.6).

    A  the invitation is looked at: this host's tenant, open, in time
    B  a transaction makes the user, if the address has none
    C  argon2, outside every transaction: a new hash, or the proof of the existing password
    D  a transaction makes the membership, accepts the invitation and opens a session

Nothing is accepted before the membership exists, and no existing password is ever overwritten. When D fails
after B, a row of the audit log says whom it left without a place, and the same link works again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service_kit.audit.events import Outcome
from service_kit.clock import Clock
from service_kit.errors import UnavailableError
from service_kit.ids import IdFactory
from service_kit.telemetry.logging import get_logger
from tenant_service.invitations.code import InvitationCode
from tenant_service.invitations.models import Invitation, InvitationStatus
from tenant_service.people.accounts import Account, AccountRepository
from tenant_service.people.attempts import Attempts
from tenant_service.people.errors import (
    AcceptedAlreadyError,
    AcceptSuspendedError,
    InvitationExpiredError,
    NoSuchInvitationError,
    WrongPasswordError,
)
from tenant_service.people.invitations import Found, TenantInvitations, read_code
from tenant_service.people.models import Member, MemberRole, User
from tenant_service.people.passwords import Passwords, require_strong
from tenant_service.people.scope import TenantDatabase, TenantRead, TenantWrite
from tenant_service.people.sessions import NewSession, SessionRepository
from tenant_service.people.team import TeamRepository
from tenant_service.people.visitor import Person, SignedIn, Visitor
from tenant_service.people_events import (
    INVITATION_ACCEPTED,
    INVITATION_PARTIAL_FAILURE,
    MEMBER_JOINED,
    SIGNED_IN,
)
from tenant_service.recording import Recorder
from tenant_service.tenants.models import Organization, TenantStatus

_TRIES: Final = 3
"""Somebody may make the same user between A and B; then theirs is looked at."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entrant:
    """Who accepts, in their own words. A `name` counts only for a person who is new to the platform."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Accepting:
    """The way from a link to a membership."""

    database: TenantDatabase
    accounts: AccountRepository
    invitations: TenantInvitations
    team: TeamRepository
    sessions: SessionRepository
    attempts: Attempts
    passwords: Passwords
    recorder: Recorder
    ids: IdFactory
    clock: Clock

    async def shown(self, visitor: Visitor, link: str) -> Invitation:
        """The open invitation of a link, for who holds it.

        Raises NoSuchInvitationError, also for one that was accepted, InvitationExpiredError,
        AcceptSuspendedError.
        """
        code = _code(link)
        async with self.database.read(visitor.scope) as at:
            found = await self._found(at, code)
        if found.invitation.status is InvitationStatus.ACCEPTED:
            raise NoSuchInvitationError
        return self._open(found, visitor.tenant)

    async def accept(
        self, visitor: Visitor, link: str, entrant: Entrant, *, already: SignedIn | None = None
    ) -> NewSession | None:
        """Become a member, signed in; None when `already` is the person who accepted it before.

        Raises NoSuchInvitationError, AcceptedAlreadyError, InvitationExpiredError, AcceptSuspendedError,
        WrongPasswordError, PasswordTooWeakError, RateLimitedError.
        """
        code = _code(link)
        for _ in range(_TRIES):
            async with self.database.read(visitor.scope) as at:
                found = await self._found(at, code)
                account = await self.accounts.by_email(at, found.invitation.email)
            if already is not None and found.accepted_user_id == already.user.id:
                return None
            invitation = self._open(found, visitor.tenant)
            if account is not None:
                await self._prove(visitor, invitation, account, entrant.password)
                return await self._join(visitor, code, account)
            made = await self._make_user(visitor, code, invitation, entrant)
            if made is not None:
                return await self._join_or_tell(visitor, code, made)
        raise UnavailableError("TRY_AGAIN", "Please try again")

    async def _prove(self, visitor: Visitor, invitation: Invitation, account: Account, password: str) -> None:
        """C, for a person whom the platform knows (R-108)."""
        async with self.database.write(visitor.scope) as at:
            await self.attempts.accept(at, invitation.id, visitor.ip, self.clock.now())
        proven = await self.passwords.proves(account.password_hash, password)
        if proven and account.user.disabled_at is None:
            return
        async with self.database.write(visitor.scope) as at:
            await self.invitations.tried(at, invitation.id)
        raise WrongPasswordError

    async def _make_user(
        self, visitor: Visitor, code: InvitationCode, invitation: Invitation, entrant: Entrant
    ) -> Account | None:
        """C and B, for a new person; None when another request made the same user meanwhile."""
        local_part = invitation.email.partition("@")[0]
        require_strong(entrant.password, (visitor.tenant.slug, local_part))
        password_hash = await self.passwords.hash(entrant.password)
        now = self.clock.now()
        user = User(
            id=self.ids.new("usr"),
            email=invitation.email,
            name=entrant.name,
            email_verified=True,  # the link was sent to that address
            created_at=now,
            updated_at=now,
        )
        async with self.database.write(visitor.scope) as at:
            await self._held(at, code)
            made = await self.accounts.add(at, user, password_hash)
        return Account(user, password_hash, now) if made else None

    async def _join_or_tell(self, visitor: Visitor, code: InvitationCode, account: Account) -> NewSession:
        try:
            return await self._join(visitor, code, account)
        except BaseException as error:
            await self._tell(visitor, code, account.user, error)
            raise

    async def _join(self, visitor: Visitor, code: InvitationCode, account: Account) -> NewSession:
        """D: membership, acceptance, session and their audit rows stand or fall together."""
        async with self.database.write(visitor.scope) as at:
            now = self.clock.now()
            invitation = await self._held(at, code)
            if not await self.accounts.succeeded(at, account):
                raise WrongPasswordError  # it was changed since it was proven
            member = await self._membership(at, invitation, account.user.id, now)
            if not await self.invitations.accept(at, invitation, account.user.id, now):
                raise AcceptedAlreadyError
            opened = await self.sessions.open(at, visitor, account.user.id, now)
            person = Person(account.user, member.role)
            role: dict[str, object] = {"role": member.role.value, "userId": person.user.id}
            for entry in (
                visitor.entry(INVITATION_ACCEPTED, invitation.id, by=person, details=role),
                visitor.entry(MEMBER_JOINED, member.id, by=person, details=role),
                visitor.entry(SIGNED_IN, opened.id, by=person),
            ):
                await self.recorder.record(at.session, entry)
        return opened

    async def _membership(
        self, at: TenantWrite, invitation: Invitation, user_id: str, now: datetime
    ) -> Member:
        if (member := await self.team.of_user(at, user_id)) is not None:
            return member
        member = Member(
            id=self.ids.new("mem"),
            organization_id=at.scope.organization_id,
            user_id=user_id,
            role=MemberRole(invitation.role.value),
            created_at=now,
            updated_at=now,
        )
        await self.team.add(at, member)
        return member

    async def _tell(self, visitor: Visitor, code: InvitationCode, user: User, cause: BaseException) -> None:
        """R-112: who was made without a membership, so that somebody can look after them."""
        try:
            async with self.database.write(visitor.scope) as at:
                entry = visitor.entry(
                    INVITATION_PARTIAL_FAILURE,
                    code.public_id,
                    by=Person(user),
                    outcome=Outcome.FAILURE,
                    details={"user_id": user.id, "cause": type(cause).__name__},
                )
                await self.recorder.record(at.session, entry)
        except Exception:  # noqa: BLE001 - the first failure is the one that the caller must see
            _log.exception("partial_failure_untold", user_id=user.id, invitation_id=code.public_id)

    async def _held(self, at: TenantWrite, code: InvitationCode) -> Invitation:
        """A once more, under the locks of the tenant and of the invitation."""
        tenant = await self.database.held(at)
        found = await self._found(at, code, hold=True)
        if tenant is None:
            raise NoSuchInvitationError
        return self._open(found, tenant)

    async def _found(self, at: TenantRead, code: InvitationCode, *, hold: bool = False) -> Found:
        found = await self.invitations.by_code(at, code, hold=hold)
        if found is None or found.invitation.status is InvitationStatus.CANCELED:
            raise NoSuchInvitationError
        return found

    def _open(self, found: Found, tenant: Organization) -> Invitation:
        """The invitation, if it can be accepted now."""
        invitation = found.invitation
        if invitation.status is InvitationStatus.ACCEPTED:
            raise AcceptedAlreadyError
        if invitation.status is InvitationStatus.EXPIRED or invitation.expires_at <= self.clock.now():
            raise InvitationExpiredError
        if tenant.status is not TenantStatus.ACTIVE:
            raise AcceptSuspendedError
        return invitation


def _code(link: str) -> InvitationCode:
    code = read_code(link)
    if code is None:
        raise NoSuchInvitationError
    return code
