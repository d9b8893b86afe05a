"""Many at once: credit is used exactly as often as it is there, and one key has one effect."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from service_kit.db.session import ReadSession, WriteSession
from service_kit.errors import ConflictError, ForbiddenError, UnprocessableError
from service_kit.identity.model import Role
from tenant_service.billing.credits.models import Balance
from tenant_service.billing.credits.repository import CreditRepository
from tenant_service.billing.credits.runtime_schemas import Hold, Remark, Use
from tenant_service.billing.credits.schemas import NewExpiry, NewGrant, VoidGrant
from tenant_service.billing.credits.service import Caps
from tenant_service.billing.credits.verifying import LedgerVerifier
from tests.integration.tenant_service.billing.ledger_house import REASON, LedgerHouse, ledger_house
from tests.integration.tenant_service.tenant_process import asker


async def settled(house: LedgerHouse, tenant: str) -> None:
    """Nothing of the ledger of this tenant fails to add up."""
    _count, mismatches = await house.parts.verifier.verify_tenant(tenant)
    assert mismatches == ()


async def test_exactly_as_many_consumers_succeed_as_there_is_credit(house: LedgerHouse) -> None:
    """G-13: 64 consumers at once on one account with credit for 20: 20 succeed, 44 hear 409, none is lost."""
    tenant = await house.tenant()
    for replies in (7, 33):
        await house.grant(tenant, replies)

    async def consume(number: int) -> str:
        try:
            await house.parts.runtime.consume("r", tenant, Use(amount=2), key=f"use-{number}")
        except ConflictError as error:
            return error.code
        return "used"

    outcomes = await asyncio.gather(*(consume(number) for number in range(64)))

    assert (outcomes.count("used"), outcomes.count("INSUFFICIENT_CREDITS")) == (20, 44)
    balance = await house.balance(tenant)
    assert (balance.remaining, balance.used) == (0, 40)
    await settled(house, tenant)


async def test_a_proof_waits_for_nobody(house: LedgerHouse) -> None:
    """G-13: it needs no lock, whatever it finds: it reads one moment."""
    tenant = await house.tenant()
    await house.grant(tenant, 7)
    await house.sql("UPDATE billing_accounts SET replies_used = 1, replies_remaining = 6")

    async with house.database.write() as session:
        await house.parts.credits.lock(session, tenant)
        async with asyncio.timeout(20):  # tests wait for a lock for longer
            _count, mismatches = await house.parts.verifier.verify_tenant(tenant)

    assert [one.what for one in mismatches] == ["replies_remaining", "replies_used"]


async def test_a_change_in_the_middle_of_a_proof_is_no_mismatch(
    house: LedgerHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G-13: credit is used between the postings and the totals."""
    tenant = await house.tenant()
    await house.grant(tenant, 7)
    whole, used = LedgerVerifier._unbalanced, list[int]()

    async def late(self: LedgerVerifier, session: ReadSession, organization_id: str) -> Any:
        made = await house.parts.runtime.consume("r", tenant, Use(amount=2), key="u")
        used.append(made.answer.balance.used)
        return await whole(self, session, organization_id)

    monkeypatch.setattr(LedgerVerifier, "_unbalanced", late)
    verified = await house.parts.verifier.verify_tenant(tenant)

    assert used == [2]
    assert verified == (2, ())


async def test_one_key_has_one_effect_and_one_answer(house: LedgerHouse) -> None:
    """G-12, G-13: the same key 50 times at once consumes once and answers 50 times the same."""
    tenant = await house.tenant()
    await house.grant(tenant, 10)
    runtime = house.parts.runtime

    # With credit for more, and then with credit for exactly one: a repeat must not be told that it lacks any.
    for key, amount in (("some", 3), ("all", 7)):
        wish = Use(amount=amount, reference="one reply")
        booked = await asyncio.gather(
            *(runtime.consume(f"worker-{number}", tenant, wish, key=key) for number in range(50))
        )
        assert len({each.answer.model_dump_json() for each in booked}) == 1
        assert sorted(each.replayed for each in booked) == [False] + [True] * 49
    assert (await house.balance(tenant)).used == 10
    await settled(house, tenant)


