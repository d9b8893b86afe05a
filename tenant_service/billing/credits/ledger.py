"""The one place where credit moves: totals, grants, transaction and postings together, or none of them.

It decides nothing about who may and whether there is enough; it makes sure that a request moves credit
once, however often it is sent (the key is unique in the ledger itself), and that nothing is written that
does not sum to zero.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from service_kit.db.session import Database, WriteSession
from service_kit.ids import IdFactory
from service_kit.web.schemas import ApiModel
from tenant_service.billing.closed_sets import Account
from tenant_service.billing.credits.errors import AlreadyBookedError, key_reused
from tenant_service.billing.credits.journal import Journal
from tenant_service.billing.credits.models import Balance, Booking, Posting
from tenant_service.billing.credits.postings import changes_of, grant_changes_of, require_balanced
from tenant_service.billing.credits.repository import CreditRepository

_TRIES: Final = 3

M = TypeVar("M", bound=ApiModel)


@dataclass(frozen=True, slots=True)
class Booked(Generic[M]):
    """What a request came to, and whether it did so before."""

    answer: M
    replayed: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """Writes transactions, and gives the stored answer of those that were written before."""

    database: Database
    credits: CreditRepository
    journal: Journal
    ids: IdFactory

    async def once(
        self, booking: Booking, answers: type[M], work: Callable[[WriteSession], Awaitable[M]]
    ) -> Booked[M]:
        """Do the work in a transaction of its own, unless its key is taken; then what it came to before.

        The work raises AlreadyBookedError where it finds the key taken; nothing of it is kept then.
        Raises UnprocessableError `IDEMPOTENCY_KEY_REUSED` when the key was used for something else.
        """
        for _ in range(_TRIES):
            try:
                async with self.database.write() as session:
                    return Booked(await work(session), replayed=False)
            except AlreadyBookedError:
                before = await self._before(booking, answers)
            if before is not None:
                return before
        raise RuntimeError("a key was taken by a transaction that is not there")

    async def lock(self, session: WriteSession, booking: Booking) -> Balance:
        """The totals of the tenant under its lock; zero for one without an account.

        Raises AlreadyBookedError when the key is taken.
        """
        balance = await self.credits.lock(session, booking.organization_id)
        if await self.journal.by_key(session, booking.organization_id, booking.key) is not None:
            raise AlreadyBookedError
        return balance or Balance()

    async def book(
        self,
        session: WriteSession,
        booking: Booking,
        postings: Sequence[Posting],
        now: datetime,
        answer: Callable[[str, Balance], M],
        *,
        taken: Balance | None = None,
    ) -> M:
        """Write a transaction under the account's lock; the answer that is kept with it.

        `taken` are the totals where a guarded statement has moved them already.
        """
        require_balanced(postings)
        changes = changes_of(postings)
        balance = taken or await self.credits.change(session, booking.organization_id, changes, now)
        txn_id = self.ids.new("txn")
        answered = answer(txn_id, balance)
        stored: dict[str, Any] = answered.model_dump(mode="json", by_alias=True)
        if not await self.journal.add(session, txn_id, booking, stored, now):
            raise AlreadyBookedError
        await self.credits.change_grants(session, grant_changes_of(postings), now)
        numbered = self._numbered(postings, balance.remaining - changes[Account.AVAILABLE])
        await self.journal.add_postings(session, txn_id, booking.organization_id, numbered)
        return answered

    def _numbered(
        self, postings: Sequence[Posting], available: int
    ) -> Sequence[tuple[str, Posting, int | None]]:
        """Each posting with its id, and those of `available` with the balance after them."""
        rows: list[tuple[str, Posting, int | None]] = []
        # What leaves for good is written after what came back, so no balance is ever below zero.
        for posting in postings:
            balance = None
            if posting.account is Account.AVAILABLE:
                available += posting.amount
                balance = available
            rows.append((self.ids.new("led"), posting, balance))
        return rows

    async def _before(self, booking: Booking, answers: type[M]) -> Booked[M] | None:
        async with self.database.read() as session:
            found = await self.journal.by_key(session, booking.organization_id, booking.key)
        if found is None:
            return None
        if found.request_hash != booking.request_hash or found.kind is not booking.kind:
            raise key_reused()
        return Booked(answers.model_validate_json(json.dumps(dict(found.answer))), replayed=True)
