"""The jobs of the ledger: booking what has expired, and giving back what was reserved for too long.

Each reservation and each state of a grant is a transaction of its own, with a key of its own: two runs at
once, or one that was broken off, book nothing twice. A client's key holds no blank, so no client can take
these keys.
"""

from dataclasses import dataclass
from datetime import datetime

from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.db.session import WriteSession
from service_kit.errors import ConflictError
from service_kit.web.schemas import ApiModel
from tenant_service.billing.closed_sets import Account, ActorKind, Kind, ReservationState
from tenant_service.billing.credits.ledger import Ledger
from tenant_service.billing.credits.models import Balance, Booking, Grant, Reservation, Share
from tenant_service.billing.credits.postings import moved
from tenant_service.billing.credits.runtime import RuntimeCredits
from tenant_service.billing_events import CREDITS_EXPIRED
from tenant_service.recording import Recorder


class _Expired(ApiModel):
    grant_id: str
    amount: int


class _NothingLeftError(Exception):
    """Somebody used the rest, or moved the expiry, while the job was on its way."""


@dataclass(frozen=True, slots=True)
class CreditJobs:
    """What runs by the clock. Both jobs may run on several replicas at a time."""

    ledger: Ledger
    runtime: RuntimeCredits
    recorder: Recorder

    async def expire_grants(self, now: datetime, limit: int) -> int:
        """Book what is left of at most `limit` grants that have ended; how many it was."""
        async with self.ledger.database.read() as session:
            found = await self.ledger.credits.lapsed(session, now, limit=limit)
        return sum([await self._expire(grant, now) for grant in found])

    async def release_expired_reservations(self, now: datetime, limit: int) -> int:
        """Give back at most `limit` reservations that nobody committed in time; how many it was."""
        async with self.ledger.database.read() as session:
            found = await self.ledger.credits.overdue(session, now, limit=limit)
        return sum([await self._release(reservation) for reservation in found])

    async def _expire(self, grant: Grant, now: datetime) -> bool:
        # What is given back by a clock that is late is left again, and ends again: every movement of a grant
        # raises its version, so what was found once is booked once, and what came since has a key too.
        booking = _booking(grant.organization_id, Kind.EXPIRE, f"expire {grant.id} {grant.version}")

        async def work(session: WriteSession) -> _Expired:
            await self.ledger.lock(session, booking)
            current = await self.ledger.credits.grant_of(session, grant.organization_id, grant.id)
            if current is None or not current.remaining or not current.has_lapsed(now):
                raise _NothingLeftError
            left = current.remaining

            def answer(_txn_id: str, _balance: Balance) -> _Expired:
                return _Expired(grant_id=grant.id, amount=left)

            postings = moved((Share(grant.id, left),), Account.AVAILABLE, Account.EXPIRED)
            made = await self.ledger.book(session, booking, postings, now, answer)
            await self.recorder.record(session, _entry(grant, left))
            return made

        try:
            return not (await self.ledger.once(booking, _Expired, work)).replayed
        except _NothingLeftError:
            return False

    async def _release(self, held: Reservation) -> bool:
        booking = _booking(held.organization_id, Kind.RELEASE, f"overdue {held.id}")
        try:
            booked = await self.runtime.let_go(booking, held.id, ReservationState.EXPIRED)
        except ConflictError:  # committed or released a moment before
            return False
        return not booked.replayed


def _booking(organization_id: str, kind: Kind, key: str) -> Booking:
    return Booking(
        organization_id=organization_id,
        kind=kind,
        key=f"system {key}",
        request_hash=key,
        actor_type=ActorKind.SYSTEM,
        actor_id="system",
    )


def _entry(grant: Grant, left: int) -> AuditEntry:
    return AuditEntry(
        event=CREDITS_EXPIRED,
        actor=SYSTEM,
        resource_id=grant.organization_id,
        organization_id=grant.organization_id,
        details={"grantId": grant.id, "expired": left},
    )
