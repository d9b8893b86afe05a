"""Every operation of the ledger in any order, with retries, against a model that is a few dictionaries."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service_kit.errors import ConflictError
from tenant_service.billing.credits.ledger import Booked
from tenant_service.billing.credits.models import Balance
from tenant_service.billing.credits.runtime_schemas import Hold, Moved, Remark, Use
from tenant_service.billing.credits.schemas import NewExpiry, NewGrant, VoidGrant
from tests.integration.tenant_service.billing.ledger_house import REASON, LedgerHouse, ledger_house
from tests.integration.tenant_service.tenant_process import asker

T = TypeVar("T")
Shares = dict[str, int]


@dataclass
class ModelGrant:
    """What the model knows of a grant."""

    priority: int
    expires_at: datetime | None
    age: int
    available: int
    reserved: int = 0
    used: int = 0
    expired: int = 0
    voided: int = 0
    is_void: bool = False


@dataclass
class Held:
    shares: Shares
    expires_at: datetime
    state: str = "held"


@dataclass
class Model:
    """The ledger as it ought to be."""

    grants: dict[str, ModelGrant] = field(default_factory=dict)
    uses: dict[str, Shares] = field(default_factory=dict)
    restored: set[str] = field(default_factory=set)
    held: dict[str, Held] = field(default_factory=dict)

    def balance(self) -> Balance:
        every = list(self.grants.values())
        names = ("reserved", "used", "expired", "voided")
        parts = {name: sum(getattr(grant, name) for grant in every) for name in names}
        remaining = sum(grant.available for grant in every)
        return Balance(remaining=remaining, granted=remaining + sum(parts.values()), **parts)

    def spendable(self, now: datetime) -> list[tuple[str, ModelGrant]]:
        """Priority, then expiry (never is last), then age."""
        far = now + timedelta(days=36500)
        lives = [
            (grant_id, grant)
            for grant_id, grant in self.grants.items()
            if grant.available and (grant.expires_at is None or grant.expires_at > now)
        ]
        return sorted(lives, key=lambda item: (item[1].priority, item[1].expires_at or far, item[1].age))

    def take(self, amount: int, now: datetime, into: str) -> Shares | None:
        lives = self.spendable(now)
        if sum(grant.available for _, grant in lives) < amount:
            return None
        shares: Shares = {}
        for grant_id, grant in lives:
            given = min(grant.available, amount - sum(shares.values()))
            if given:
                grant.available -= given
                setattr(grant, into, getattr(grant, into) + given)
                shares[grant_id] = given
        return shares

    def give_back(self, shares: Shares, source: str, now: datetime) -> None:
        for grant_id, amount in shares.items():
            grant = self.grants[grant_id]
            setattr(grant, source, getattr(grant, source) - amount)
            ended = grant.expires_at is not None and grant.expires_at <= now
            target = "voided" if grant.is_void else "expired" if ended else "available"
            setattr(grant, target, getattr(grant, target) + amount)


_GRANTS = st.tuples(st.integers(1, 40), st.integers(0, 2), st.none() | st.integers(1, 6))


class LedgerMachine(RuleBasedStateMachine):
    """One tenant; each rule does one operation, often twice with the same key."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = ledger_house(self.url)
        self.house: LedgerHouse = self.run(self.context.__aenter__())
        self.tenant = self.run(self.house.tenant(f"t{self.house.parts.ids.new('x')[-20:].lower()}"))
        self.model, self.keys = Model(), 0

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        # The next example's jobs must find nothing of this one.
        later = self.now + timedelta(days=3650)
        self.run(self.house.parts.jobs.release_expired_reservations(later, 1000))
        self.run(self.house.parts.jobs.expire_grants(later, 1000))
        self.run(self.context.__aexit__(None, None, None))
        self.runner.close()

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    def key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def twice(self, again: bool, ask: Callable[[], Any]) -> Any:
        """Ask, and where the caller retries, ask once more: the same answer, and nothing more happens."""
        first: Booked[Any] = self.run(ask())
        if again:
            second = self.run(ask())
            assert second.replayed
            assert second.answer == first.answer
        return first.answer

    def refused(self, work: Any) -> str:
        with pytest.raises(ConflictError) as refusal:
            self.run(work)
        return refusal.value.code

    @initialize(grants=st.lists(_GRANTS, min_size=3, max_size=6))
    def some_grants(self, grants: list[tuple[int, int, int | None]]) -> None:
        """Begin with something to use, so that its order matters from the first use on."""
        for amount, priority, hours in grants:
            self.grant(amount, priority, hours, again=False)

    @rule(
        amount=st.integers(1, 40),
        priority=st.integers(0, 2),
        hours=st.none() | st.integers(1, 6),
        again=st.booleans(),
    )
    def grant(self, amount: int, priority: int, hours: int | None, again: bool) -> None:
        expires = self.now + timedelta(hours=hours) if hours else None
        wish = NewGrant(replies=amount, reason=REASON, priority=priority, expires_at=expires)
        key = self.key()
        grants = self.house.parts.grants
        made = self.twice(again, lambda: grants.grant(asker(), self.tenant, wish, key=key))
        age = len(self.model.grants)
        self.model.grants[made.grant.id] = ModelGrant(priority, expires, age, available=amount)

    @rule(amount=st.integers(1, 50), again=st.booleans())
    def consume(self, amount: int, again: bool) -> None:
        wish, key, runtime = Use(amount=amount), self.key(), self.house.parts.runtime
        shares = self.model.take(amount, self.now, "used")
        if shares is None:
            assert self.refused(runtime.consume("r", self.tenant, wish, key=key)) == "INSUFFICIENT_CREDITS"
            return
        used = self.twice(again, lambda: runtime.consume("r", self.tenant, wish, key=key))
        assert shares_in(used) == shares
        self.model.uses[used.txn_id] = shares

    @rule(amount=st.integers(1, 30), minutes=st.integers(1, 90), again=st.booleans())
    def reserve(self, amount: int, minutes: int, again: bool) -> None:
        wish, key = Hold(amount=amount, ttl_seconds=60 * minutes), self.key()
        runtime = self.house.parts.runtime
        shares = self.model.take(amount, self.now, "reserved")
        if shares is None:
            assert self.refused(runtime.reserve("r", self.tenant, wish, key=key)) == "INSUFFICIENT_CREDITS"
            return
        made = self.twice(again, lambda: runtime.reserve("r", self.tenant, wish, key=key))
        assert shares_in(made) == shares
        self.model.held[made.reservation_id] = Held(shares, self.now + timedelta(minutes=minutes))

    @precondition(lambda self: self.model.held)
    @rule(data=st.data(), commit=st.booleans(), again=st.booleans())
    def settle(self, data: st.DataObject, commit: bool, again: bool) -> None:
        """Commit or release any reservation, also one that is over."""
        reservation = data.draw(st.sampled_from(sorted(self.model.held)))
        held, runtime = self.model.held[reservation], self.house.parts.runtime
        ask = runtime.commit_reservation if commit else runtime.release
        key = self.key()
        work = partial(ask, "r", self.tenant, reservation, Remark(), key=key)
        if held.state != "held":
            assert self.refused(work()) == "RESERVATION_NOT_HELD"
            return
        if commit and held.expires_at <= self.now:
            assert self.refused(work()) == "RESERVATION_EXPIRED"
            return
        moved = self.twice(again, work)
        assert shares_in(moved) == held.shares
        held.state = "committed" if commit else "released"
        if commit:
            for grant_id, amount in held.shares.items():
                self.model.grants[grant_id].reserved -= amount
                self.model.grants[grant_id].used += amount
            self.model.uses[moved.txn_id] = held.shares
        else:
            self.model.give_back(held.shares, "reserved", self.now)

    @precondition(lambda self: self.model.uses)
    @rule(data=st.data(), again=st.booleans())
    def restore(self, data: st.DataObject, again: bool) -> None:
        txn = data.draw(st.sampled_from(sorted(self.model.uses)))
        key, runtime = self.key(), self.house.parts.runtime
        work = partial(runtime.restore, "r", self.tenant, txn, Remark(), key=key)
        if txn in self.model.restored:
            assert self.refused(work()) == "TXN_ALREADY_RESTORED"
            return
        restored: Moved = self.twice(again, work)
        assert shares_in(restored) == self.model.uses[txn]
        for allocation in restored.allocations:
            assert allocation.expires_at == self.model.grants[allocation.grant_id].expires_at
        self.model.restored.add(txn)
        self.model.give_back(self.model.uses[txn], "used", self.now)

    @precondition(lambda self: self.model.grants)
    @rule(data=st.data(), again=st.booleans())
    def void(self, data: st.DataObject, again: bool) -> None:
        grant_id = data.draw(st.sampled_from(sorted(self.model.grants)))
        grant, key, grants = self.model.grants[grant_id], self.key(), self.house.parts.grants
        work = partial(grants.void, asker(), self.tenant, grant_id, VoidGrant(reason=REASON), key=key)
        refusal = self._why_no_change(grant)
        if refusal is None and not grant.available and not grant.reserved:
            refusal = "GRANT_EXHAUSTED"
        if refusal is not None:
            assert self.refused(work()) == refusal
            return
        voided = self.twice(again, work)
        assert (voided.voided, voided.already_used) == (grant.available, grant.used + grant.reserved)
        grant.voided, grant.available, grant.is_void = grant.voided + grant.available, 0, True

    @precondition(lambda self: self.model.grants)
    @rule(data=st.data(), hours=st.none() | st.integers(1, 6))
    def change_expiry(self, data: st.DataObject, hours: int | None) -> None:
        grant_id = data.draw(st.sampled_from(sorted(self.model.grants)))
        grant = self.model.grants[grant_id]
        expires = self.now + timedelta(hours=hours) if hours else None
        wish = NewExpiry(expires_at=expires, reason=REASON)
        work = self.house.parts.grants.change_expiry(asker(), self.tenant, grant_id, wish, once=None)
        refusal = self._why_no_change(grant)
        if refusal is not None:
            assert self.refused(work) == refusal
            return
        self.run(work)
        grant.expires_at = expires

    @rule(minutes=st.integers(1, 200))
    def time_passes(self, minutes: int) -> None:
        self.house.clock.advance(60 * minutes)

    @rule()
    def jobs_run(self) -> None:
        jobs = self.house.parts.jobs
        lapsed = [grant for grant in self.model.grants.values() if grant.available and self._lapsed(grant)]
        assert self.run(jobs.expire_grants(self.now, 100)) == len(lapsed)
        for grant in lapsed:
            grant.expired, grant.available = grant.expired + grant.available, 0
        overdue = [
            held for held in self.model.held.values() if held.state == "held" and held.expires_at <= self.now
        ]
        assert self.run(jobs.release_expired_reservations(self.now, 100)) == len(overdue)
        for held in overdue:
            held.state = "expired"
            self.model.give_back(held.shares, "reserved", self.now)

    @invariant()
    def totals_are_those_of_the_model(self) -> None:
        assert self.run(self.house.balance(self.tenant)) == self.model.balance()

    @invariant()
    def the_ledger_adds_up(self) -> None:
        _count, mismatches = self.run(self.house.parts.verifier.verify_tenant(self.tenant))
        assert mismatches == ()

    def _lapsed(self, grant: ModelGrant) -> bool:
        return grant.expires_at is not None and grant.expires_at <= self.now

    def _why_no_change(self, grant: ModelGrant) -> str | None:
        if grant.is_void:
            return "GRANT_ALREADY_VOIDED"
        return "GRANT_EXPIRED" if self._lapsed(grant) else None


def shares_in(answer: Any) -> Shares:
    return {each.grant_id: each.amount for each in answer.allocations}


@pytest.mark.parametrize("rounds", [8])
def test_any_order_of_operations_keeps_the_books(database_url: str, rounds: int) -> None:
    """R-022, R-023, G-12, G-13: every operation of the ledger in any order, also sent twice.

    Postings sum to zero, the totals are those of the ledger, nothing is ever negative, grants are used in
    burn order, and what is restored keeps the expiry of the grant that it came from.
    """

    class OnThisDatabase(LedgerMachine):
        url = database_url

    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=rounds,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
