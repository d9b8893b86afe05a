"""Recording: the row, or the pair, with the change it tells of, each linked to the one before."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import insert, select, text

from service_kit.audit.chain import GENESIS
from service_kit.audit.events import SYSTEM, Actor, ActorType, Outcome
from service_kit.audit.recorder import AuditRecorder
from service_kit.db.session import Database
from service_kit.identity.model import InternalIdentity, Role
from service_kit.ids import IdFactory
from tests.fakes.clock import START, FrozenClock
from tests.integration.service_kit.audit.writing import (
    ADA,
    ADMIN_MADE,
    PACK_MADE,
    SIGNED_IN,
    broken,
    chains,
    entry,
    record,
    uncommitted_pii,
)
from tests.integration.service_kit.db.tables import AUDIT, NOTES


async def test_an_action_on_a_tenant_is_two_linked_rows(database: Database, clock: FrozenClock) -> None:
    """R-126: the platform's view without organization, the tenant's own with it; one actor, one pair."""
    ((global_id, tenant_id),) = await record(
        database, clock, entry(reason="because it must", ticket_ref="T-1", request_id="req_1")
    )
    found = await chains(database)
    (ours,), (theirs,) = found["global"], found["org_1"]

    assert (ours["id"], theirs["id"]) == (global_id, tenant_id)
    assert ours["pair_id"] == theirs["pair_id"]
    assert ours["pair_id"].startswith("pair_")
    assert (ours["scope"], ours["target_type"], ours["target_id"], ours["organization_id"]) == (
        "global",
        "tenant",
        "org_1",
        None,
    )
    assert (theirs["scope"], theirs["target_type"], theirs["target_id"], theirs["organization_id"]) == (
        "tenant",
        "organization",
        "org_1",
        "org_1",
    )
    for row in (ours, theirs):
        assert (row["actor_type"], row["actor_id"], row["actor_role"]) == ("global_admin", "adm_1", "support")
        assert (row["event"], row["action"], row["resource_type"]) == (
            "tenant.suspended",
            "suspend_tenant",
            "tenant",
        )
        assert (row["severity"], row["outcome"], row["occurred_at"]) == ("WARNING", "success", START)
        assert (row["reason"], row["ticket_ref"], row["request_id"]) == ("because it must", "T-1", "req_1")
        assert (row["chain_seq"], row["prev_hash"]) == (1, GENESIS)


async def test_an_action_without_a_tenant_is_one_row(database: Database, clock: FrozenClock) -> None:
    """R-031, R-032: the resource is the target."""
    await record(database, clock, entry(PACK_MADE, org=None, resource_id="pack_1"))
    ((row,),) = (await chains(database)).values()

    assert (row["chain"], row["target_type"], row["target_id"]) == ("global", "credit_pack", "pack_1")
    assert (row["resource_id"], row["pair_id"]) == ("pack_1", None)


async def test_what_a_tenants_user_does_is_the_tenants_row_alone(
    database: Database, clock: FrozenClock
) -> None:
    """The platform's log does not fill with sign-ins."""
    await record(database, clock, entry(SIGNED_IN))

    assert list(await chains(database)) == ["org_1"]


async def test_a_tenant_event_without_a_tenant_is_a_defect(database: Database, clock: FrozenClock) -> None:
    """Nothing is written by it, not even the global half."""
    for event in (SIGNED_IN, entry().event):
        with pytest.raises(ValueError, match="needs an organization"):
            await record(database, clock, entry(event, org=None))

    assert await chains(database) == {}


async def test_the_row_goes_with_the_change(database: Database, clock: FrozenClock) -> None:
    """R-102: no row without the change and no change without the row."""
    recorder = AuditRecorder(AUDIT, IdFactory(clock), clock)

    async def change(*, fail: bool) -> None:
        async with database.write() as session:
            await session.execute(insert(NOTES).values(id="a"))
            await recorder.record(session, entry())
            if fail:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change(fail=True)
    assert await chains(database) == {}
    await change(fail=False)
    assert [rows[0]["chain_seq"] for rows in (await chains(database)).values()] == [1, 1]


