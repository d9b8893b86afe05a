"""What operators do with credit: grant, void, and change an expiry (R-023, R-029, G-06, G-12).

Each is one transaction with its pair of audit rows. What was consumed is never clawed back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from service_kit.audit.events import AuditEntry, EventType, Severity
from service_kit.clock import Clock
from service_kit.db.session import WriteSession
from service_kit.errors import ConflictError
from service_kit.identity.model import Role
from service_kit.ids import is_id
from service_kit.web.idempotency import IdempotencyStore, hash_of
from service_kit.web.once import AlreadyDoneError, Once
from tenant_service.asking import Asker
from tenant_service.billing.closed_sets import Account, ActorKind, Kind, Source
from tenant_service.billing.credits.errors import (
    AlreadyBookedError,
    above_support_max,
    already_voided,
    daily_cap,
    exhausted,
    grant_expired,
    grant_not_found,
    tenant_deleted,
    tenant_not_found,
    wrong_field,
)
from tenant_service.billing.credits.ledger import Booked, Ledger
from tenant_service.billing.credits.models import Balance, Booking, Grant, Share
from tenant_service.billing.credits.postings import moved
from tenant_service.billing.credits.runtime_schemas import BalanceModel
from tenant_service.billing.credits.schemas import (
    ExpiryChanged,
    GrantMade,
    GrantModel,
    GrantVoided,
    NewExpiry,
    NewGrant,
    VoidGrant,
)
from tenant_service.billing_events import CREDITS_EXPIRY_CHANGED, CREDITS_GRANTED, CREDITS_VOIDED
from tenant_service.recording import Recorder
from tenant_service.tenants.models import TenantStatus
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.repository import TenantRepository


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may be granted (G-12): at once, at once by the support role, and by one operator a day."""

    at_once: int
    by_support: int
    a_day: int

    def at_once_by(self, role: Role | None) -> int:
        """How much one of that role may grant at once."""
        return self.at_once if role is Role.SUPER_ADMIN else min(self.at_once, self.by_support)