async def test_a_double_click_on_grant_grants_once(house: LedgerHouse) -> None:
    """R-023, G-12: the same grant 20 times at once, to a tenant without an account, is one grant."""
    tenant = await house.tenant()

    made = await asyncio.gather(*(house.grant(tenant, 5, key="click") for _ in range(20)))

    assert len({each.grant.id for each in made}) == 1
    assert (await house.balance(tenant)).granted == 5
    rows = await house.rows("SELECT scope FROM audit_events WHERE event = 'billing.credits.granted'")
    assert sorted(row["scope"] for row in rows) == ["global", "tenant"]


async def test_a_key_is_good_for_one_request_alone(sqlite_house: LedgerHouse) -> None:
    """G-12: a key with another amount, or for another operation, is refused and moves nothing."""
    tenant = await sqlite_house.tenant()
    await sqlite_house.grant(tenant, 9)
    runtime = sqlite_house.parts.runtime
    await runtime.consume("r", tenant, Use(amount=1), key="k")

    refused = []
    for work in (
        runtime.consume("r", tenant, Use(amount=2), key="k"),
        runtime.reserve("r", tenant, Hold(amount=1), key="k"),
    ):
        try:
            await work
        except UnprocessableError as error:
            refused.append(error.code)

    assert refused == ["IDEMPOTENCY_KEY_REUSED"] * 2
    assert (await sqlite_house.balance(tenant)).remaining == 8


async def test_the_same_key_of_somebody_else_is_another_key(sqlite_house: LedgerHouse) -> None:
    """G-12: keys of operators, of the runtime and of other tenants do not meet."""
    tenant, other = await sqlite_house.tenant(), await sqlite_house.tenant("other")
    await sqlite_house.grant(tenant, 5, key="k")
    await sqlite_house.grant(other, 6, key="k")
    await sqlite_house.parts.runtime.consume("r", tenant, Use(amount=1), key="k")

    assert (await sqlite_house.balance(tenant)).remaining == 4
    assert (await sqlite_house.balance(other)).remaining == 6


