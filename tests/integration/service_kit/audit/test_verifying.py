"""Proving an audit log: whatever is changed in it by hand is found and named, and nothing else is."""

import asyncio
import tracemalloc
from datetime import timedelta

import pytest

from service_kit.audit.chain import row_hash
from service_kit.audit.verifying import Break, ChainVerifier, Differs, Progress, Stretch, Verified
from service_kit.db.session import Database
from tests.fakes.clock import START, FrozenClock
from tests.integration.service_kit.audit.long_log import write_long_log
from tests.integration.service_kit.audit.tampering import WITH_THEIR_PEOPLE, attack, filled, unlock
from tests.integration.service_kit.audit.writing import PACK_MADE, SIGNED_IN, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT, opened


async def verify(database: Database, wanted: Stretch | None = None) -> Verified:
    return await ChainVerifier(database, AUDIT).verify(wanted)


def places(found: Verified) -> set[tuple[str, int]]:
    return {(one.chain, one.seq) for one in found.breaks}


async def unpaired(database: Database, clock: FrozenClock) -> None:
    """Rows without twins, which would betray a change by themselves."""
    await record(
        database,
        clock,
        *[entry(PACK_MADE, org=None, details={"n": 0, "who": "Zoë"}, reason="why") for _ in range(3)],
    )


async def test_an_untouched_log_is_proven(database: Database, clock: FrozenClock) -> None:
    """R-030: every row of every chain is read and none is called broken; an empty log is whole too."""
    assert await verify(database) == Verified(checked=0, chains=0, erased=0)
    await filled(database, clock)

    found = await verify(database)

    assert (found.ok, found.checked, found.chains, found.erased) == (True, 12, 2, 0)
    assert found.first_break is None


async def test_destroyed_personal_data_is_a_break(database: Database, clock: FrozenClock) -> None:
    """R-031: data that is gone, or blank, without an erasure that tells of it was destroyed."""
    ids = await filled(database, clock)
    await unlock(database)
    await attack(
        database,
        f"DELETE FROM audit_pii WHERE event_id = '{ids[3][0]}'",
        "UPDATE audit_pii SET salt = '', actor_email = '', actor_name = '', ip = '', user_agent = '', "
        f"details_pii = '{{}}' WHERE event_id = '{ids[1][1]}'",
    )

    found = await verify(database)

    assert found.erased == 0
    assert set(found.breaks) == {
        Break("global", 4, ids[3][0], Differs.PERSON, "event_id"),
        Break("org_1", 2, ids[1][1], Differs.PERSON),
    }


async def test_half_erased_or_moved_personal_data_is_a_break(database: Database, clock: FrozenClock) -> None:
    """A forged name under a blank salt is no erasure; nor is data that was tied to a row that is not."""
    ids = await filled(database, clock)
    await unlock(database)
    await attack(database, f"UPDATE audit_pii SET salt = '' WHERE event_id = '{ids[3][0]}'")
    assert places(await verify(database)) == {("global", 4)}

    await attack(database, f"UPDATE audit_pii SET event_id = 'aud_none' WHERE event_id = '{ids[3][0]}'")
    found = await verify(database)
    assert found.breaks == (
        Break("global", 4, ids[3][0], Differs.PERSON, "event_id"),
        Break("", 0, "aud_none", Differs.PERSON, "event_id"),
    )


@pytest.mark.parametrize(
    "statement, place",
    [
        ("DELETE FROM audit_events WHERE chain = 'global' AND chain_seq = 3", 3),
        ("DELETE FROM audit_events WHERE chain = 'global' AND chain_seq = 1", 1),
        ("DELETE FROM audit_events WHERE chain = 'global' AND chain_seq > 4", 5),
        ("DELETE FROM audit_events WHERE chain = 'global'", 1),
        ("UPDATE audit_events SET chain_seq = chain_seq + 1000 WHERE chain = 'global'", 1),
        ("UPDATE audit_events SET chain_seq = 0 WHERE chain = 'global' AND chain_seq = 1", 0),
        ("DELETE FROM audit_chain_heads WHERE chain = 'global'", 6),
        ("UPDATE audit_chain_heads SET seq = 4 WHERE chain = 'global'", 4),
    ],
)
async def test_rows_that_are_gone_or_moved_are_found(
    database: Database, clock: FrozenClock, statement: str, place: int
) -> None:
    """R-032: a hole, a lost beginning, a cut tail, an empty chain, a renumbered one, a head that lies."""
    await filled(database, clock)
    await unlock(database)
    await attack(database, statement, WITH_THEIR_PEOPLE)

    found = await verify(database)

    assert ("global", place) in places(found)