@dataclass(frozen=True, slots=True)
class GrantService:
    """The operators' half of the ledger."""

    ledger: Ledger
    tenants: TenantRepository
    idempotency: IdempotencyStore
    recorder: Recorder
    clock: Clock
    caps: Caps

    async def grant(self, asker: Asker, reference: str, wish: NewGrant, *, key: str) -> Booked[GrantMade]:
        """Give a tenant credit.

        Raises ForbiddenError GRANT_ABOVE_SUPPORT_MAX, RateLimitedError GRANT_DAILY_CAP, ConflictError
        TENANT_DELETED, UnprocessableError for a field.
        """
        now = self.clock.now()
        organization_id = await self._id_of(reference)
        booking = _booking(
            asker, organization_id, Kind.GRANT, key, wish.model_dump(mode="json"), note=wish.reason
        )

        async def work(session: WriteSession) -> GrantMade:
            status = await self._status_for(session, booking)
            await self.ledger.credits.lock_granter(session, asker.actor.id)
            await self.ledger.credits.open_account(session, organization_id, now)
            await self.ledger.lock(session, booking)
            self._check_caps(asker, wish)
            await self._check_day(session, asker, wish, now)
            grant = self._new_grant(asker, organization_id, wish, now)
            await self.ledger.credits.add_grant(session, replace(grant, remaining=0, version=0))
            suspended = status is TenantStatus.SUSPENDED

            def answer(_txn_id: str, balance: Balance) -> GrantMade:
                return GrantMade(
                    grant=GrantModel.of(grant, now),
                    balance=BalanceModel.of(balance),
                    warning="TENANT_SUSPENDED" if suspended else None,
                )

            postings = moved((Share(grant.id, grant.amount),), Account.ISSUED, Account.AVAILABLE)
            made = await self.ledger.book(session, booking, postings, now, answer)
            await self.recorder.record(session, self._granted(asker, grant, wish))
            return made

        return await self.ledger.once(booking, GrantMade, work)

    async def void(
        self, asker: Asker, reference: str, grant_id: str, wish: VoidGrant, *, key: str
    ) -> Booked[GrantVoided]:
        """Take back what is left of a grant.

        Raises ConflictError GRANT_ALREADY_VOIDED, GRANT_EXHAUSTED, GRANT_EXPIRED, TENANT_DELETED.
        """
        organization_id = await self._id_of(reference)
        asked = {**wish.model_dump(mode="json"), "grant": grant_id}
        booking = _booking(asker, organization_id, Kind.VOID, key, asked, note=wish.reason)

        async def work(session: WriteSession) -> GrantVoided:
            await self._status_for(session, booking)
            await self.ledger.lock(session, booking)
            now = self.clock.now()  # it may have ended while this one waited for the lock
            grant = await self._living(session, organization_id, grant_id, now)
            held = await self.ledger.journal.reserved_of_grant(session, grant.id)
            if not grant.remaining and not held:
                raise exhausted()
            left = grant.remaining
            postings = moved((Share(grant.id, left),), Account.AVAILABLE, Account.VOIDED) if left else ()

            def answer(_txn_id: str, balance: Balance) -> GrantVoided:
                used = grant.amount - left
                return GrantVoided(voided=left, already_used=used, balance=BalanceModel.of(balance))

            made = await self.ledger.book(session, booking, postings, now, answer)
            ended = {
                "voided_at": now,
                "voided_by": asker.actor.id,
                "void_reason": wish.reason,
                "updated_at": now,
            }
            await self.ledger.credits.update_grant(session, grant.id, ended)
            details = {"grantId": grant.id, "voided": left, "alreadyUsed": made.already_used}
            await self.recorder.record(session, _entry(asker, CREDITS_VOIDED, grant, wish.reason, details))
            return made

        return await self.ledger.once(booking, GrantVoided, work)

    async def change_expiry(
        self, asker: Asker, reference: str, grant_id: str, wish: NewExpiry, *, once: Once | None
    ) -> ExpiryChanged:
        """Let a grant end earlier, later or never; one that ended cannot be revived.

        Raises ConflictError GRANT_EXPIRED, GRANT_ALREADY_VOIDED, TENANT_DELETED, AlreadyDoneError.
        """
        organization_id = await self._id_of(reference)
        async with self.ledger.database.write() as session:
            if once is not None and (before := await self.idempotency.begin(session, once.request)):
                raise AlreadyDoneError(before)
            await self._status(session, organization_id)
            await self.ledger.credits.lock(session, organization_id)
            now = self.clock.now()  # it may have ended, and been booked, while this one waited for the lock
            if wish.expires_at is not None and wish.expires_at <= now:
                raise wrong_field("expiresAt", "NOT_IN_THE_FUTURE", "must lie in the future")
            grant = await self._living(session, organization_id, grant_id, now)
            values = {"expires_at": wish.expires_at, "updated_at": now}
            await self.ledger.credits.update_grant(session, grant.id, values)
            changed = replace(grant, expires_at=wish.expires_at)
            made = ExpiryChanged(grant=GrantModel.of(changed, now))
            if once is not None:
                await self.idempotency.finish(session, once.request, once.answer(made))
            details = {"grantId": grant.id, "from": _text(grant.expires_at), "to": _text(wish.expires_at)}
            entry = _entry(asker, CREDITS_EXPIRY_CHANGED, grant, wish.reason, details)
            await self.recorder.record(session, entry)
        return made

    async def _id_of(self, reference: str) -> str:
        async with self.ledger.database.read() as session:
            return (await named_tenant(self.tenants, session, reference)).id

    async def _status(self, session: WriteSession, organization_id: str) -> TenantStatus:
        """The tenant's state, which stays so until the commit. Raises for one that is deleted."""
        status = await self.ledger.credits.tenant_status(session, organization_id, hold=True)
        if status is None:
            raise tenant_not_found()
        if status is TenantStatus.DELETED:
            raise tenant_deleted()
        return status

    async def _status_for(self, session: WriteSession, booking: Booking) -> TenantStatus:
        """As `_status`; of a deleted tenant what was booked before is still answered as it was.

        Raises AlreadyBookedError for that.
        """
        org = booking.organization_id
        try:
            return await self._status(session, org)
        except ConflictError:
            if await self.ledger.journal.by_key(session, org, booking.key) is not None:
                raise AlreadyBookedError from None
            raise

    async def _living(
        self, session: WriteSession, organization_id: str, grant_id: str, now: datetime
    ) -> Grant:
        grant = None
        if is_id(grant_id, "grant"):
            grant = await self.ledger.credits.grant_of(session, organization_id, grant_id)
        if grant is None:
            raise grant_not_found()
        if grant.voided_at is not None:
            raise already_voided()
        if grant.has_lapsed(now):
            raise grant_expired()
        return grant

    def _check_caps(self, asker: Asker, wish: NewGrant) -> None:
        if wish.replies > self.caps.at_once:
            raise wrong_field("replies", "LESS_THAN_EQUAL", f"must be at most {self.caps.at_once}")
        if asker.identity.role is not Role.SUPER_ADMIN and wish.replies > self.caps.by_support:
            raise above_support_max(self.caps.by_support)

    async def _check_day(self, session: WriteSession, asker: Asker, wish: NewGrant, now: datetime) -> None:
        today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        granted = await self.ledger.credits.granted_since(session, asker.actor.id, today)
        if granted + wish.replies > self.caps.a_day:
            seconds = int((today + timedelta(days=1) - now).total_seconds()) + 1
            raise daily_cap(self.caps.a_day, granted, seconds)

    def _new_grant(self, asker: Asker, organization_id: str, wish: NewGrant, now: datetime) -> Grant:
        expires_at = wish.expires_at
        if wish.expires_in_days is not None:
            expires_at = now + timedelta(days=wish.expires_in_days)
        if expires_at is not None and expires_at <= now:
            raise wrong_field("expiresAt", "NOT_IN_THE_FUTURE", "must lie in the future")
        return Grant(
            id=self.ledger.ids.new("grant"),
            organization_id=organization_id,
            amount=wish.replies,
            remaining=wish.replies,
            category=wish.category,
            source=Source.OPERATOR_GRANT,
            priority=wish.priority,
            effective_at=now,
            expires_at=expires_at,
            reason=wish.reason,
            ticket_ref=wish.ticket_ref,
            granted_by_type=ActorKind.OPERATOR,
            granted_by_id=asker.actor.id,
            granted_by_email=asker.actor.email,
            created_at=now,
            updated_at=now,
        )

    def _granted(self, asker: Asker, grant: Grant, wish: NewGrant) -> AuditEntry:
        large = grant.amount >= self.caps.by_support
        event = replace(CREDITS_GRANTED, severity=Severity.WARNING) if large else CREDITS_GRANTED
        details = {
            "grantId": grant.id,
            "replies": grant.amount,
            "category": grant.category.value,
            "expiresAt": _text(grant.expires_at),
        }
        return replace(_entry(asker, event, grant, wish.reason, details), ticket_ref=wish.ticket_ref)


def _entry(
    asker: Asker, event: EventType, grant: Grant, reason: str, details: Mapping[str, Any]
) -> AuditEntry:
    return AuditEntry(
        event=event,
        actor=asker.actor,
        resource_id=grant.organization_id,
        organization_id=grant.organization_id,
        request_id=asker.request_id,
        ip=asker.ip,
        user_agent=asker.user_agent,
        reason=reason,
        details=details,
    )


def _booking(
    asker: Asker, organization_id: str, kind: Kind, key: str, asked: Mapping[str, Any], *, note: str
) -> Booking:
    return Booking(
        organization_id=organization_id,
        kind=kind,
        # A key counts for one operator: nobody is answered with what another one did.
        key=f"{asker.actor.id} {key}",
        request_hash=hash_of({**asked, "kind": kind.value}),
        actor_type=ActorKind.OPERATOR,
        actor_id=asker.actor.id,
        note=note,
    )


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""