async def test_every_chain_can_be_recomputed(database: Database, clock: FrozenClock) -> None:
    """SHA-256 over the row before and the canonical row, on either database, with hostile text in it."""
    details = {"z": 1, "a": {"é": ["\u0065\u0301", None, True, 2**60]}, "text": "a'b\"c\\d\n🦄 \u202e=cmd()"}
    for number in range(6):
        clock.advance(0.000001 if number % 2 else 3600)
        org = f"org_{number % 2}"
        await record(database, clock, entry(org=org, details=details, details_pii={"name": "Zoë"}, ip="::1"))
    await record(database, clock, entry(ADMIN_MADE, org=None, outcome=Outcome.DENIED))
    found = await chains(database)

    assert {chain: len(rows) for chain, rows in found.items()} == {"global": 7, "org_0": 3, "org_1": 3}
    assert [broken(rows) for rows in found.values()] == [None, None, None]
    assert await uncommitted_pii(database) == []
    async with database.read() as session:
        heads = {row["chain"]: (row["seq"], row["hash"]) for row in await session.rows(select(AUDIT.heads))}
    assert heads == {chain: (len(rows), rows[-1]["hash"]) for chain, rows in found.items()}


@pytest.mark.parametrize(
    "column, value",
    [
        ("actor_id", "adm_2"),
        ("occurred_at", START.replace(microsecond=1)),
        ("organization_id", "org_2"),
        ("details", {"a": True}),
        ("reason", "x"),
        ("chain_seq", 2),
        ("pii_commitment", "0" * 64),
        ("page_no", 1),
    ],
)
async def test_any_change_of_a_row_breaks_its_chain(
    database: Database, clock: FrozenClock, column: str, value: object
) -> None:
    """The recomputation above is no tautology: it finds each of these."""
    await record(database, clock, entry(details={"a": 1}), entry())
    rows = (await chains(database))["org_1"]
    forged = [{**rows[0], column: value}, rows[1]]

    assert broken(rows) is None
    assert broken(forged) == 1
    assert broken(rows[1:]) == 1


async def test_writers_at_once_fork_no_chain(database: Database, clock: FrozenClock) -> None:
    """Two transactions never follow the same row, and never wait for each other in a circle."""
    other = AuditRecorder(AUDIT, IdFactory(clock), clock)

    async def write(number: int) -> None:
        async with database.write() as session:
            await other.record(session, entry(org=f"org_{number % 2}"))

    async with asyncio.timeout(20):
        await asyncio.gather(*(write(number) for number in range(20)))
    found = await chains(database)

    assert [broken(rows) for rows in found.values()] == [None, None, None]
    assert len(found["global"]) == 20


async def test_a_float_has_no_canonical_form_and_writes_nothing(
    database: Database, clock: FrozenClock
) -> None:
    """Two machines may write it differently, so it never gets into the chain."""
    with pytest.raises(ValueError, match="float"):
        await record(database, clock, entry(details={"price": 0.1}))

    assert await chains(database) == {}


async def test_a_head_that_vanishes_is_a_defect(
    database: Database, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its lock a chain could fork: nothing is written."""

    async def nothing(*_: object) -> None:
        return None

    recorder = AuditRecorder(AUDIT, IdFactory(clock), clock)

    async def write() -> None:
        async with database.write() as session:
            monkeypatch.setattr(session, "first", nothing)
            await recorder.record(session, entry())

    with pytest.raises(RuntimeError, match="vanished"):
        await write()
    assert await chains(database) == {}


async def test_personal_data_stands_outside_the_chain(database: Database, clock: FrozenClock) -> None:
    """Name, address and details of a person are in audit_pii alone, each row with a salt of its own."""
    await record(database, clock, replace(entry(ip="1.2.3.4", user_agent="curl"), details_pii={"who": "Zoë"}))
    async with database.read() as session:
        events = str(await session.rows(text("SELECT * FROM audit_events")))
        pii = await session.rows(select(AUDIT.pii))

    for secret in ("ada@example.com", "Ada", "1.2.3.4", "curl", "Zo"):
        assert secret not in events
    assert {row["actor_email"] for row in pii} == {"ada@example.com"}
    assert len({row["salt"] for row in pii}) == 2
    assert pii[0]["details_pii"] == {"who": "Zoë"}


def test_an_actor_is_the_proven_identity() -> None:
    """R-126, R-127: an operator by id, role and name; a person without a row is nobody in particular."""
    identity = InternalIdentity("sub", "e@x.y", "Eve", "a", "j", 0, "adm_9", Role.SECURITY)
    person = InternalIdentity("sub", "e@x.y", "", "a", "j", 0)

    assert Actor.of(identity) == Actor(ActorType.GLOBAL_ADMIN, "adm_9", "security", "e@x.y", "Eve")
    assert Actor.of(person) == Actor(ActorType.ANONYMOUS, "sub", "", "e@x.y", "")
    assert SYSTEM.type is ActorType.SYSTEM
    assert ADA.type is ActorType.GLOBAL_ADMIN