async def test_two_rows_in_each_others_place_are_found(database: Database, clock: FrozenClock) -> None:
    """Reordering is found at the earlier place, also when only the contents were exchanged."""
    await filled(database, clock)
    await unlock(database)
    await attack(
        database,
        "UPDATE audit_events SET chain_seq = 99 WHERE chain = 'global' AND chain_seq = 2",
        "UPDATE audit_events SET chain_seq = 2 WHERE chain = 'global' AND chain_seq = 4",
        "UPDATE audit_events SET chain_seq = 4 WHERE chain = 'global' AND chain_seq = 99",
    )

    assert ("global", 2) in places(await verify(database))


async def test_a_twin_that_is_gone_is_found_by_the_one_that_stayed(
    database: Database, clock: FrozenClock
) -> None:
    """R-126: a tenant's last row and its head are removed in step; the global row of that action tells."""
    ids = await filled(database, clock)
    await unlock(database)
    kept = (await chains(database))["org_1"][4]["hash"]
    await attack(
        database,
        f"DELETE FROM audit_pii WHERE event_id = '{ids[5][1]}'",
        "DELETE FROM audit_events WHERE chain = 'org_1' AND chain_seq = 6",
        f"UPDATE audit_chain_heads SET seq = 5, hash = '{kept}' WHERE chain = 'org_1'",
    )

    assert (await verify(database)).breaks == (Break("global", 6, ids[5][0], Differs.PAIR),)


async def test_a_row_rewritten_with_its_hash_breaks_the_next_link(
    database: Database, clock: FrozenClock
) -> None:
    """A forger who knows the algorithm must rewrite all that follows."""
    await record(database, clock, *(entry(PACK_MADE, org=None) for _ in range(4)))
    await unlock(database)
    row = {**(await chains(database))["global"][1], "reason": "forged"}
    forged = row_hash(row["prev_hash"], row)
    await attack(
        database, f"UPDATE audit_events SET reason = 'forged', hash = '{forged}' WHERE chain_seq = 2"
    )

    [found] = (await verify(database)).breaks
    assert (found.seq, found.differs) == (3, Differs.LINK)


@pytest.mark.parametrize(
    "column, value",
    [
        ("details", '\'{"n":0, "who":"Zoë"}\''),
        ("details", '\'{"who":"Zoë","n":0}\''),
        ("details", '\'{"n":0,"n":0,"who":"Zoë"}\''),
        ("details", '\'{"n":0,"who":"Zoe\' || char(776) || \'"}\''),
        ("details", '\'{"n":0.0,"who":"Zoë"}\''),
        ("details", '\'{"n":false,"who":"Zoë"}\''),
        ("details", "'nonsense'"),
        ("occurred_at", "'sometime'"),
        ("occurred_at", "replace(occurred_at, '2026-0', '2026-')"),
        ("reason", "CAST(x'ff' AS TEXT)"),
        ("id", "CAST(x'ff' AS TEXT)"),
        ("reason", "'why' || char(0)"),
    ],
)
async def test_another_spelling_of_the_same_value_is_found(
    sqlite_url: str, clock: FrozenClock, column: str, value: str
) -> None:
    """Spaces, order, a member named twice, decomposed letters, 0.0 for 0, and bytes that are no text."""
    async with opened(sqlite_url) as database:
        await unpaired(database, clock)
        await unlock(database)
        await attack(
            database, f"UPDATE audit_events SET {column} = {value} WHERE chain='global' AND chain_seq=1"
        )

        found = await verify(database)

    assert ("global", 1) in places(found)


