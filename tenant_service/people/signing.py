"""Signing in and out at one tenant, and changing a password.

An unknown address, a wrong password and a person of another tenant get one answer after the same work, so
that nobody learns who has an account (http-api 3.3).
"""

from dataclasses import dataclass

from service_kit.audit.events import Outcome
from service_kit.clock import Clock
from service_kit.email_address import normalise_email
from tenant_service.people.accounts import Account, AccountRepository
from tenant_service.people.attempts import Attempts
from tenant_service.people.errors import (
    InvalidCredentialsError,
    NotSignedInError,
    TenantIsSuspendedError,
)
from tenant_service.people.models import Member
from tenant_service.people.passwords import Passwords, require_strong
from tenant_service.people.scope import TenantDatabase, TenantWrite
from tenant_service.people.sessions import SEEN_EVERY, NewSession, SessionRepository
from tenant_service.people.team import TeamRepository
from tenant_service.people.visitor import Person, SignedIn, Visitor
from tenant_service.people_events import PASSWORD_CHANGED, SIGN_IN_FAILED, SIGNED_IN, SIGNED_OUT
from tenant_service.recording import Recorder
from tenant_service.tenants.models import TenantStatus


@dataclass(frozen=True, slots=True)
class _Claim:
    """What is known of who claims to be somebody; `member` only if they are one of this tenant."""

    account: Account | None
    member: Member | None

    @property
    def password_hash(self) -> str | None:
        return self.account.password_hash if self.account is not None else None


@dataclass(frozen=True, slots=True)
class Signing:
    """The door of one tenant for those who have been there."""

    database: TenantDatabase
    accounts: AccountRepository
    team: TeamRepository
    sessions: SessionRepository
    attempts: Attempts
    passwords: Passwords
    recorder: Recorder
    clock: Clock

    async def proven(self, visitor: Visitor, token: str) -> SignedIn | None:
        """Whom a cookie proves at this host; a session of another tenant proves nobody."""
        now = self.clock.now()
        async with self.database.read(visitor.scope) as at:
            found = await self.sessions.proven(at, visitor, token, now)
        if found is not None and now - found.last_seen_at >= SEEN_EVERY:
            async with self.database.write(visitor.scope) as at:
                await self.sessions.seen(at, found.session_id, now)
        return found

    async def sign_in(self, visitor: Visitor, email: str, password: str) -> NewSession:
        """Raises InvalidCredentialsError, TenantIsSuspendedError, RateLimitedError."""
        address = _normal(email)
        async with self.database.write(visitor.scope) as at:
            locked_until = await self.attempts.sign_in(at, address, visitor.ip, self.clock.now())
        async with self.database.read(visitor.scope) as at:
            account = await self.accounts.by_email(at, address)
            member = await self.team.of_user(at, account.user.id if account is not None else "")
        claim = _Claim(account, member)
        right = await self.passwords.proves(claim.password_hash, password)
        allowed = member is not None and account is not None and account.user.disabled_at is None
        if account is None or member is None or not (right and allowed):
            async with self.database.write(visitor.scope) as at:
                # The same statements for everybody; "" is nobody's id.
                wronged = account.user.id if account is not None and not right else ""
                await self.accounts.failed(at, wronged, locked_until)
                await self._record_failure(at, visitor, claim, address)
            raise InvalidCredentialsError
        rehashed = None
        if self.passwords.is_outdated(account.password_hash or ""):
            rehashed = await self.passwords.hash(password)
        return await self._open(visitor, account, member, rehashed)

    async def sign_out(self, by: SignedIn) -> None:
        """End this session."""
        async with self.database.write(by.visitor.scope) as at:
            if await self.sessions.revoke(at, by.session_id, self.clock.now()):
                entry = by.visitor.entry(SIGNED_OUT, by.session_id, by=by.person)
                await self.recorder.record(at.session, entry)

    async def change_password(self, by: SignedIn, current: str, new: str) -> NewSession:
        """Set a new password and end every other session of this person, in every tenant.

        This browser goes on with a session of its own. Raises InvalidCredentialsError,
        PasswordTooWeakError, RateLimitedError.
        """
        visitor, email = by.visitor, by.user.email
        async with self.database.write(visitor.scope) as at:
            await self.attempts.sign_in(at, email, visitor.ip, self.clock.now())
        async with self.database.read(visitor.scope) as at:
            account = await self.accounts.by_email(at, email)
        stored = account.password_hash if account is not None else None
        if not await self.passwords.proves(stored, current) or account is None:
            raise InvalidCredentialsError
        require_strong(new, (visitor.tenant.slug, email.partition("@")[0]), pointer="/newPassword")
        password_hash = await self.passwords.hash(new)
        async with self.database.write(visitor.scope) as at:
            now = self.clock.now()
            # Sessions of other tenants end by this time alone: see SessionRepository.proven.
            if not await self.accounts.change(at, account, password_hash, now):
                raise InvalidCredentialsError
            await self.sessions.revoke_of(at, by.user.id, now)
            opened = await self.sessions.open(at, visitor, by.user.id, now)
            await self.attempts.right(at, email)
            entry = visitor.entry(PASSWORD_CHANGED, by.user.id, by=by.person)
            await self.recorder.record(at.session, entry)
        return opened

    async def _open(
        self, visitor: Visitor, account: Account, member: Member, rehashed: str | None
    ) -> NewSession:
        async with self.database.write(visitor.scope) as at:
            now = self.clock.now()
            tenant = await self.database.held(at)
            if tenant is None:
                raise NotSignedInError
            if tenant.status is not TenantStatus.ACTIVE:
                raise TenantIsSuspendedError
            if not await self.accounts.succeeded(at, account, rehashed=rehashed):
                raise InvalidCredentialsError  # it was changed since it was proven
            await self.attempts.right(at, account.user.email)
            opened = await self.sessions.open(at, visitor, account.user.id, now)
            person = Person(account.user, member.role)
            await self.recorder.record(at.session, visitor.entry(SIGNED_IN, opened.id, by=person))
        return opened

    async def _record_failure(self, at: TenantWrite, visitor: Visitor, claim: _Claim, address: str) -> None:
        """Named is only a member of this tenant: its log tells nothing of accounts elsewhere."""
        whom = claim.member.user_id if claim.member is not None else "unknown"
        entry = visitor.entry(SIGN_IN_FAILED, whom, outcome=Outcome.DENIED, person={"email": address})
        await self.recorder.record(at.session, entry)


def _normal(email: str) -> str:
    """The address in its normal form; what is none is nobody's address, and is not kept."""
    try:
        return normalise_email(email)
    except ValueError:
        return ""