async def test_a_reservation_is_settled_once(house: LedgerHouse) -> None:
    """G-13: commit, release and the job that ends overdue ones, all at once: one of them wins."""
    tenant = await house.tenant()
    await house.grant(tenant, 10)
    runtime = house.parts.runtime
    held = (await runtime.reserve("r", tenant, Hold(amount=10), key="hold")).answer.reservation_id

    outcomes = await asyncio.gather(
        *(runtime.commit_reservation("r", tenant, held, Remark(), key=f"c{number}") for number in range(4)),
        *(runtime.release("r", tenant, held, Remark(), key=f"r{number}") for number in range(4)),
        return_exceptions=True,
    )

    codes = [outcome.code for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert codes == ["RESERVATION_NOT_HELD"] * 7
    await settled(house, tenant)


async def test_a_use_is_restored_once(house: LedgerHouse) -> None:
    """G-13: the same use restored ten times at once, under ten keys, comes back once."""
    tenant = await house.tenant()
    await house.grant(tenant, 10)
    runtime = house.parts.runtime
    txn = (await runtime.consume("r", tenant, Use(amount=4), key="use")).answer.txn_id

    outcomes = await asyncio.gather(
        *(runtime.restore("r", tenant, txn, Remark(), key=f"k{number}") for number in range(10)),
        return_exceptions=True,
    )

    codes = [outcome.code for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert codes == ["TXN_ALREADY_RESTORED"] * 9
    assert (await house.balance(tenant)).remaining == 10
    await settled(house, tenant)


async def test_uses_and_voids_of_one_grant_never_take_the_same_credit(house: LedgerHouse) -> None:
    """G-12: whoever voids takes only what nobody has used, whatever the order."""
    tenant = await house.tenant()
    grant = (await house.grant(tenant, 30)).grant.id
    runtime, grants = house.parts.runtime, house.parts.grants

    outcomes = await asyncio.gather(
        *(runtime.consume("r", tenant, Use(amount=1), key=f"u{number}") for number in range(20)),
        grants.void(asker(), tenant, grant, VoidGrant(reason=REASON), key="void"),
        return_exceptions=True,
    )

    used = sum(not isinstance(outcome, Exception) for outcome in outcomes[:-1])
    balance = await house.balance(tenant)
    assert (balance.used, balance.voided, balance.remaining) == (used, 30 - used, 0)
    await settled(house, tenant)


async def test_the_daily_cap_cannot_be_raced_past(database_url: str) -> None:
    """G-12: one operator's grants at once, each to another tenant, stay within the cap of a day."""
    async with ledger_house(database_url, caps=Caps(at_once=10, by_support=10, a_day=25)) as house:
        tenants = [await house.tenant(f"tenant-{number}") for number in range(6)]
        outcomes = await asyncio.gather(
            *(house.grant(tenant, 10) for tenant in tenants), return_exceptions=True
        )
        refused = [getattr(outcome, "code", "") for outcome in outcomes if isinstance(outcome, Exception)]
        assert refused == ["GRANT_DAILY_CAP"] * 4

        house.clock.advance(86_400)
        await house.grant(tenants[0], 10)


async def test_two_runs_of_a_job_book_once(house: LedgerHouse) -> None:
    """C-16, G-12: expiry on several replicas at once books each grant once, with one audit row."""
    tenant = await house.tenant()
    for _ in range(4):
        await house.grant(tenant, 5, expires_in_days=1)
    house.clock.advance(86_400)

    counts = await asyncio.gather(*(house.parts.jobs.expire_grants(house.clock.now(), 100) for _ in range(3)))

    assert sum(counts) == 4
    assert (await house.balance(tenant)).expired == 20
    rows = await house.rows("SELECT scope FROM audit_events WHERE event = 'billing.credits.expired'")
    assert [row["scope"] for row in rows] == ["tenant"] * 4
    await settled(house, tenant)


async def test_what_comes_back_after_the_expiry_was_booked_expires_too(house: LedgerHouse) -> None:
    """G-12, G-13: a clock that is late gives back credit that ended; each time the job books it once more."""
    tenant = await house.tenant()
    grant = (await house.grant(tenant, 20, expires_in_days=1)).grant
    runtime, jobs, end = house.parts.runtime, house.parts.jobs, grant.expires_at
    assert end is not None
    used = await runtime.consume("r", tenant, Use(amount=5), key="u")
    held = await runtime.reserve("r", tenant, Hold(amount=4, ttl_seconds=86_400), key="h")
    house.clock.advance(86_399)
    assert await jobs.expire_grants(end + timedelta(seconds=1), 10) == 1

    await runtime.restore("r", tenant, used.answer.txn_id, Remark(), key=None)
    assert (await house.balance(tenant)).remaining == 5
    later = end + timedelta(seconds=60)
    counts = await asyncio.gather(*(jobs.expire_grants(later, 10) for _ in range(3)))
    assert sum(counts) == 1
    await runtime.release("r", tenant, held.answer.reservation_id, Remark(), key=None)
    assert (await house.balance(tenant)).remaining == 4
    assert [await jobs.expire_grants(end + timedelta(seconds=120), 10) for _ in range(2)] == [1, 0]

    balance = await house.balance(tenant)
    assert (balance.remaining, balance.reserved, balance.expired) == (0, 0, 20)
    await settled(house, tenant)


def lock_after_a_day(house: LedgerHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on whoever wants the account's lock gets it a day later."""
    whole = CreditRepository.lock

    async def late(self: CreditRepository, session: WriteSession, organization_id: str) -> Balance | None:
        house.clock.advance(86_400)
        return await whole(self, session, organization_id)

    monkeypatch.setattr(CreditRepository, "lock", late)


@pytest.mark.parametrize("what", ["void", "another end", "an end in the past"])
async def test_a_grant_is_not_touched_by_who_waited_past_its_end(
    sqlite_house: LedgerHouse, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """G-12: whether a grant has ended is asked under the account's lock, not before it."""
    tenant = await sqlite_house.tenant()
    grant = (await sqlite_house.grant(tenant, 5, expires_in_days=1)).grant
    lasting = (await sqlite_house.grant(tenant, 5, expires_in_days=9)).grant
    soon = NewExpiry(expires_at=sqlite_house.clock.now() + timedelta(hours=1), reason=REASON)
    later = NewExpiry(expires_at=None, reason=REASON)
    grants = sqlite_house.parts.grants
    lock_after_a_day(sqlite_house, monkeypatch)
    if what == "void":
        with pytest.raises(ConflictError, match="GRANT_EXPIRED"):
            await grants.void(asker(), tenant, grant.id, VoidGrant(reason=REASON), key="v")
    elif what == "another end":
        with pytest.raises(ConflictError, match="GRANT_EXPIRED"):
            await grants.change_expiry(asker(), tenant, grant.id, later, once=None)
    else:
        with pytest.raises(UnprocessableError, match="VALIDATION_FAILED"):
            await grants.change_expiry(asker(), tenant, lasting.id, soon, once=None)


@pytest.mark.parametrize("what", ["release", "restore"])
async def test_what_comes_back_after_its_end_is_not_available(
    sqlite_house: LedgerHouse, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """G-12: whether a grant has ended is asked under the account's lock also for credit that comes back."""
    tenant = await sqlite_house.tenant()
    await sqlite_house.grant(tenant, 5, expires_in_days=1)
    runtime = sqlite_house.parts.runtime
    used = await runtime.consume("r", tenant, Use(amount=2), key="u")
    held = await runtime.reserve("r", tenant, Hold(amount=3, ttl_seconds=86_400), key="h")
    lock_after_a_day(sqlite_house, monkeypatch)
    if what == "release":
        await runtime.release("r", tenant, held.answer.reservation_id, Remark(), key=None)
    else:
        await runtime.restore("r", tenant, used.answer.txn_id, Remark(), key=None)

    balance = await sqlite_house.balance(tenant)
    assert (balance.remaining, balance.expired) == (0, 3 if what == "release" else 2)


async def test_support_grants_within_its_cap(sqlite_house: LedgerHouse) -> None:
    """G-06: above its cap the support role hears who may; at the cap the audit row is a WARNING."""
    tenant = await sqlite_house.tenant()
    wish = NewGrant(replies=10_001, reason=REASON)
    grants = sqlite_house.parts.grants
    with pytest.raises(ForbiddenError, match="GRANT_ABOVE_SUPPORT_MAX") as refusal:
        await grants.grant(asker(Role.SUPPORT), tenant, wish, key="k")
    assert refusal.value.extra["roles"] == ["super_admin"]

    await sqlite_house.grant(tenant, 10_000, role=Role.SUPPORT)
    await sqlite_house.grant(tenant, 9_999, role=Role.SUPPORT)
    rows = await sqlite_house.rows(
        "SELECT severity FROM audit_events WHERE scope = 'tenant' ORDER BY chain_seq"
    )
    assert [row["severity"] for row in rows] == ["WARNING", "NOTICE"]


async def test_grants_are_used_in_burn_order(house: LedgerHouse) -> None:
    """G-12: priority first, then the earlier expiry (never is last), then age; also over many grants."""
    tenant = await house.tenant()
    given = [(50, None), (50, 9), (10, None), (50, 2), (50, 9), (10, 5)]
    grants = [
        (await house.grant(tenant, 3, priority=priority, expires_in_days=days)).grant.id
        for priority, days in given
    ]
    for _ in range(60):
        await house.grant(tenant, 1, priority=90)

    used = await house.parts.runtime.consume("r", tenant, Use(amount=70), key="u")

    shares = [(share.grant_id, share.amount) for share in used.answer.allocations]
    assert shares[:6] == [(grants[number], 3) for number in (5, 2, 3, 1, 4, 0)]
    assert len(shares) == 6 + 52