async def test_a_chain_whose_name_is_no_text_is_named_and_ends_nothing(
    sqlite_url: str, clock: FrozenClock
) -> None:
    """One unreadable chain does not stop the others from being proven."""
    async with opened(sqlite_url) as database:
        await filled(database, clock)
        await unlock(database)
        await attack(
            database,
            "UPDATE audit_events SET chain = CAST(x'7aff' AS TEXT) WHERE chain = 'org_1' AND chain_seq = 6",
        )

        found = await verify(database)

    assert places(found) == {("org_1", 6), ("z\udcff", 6)}
    assert found.checked == 11


@pytest.mark.postgres
@pytest.mark.parametrize(
    "column, value",
    [
        ("occurred_at", "'infinity'"),
        ("occurred_at", "'29999-01-01'"),
        ("details", '\'{"n":0.0,"who":"Zoë"}\''),
        ("details", '\'{"n":1e400,"who":"Zoë"}\''),
    ],
)
async def test_postgres_own_odd_values_are_found(
    postgres_url: str, clock: FrozenClock, column: str, value: str
) -> None:
    """A time that no calendar knows and a number that no machine word holds are breaks, not crashes."""
    async with opened(postgres_url) as database:
        await unpaired(database, clock)
        await unlock(database)
        await attack(
            database, f"UPDATE audit_events SET {column} = {value} WHERE chain='global' AND chain_seq=1"
        )

        assert ("global", 1) in places(await verify(database))


async def test_appends_beside_a_verification_are_no_break(database: Database, clock: FrozenClock) -> None:
    """A service goes on writing while its log is proven: no false alarm, and earlier rows are read."""
    await filled(database, clock, pairs=20)
    stop = asyncio.Event()

    async def append() -> int:
        count = 0
        while not stop.is_set():
            await record(database, clock, entry(), entry(PACK_MADE, org=None), entry(SIGNED_IN))
            count += 1
        return count

    writer = asyncio.create_task(append())
    results = [await verify(database) for _ in range(12)]
    stop.set()

    assert await writer > 3
    assert [found.breaks for found in results] == [()] * 12
    assert results[-1].checked > results[0].checked >= 40


async def test_one_chain_or_a_time_can_be_asked_for(database: Database, clock: FrozenClock) -> None:
    """Only the rows of that chain and time are read; a break outside of them is not theirs."""
    await filled(database, clock, pairs=2)
    clock.advance(3600)
    since = clock.now()
    await filled(database, clock, pairs=3)

    assert (await verify(database, Stretch("org_1"))).checked == 5
    assert (await verify(database, Stretch("org_none"))).checked == 0
    assert (await verify(database, Stretch(since=since))).checked == 6
    assert (await verify(database, Stretch("global", until=since))).checked == 2
    await unlock(database)
    await attack(database, "UPDATE audit_events SET reason = 'x' WHERE chain = 'global' AND chain_seq = 1")
    assert (await verify(database, Stretch(since=since))).ok
    assert places(await verify(database, Stretch("global", until=since))) == {("global", 1)}


async def test_progress_is_told(database: Database, clock: FrozenClock) -> None:
    """Whoever waits sees the chain and how many rows were read."""
    await filled(database, clock)
    seen: list[Progress] = []
    await ChainVerifier(database, AUDIT).verify(on_progress=seen.append)

    assert seen == [Progress("global", 6), Progress("org_1", 12)]


async def test_a_name_is_stored_as_it_was_hashed(database: Database, clock: FrozenClock) -> None:
    """The recorder writes NFC, so that decomposed letters in the database are somebody else's work."""
    await record(database, clock, entry(reason="Zoe\u0308", details={"Zoe\u0308": ["e\u0301"]}))

    rows = await chains(database)
    assert rows["global"][0]["reason"] == "Zoë"
    assert rows["global"][0]["details"] == {"Zoë": ["é"]}
    assert (await verify(database)).ok


async def test_a_long_log_is_proven_in_flat_memory(sqlite_url: str) -> None:
    """Ten times the rows need no more memory: a batch at a time, whatever the length."""
    async with opened(sqlite_url) as database:
        await write_long_log(database, 8000)
        await verify(database)  # what is made once, such as compiled queries, is no part of the measure
        peaks = []
        for last in (800, 8000):
            until = START + timedelta(seconds=last, microseconds=1)
            tracemalloc.start()
            found = await verify(database, Stretch("global", until=until))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert (found.ok, found.checked) == (True, last)

    assert peaks[1] < peaks[0] * 1.5
