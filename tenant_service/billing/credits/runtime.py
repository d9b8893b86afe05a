"""What the product's runtime does with credit: consume, reserve, commit, release and restore (G-13).

No audit row is written here: the ledger is the record (data-model 2.6). Consume and reserve are refused
for a suspended or deleted tenant; what was begun before may be finished or given back in any state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from service_kit.clock import Clock
from service_kit.db.session import WriteSession
from service_kit.errors import ProblemError
from service_kit.ids import is_id
from service_kit.web.idempotency import hash_of
from tenant_service.billing.closed_sets import Account, ActorKind, Kind, ReservationState
from tenant_service.billing.credits.errors import (
    AlreadyBookedError,
    already_restored,
    insufficient,
    not_held,
    not_restorable,
    reservation_expired,
    reservation_not_found,
    tenant_deleted,
    tenant_not_found,
    tenant_suspended,
    txn_not_found,
)
from tenant_service.billing.credits.ledger import Booked, Ledger
from tenant_service.billing.credits.models import Balance, Booking, Grant, Posting, Reservation, Share
from tenant_service.billing.credits.postings import burned, moved, returned, shares_of, total
from tenant_service.billing.credits.runtime_schemas import (
    BalanceModel,
    Hold,
    Moved,
    Remark,
    Reserved,
    Use,
    allocations,
)
from tenant_service.tenants.models import TenantStatus

RESERVATION_LIFETIME: Final = timedelta(minutes=15)
_GRANTS_AT_A_TIME: Final = 50
_RESTORABLE: Final = frozenset({Kind.CONSUME, Kind.COMMIT})


@dataclass(frozen=True, slots=True)
class Spent:
    """What a guarded statement took, and from which grants."""

    balance: Balance
    shares: tuple[Share, ...]
    grants: Mapping[str, Grant]


@dataclass(frozen=True, slots=True)
class RuntimeCredits:
    """The operations of the runtime. `runtime` names the process that asks, for the ledger."""

    ledger: Ledger
    clock: Clock
    lifetime: timedelta = RESERVATION_LIFETIME

    async def consume(self, runtime: str, organization_id: str, wish: Use, *, key: str) -> Booked[Moved]:
        """Spend credit now. Raises ConflictError INSUFFICIENT_CREDITS, TENANT_SUSPENDED, TENANT_DELETED."""
        booking = _booking(
            runtime, organization_id, Kind.CONSUME, key, {"amount": wish.amount}, note=wish.reference
        )
        now = self.clock.now()

        async def work(session: WriteSession) -> Moved:
            spent = await self._spend(session, booking, wish.amount, Account.CONSUMED, now)

            def answer(txn_id: str, balance: Balance) -> Moved:
                return _moved(txn_id, balance, spent.shares, spent.grants)

            postings = moved(spent.shares, Account.AVAILABLE, Account.CONSUMED)
            return await self.ledger.book(session, booking, postings, now, answer, taken=spent.balance)

        return await self.ledger.once(booking, Moved, work)

    async def reserve(self, runtime: str, organization_id: str, wish: Hold, *, key: str) -> Booked[Reserved]:
        """Hold credit for work that may fail; it comes back by itself. Raises as `consume` does."""
        lasts = timedelta(seconds=wish.ttl_seconds) if wish.ttl_seconds else self.lifetime
        asked = {"amount": wish.amount, "ttlSeconds": wish.ttl_seconds}
        booking = _booking(runtime, organization_id, Kind.RESERVE, key, asked, note=wish.reference)
        now, reservation_id = self.clock.now(), self.ledger.ids.new("res")

        async def work(session: WriteSession) -> Reserved:
            spent = await self._spend(session, booking, wish.amount, Account.RESERVED, now)

            def answer(txn_id: str, balance: Balance) -> Reserved:
                return Reserved(
                    reservation_id=reservation_id,
                    txn_id=txn_id,
                    amount=wish.amount,
                    expires_at=now + lasts,
                    balance=BalanceModel.of(balance),
                    allocations=allocations(spent.shares, spent.grants),
                )

            postings = moved(spent.shares, Account.AVAILABLE, Account.RESERVED)
            made = await self.ledger.book(session, booking, postings, now, answer, taken=spent.balance)
            held = Reservation(
                reservation_id, organization_id, wish.amount, ReservationState.HELD, now + lasts, made.txn_id
            )
            await self.ledger.credits.add_reservation(session, held, now)
            return made

        return await self.ledger.once(booking, Reserved, work)

    async def commit_reservation(
        self, runtime: str, organization_id: str, reservation_id: str, remark: Remark, *, key: str | None
    ) -> Booked[Moved]:
        """Spend what was held. Raises ConflictError RESERVATION_NOT_HELD, RESERVATION_EXPIRED."""
        booking = _settling(runtime, organization_id, Kind.COMMIT, reservation_id, remark=remark, key=key)
        now = self.clock.now()

        async def work(session: WriteSession) -> Moved:
            await self.ledger.lock(session, booking)
            held = await self._held(session, organization_id, reservation_id)
            if held.expires_at <= now:
                raise reservation_expired(held.expires_at)
            shares = await self._shares(session, held.txn_id, Account.RESERVED)
            grants = await self._grants(session, shares)
            await self.ledger.credits.end_reservation(session, held.id, ReservationState.COMMITTED, now)

            def answer(txn_id: str, balance: Balance) -> Moved:
                return _moved(txn_id, balance, shares, grants)

            postings = moved(shares, Account.RESERVED, Account.CONSUMED)
            return await self.ledger.book(session, booking, postings, now, answer)

        return await self.ledger.once(booking, Moved, work)

    async def release(
        self, runtime: str, organization_id: str, reservation_id: str, remark: Remark, *, key: str | None
    ) -> Booked[Moved]:
        """Give back what was held. Raises ConflictError RESERVATION_NOT_HELD."""
        booking = _settling(runtime, organization_id, Kind.RELEASE, reservation_id, remark=remark, key=key)
        return await self.let_go(booking, reservation_id, ReservationState.RELEASED)

    async def let_go(self, booking: Booking, reservation_id: str, state: ReservationState) -> Booked[Moved]:
        """End a reservation without a use, for the runtime or for the job that ends overdue ones."""

        async def work(session: WriteSession) -> Moved:
            await self.ledger.lock(session, booking)
            now = self.clock.now()  # a grant may have ended while this one waited for the lock
            held = await self._held(session, booking.organization_id, reservation_id)
            shares = await self._shares(session, held.txn_id, Account.RESERVED)
            await self.ledger.credits.end_reservation(session, held.id, state, now)
            return await self._give_back(session, booking, shares, Account.RESERVED, now)

        return await self.ledger.once(booking, Moved, work)

    async def restore(
        self, runtime: str, organization_id: str, txn_id: str, remark: Remark, *, key: str | None
    ) -> Booked[Moved]:
        """Undo a use, once, to the grants that paid for it and with the expiry that they have.

        Raises ConflictError TXN_NOT_RESTORABLE, TXN_ALREADY_RESTORED.
        """
        booking = _settling(
            runtime, organization_id, Kind.RESTORE, txn_id, remark=remark, key=key, reverses=txn_id
        )

        async def work(session: WriteSession) -> Moved:
            await self.ledger.lock(session, booking)
            now = self.clock.now()  # as above
            txn = await self.ledger.journal.by_id(session, organization_id, txn_id)
            if txn is None:
                raise txn_not_found()
            if txn.kind not in _RESTORABLE:
                raise not_restorable(txn.kind.value)
            reversal = await self.ledger.journal.reversal_of(session, txn_id)
            if reversal is not None:
                raise already_restored(reversal.id)
            # The recorded postings decide, not today's priorities: exactly what paid gets back what it paid.
            shares = await self._shares(session, txn_id, Account.CONSUMED)
            return await self._give_back(session, booking, shares, Account.CONSUMED, now)

        return await self.ledger.once(booking, Moved, work)

    async def _spend(
        self, session: WriteSession, booking: Booking, amount: int, target: Account, now: datetime
    ) -> Spent:
        """Take credit from the account and find the grants that pay."""
        accounts, org = self.ledger.credits, booking.organization_id
        changes = {Account.AVAILABLE: -amount, target: amount}
        balance = await accounts.take(session, org, booking.key, changes, now)
        if balance is None:
            raise await self._why_not(session, booking, amount, now)
        shares: tuple[Share, ...] = ()
        grants: dict[str, Grant] = {}
        while (missing := amount - total(shares)) > 0:
            found = await accounts.spendable(session, org, now, limit=_GRANTS_AT_A_TIME, skip=[*grants])
            if not found:  # the totals count what has lapsed since the job last came by; it cannot be spent
                raise insufficient(amount, total(shares))
            grants.update({grant.id: grant for grant in found})
            shares += burned(found, missing)
        return Spent(balance, shares, grants)

    async def _why_not(
        self, session: WriteSession, booking: Booking, amount: int, now: datetime
    ) -> ProblemError | AlreadyBookedError:
        """Which condition of the guarded statement did not hold."""
        org = booking.organization_id
        # Whoever was first may have committed while this one waited for the account.
        if await self.ledger.journal.by_key(session, org, booking.key) is not None:
            return AlreadyBookedError()
        status = await self.ledger.credits.tenant_status(session, org)
        if status is TenantStatus.ACTIVE:
            return insufficient(amount, await self.ledger.credits.spendable_sum(session, org, now))
        if status is None:
            return tenant_not_found()
        return tenant_deleted() if status is TenantStatus.DELETED else tenant_suspended()

    async def _held(self, session: WriteSession, organization_id: str, reservation_id: str) -> Reservation:
        found = await self.ledger.credits.reservation(session, organization_id, reservation_id)
        if found is None:
            raise reservation_not_found()
        if found.state is not ReservationState.HELD:
            raise not_held(found.state.value)
        return found

    async def _shares(self, session: WriteSession, txn_id: str, account: Account) -> tuple[Share, ...]:
        return shares_of(await self.ledger.journal.postings_of(session, txn_id), account)

    async def _grants(self, session: WriteSession, shares: Sequence[Share]) -> Mapping[str, Grant]:
        return await self.ledger.credits.grants_by_id(session, [share.grant_id for share in shares])

    async def _give_back(
        self,
        session: WriteSession,
        booking: Booking,
        shares: tuple[Share, ...],
        source: Account,
        now: datetime,
    ) -> Moved:
        grants = await self._grants(session, shares)
        ended = {grant.id: end for grant in grants.values() if (end := _end_of(grant, now)) is not None}
        postings: Sequence[Posting] = returned(shares, source, ended)
        lost = sum(share.amount for share in shares if share.grant_id in ended)

        def answer(txn_id: str, balance: Balance) -> Moved:
            return _moved(txn_id, balance, shares, grants, ended=lost)

        return await self.ledger.book(session, booking, postings, now, answer)


def _end_of(grant: Grant, now: datetime) -> Account | None:
    """Where credit of a grant that ended goes; None while it lives."""
    if grant.voided_at is not None:
        return Account.VOIDED
    return Account.EXPIRED if grant.has_lapsed(now) else None


def _moved(
    txn_id: str, balance: Balance, shares: Sequence[Share], grants: Mapping[str, Grant], *, ended: int = 0
) -> Moved:
    return Moved(
        txn_id=txn_id,
        amount=total(shares),
        ended=ended,
        balance=BalanceModel.of(balance),
        allocations=allocations(shares, grants),
    )


def _booking(
    runtime: str, organization_id: str, kind: Kind, key: str, asked: Mapping[str, object], *, note: str = ""
) -> Booking:
    return Booking(
        organization_id=organization_id,
        kind=kind,
        # One name space for all processes of the runtime: any of them may retry what another one began.
        key=f"runtime {key}",
        request_hash=hash_of({**asked, "kind": kind.value, "reference": note}),
        actor_type=ActorKind.RUNTIME,
        actor_id=runtime,
        note=note,
    )


def _settling(
    runtime: str,
    organization_id: str,
    kind: Kind,
    subject: str,
    *,
    remark: Remark,
    key: str | None,
    reverses: str | None = None,
) -> Booking:
    """What ends something that was begun: it can happen once, so without a key that is its key.

    Raises NotFoundError for what has not the shape of an id: nothing else reaches the database.
    """
    of_txn = kind is Kind.RESTORE
    if not is_id(subject, "txn" if of_txn else "res"):
        raise txn_not_found() if of_txn else reservation_not_found()
    return replace(
        _booking(runtime, organization_id, kind, key or f"{kind.value} {subject}", {"of": subject}),
        note=remark.reference,
        reverses=reverses,
    )
