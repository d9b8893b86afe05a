"""Delivery: once where nothing breaks, at least once where something does, and given up at last."""

import asyncio
from datetime import datetime, timedelta

import pytest

from service_kit.jobs import delivering
from service_kit.jobs.delivering import LEASE, MOST_ATTEMPTS, MayWorkLaterError, NeverWorksError
from service_kit.jobs.sealing import Seal
from tests.integration.service_kit.jobs.post_office import SECRET, PostOffice, RecordingSender


async def test_each_message_goes_out_once_in_the_order_of_its_making(office: PostOffice) -> None:
    """A second run finds nothing to do."""
    put = [await office.put() for _ in range(3)]
    tried = [await office.delivery().run(10), await office.delivery("two").run(10)]

    assert office.sender.ids == put
    assert tried == [3, 0]


async def test_two_replicas_deliver_no_message_twice(office: PostOffice) -> None:
    """Both deliver at the same time from one outbox, and each message goes out exactly once."""
    put = {await office.put() for _ in range(24)}

    async def give_way() -> None:
        await asyncio.sleep(0.001)

    office.sender.before = give_way
    tried = await asyncio.gather(*(office.delivery(owner).run(50) for owner in ("one", "two", "three")))

    assert sorted(office.sender.ids) == sorted(put)
    assert sum(tried) == 24
    assert {row["state"] for row in await office.rows()} == {"done"}


async def test_a_passing_failure_is_tried_later_and_later(sqlite_office: PostOffice) -> None:
    """R-105: the waits double from ten seconds up to an hour, measured on the injected clock."""
    office = sqlite_office
    await office.put()
    office.sender.fails = [MayWorkLaterError("SERVER_ANSWERED_421")] * 11
    waits: list[str | datetime] = []
    for _ in range(11):
        assert await office.delivery().run(10) == 1
        row = await office.row()
        waits.append(row["next_attempt_at"])
        assert (row["state"], row["last_error"]) == ("retrying", "SERVER_ANSWERED_421")
        office.clock.advance(_seconds(office, waits[-1]) - 1)
        assert await office.delivery().run(10) == 0
        office.clock.advance(1)
    await office.delivery().run(10)

    assert [_between(waits, n) for n in range(3)] == [20, 40, 80]
    assert _between(waits, 9) == 3600
    assert len(office.sender.sent) == 1


def _moment(value: str | datetime) -> float:
    """SQLite keeps text."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).timestamp()


def _seconds(office: PostOffice, moment: str | datetime) -> float:
    return _moment(moment) - office.clock.now().timestamp()


def _between(waits: list[str | datetime], number: int) -> float:
    return _moment(waits[number + 1]) - _moment(waits[number])


async def test_a_message_that_never_goes_out_is_given_up(sqlite_office: PostOffice) -> None:
    """After the last attempt it is dead, with the code of the last error, and its body can be retried."""
    office = sqlite_office
    await office.put()
    office.sender.fails = [MayWorkLaterError("TIMED_OUT")] * 99
    for _ in range(MOST_ATTEMPTS):
        assert await office.delivery().run(1) == 1
        office.clock.advance(3600)
    row = await office.row()

    assert await office.delivery().run(1) == 0
    assert (row["state"], row["attempts"], row["last_error"]) == ("dead", MOST_ATTEMPTS, "TIMED_OUT")
    assert row["sealed_payload"] is not None


async def test_a_final_refusal_is_not_tried_again(office: PostOffice) -> None:
    """R-105: a 550 for the recipient is no better tomorrow; the other messages go out."""
    await office.put()
    other = await office.put()
    office.sender.fails = [NeverWorksError("RECIPIENT_REFUSED_550")]
    await office.delivery().run(10)
    office.clock.advance(86400)
    await office.delivery().run(10)

    assert [row["state"] for row in await office.rows()] == ["dead", "done"]
    assert office.sender.ids == [other]


async def test_an_unknown_failure_stops_nobody_and_tells_nothing(office: PostOffice) -> None:
    """What an exception says may hold the secret: only a code is kept."""
    await office.put()
    other = await office.put()
    office.sender.fails = [RuntimeError(SECRET)]
    await office.delivery().run(10)
    first, _ = await office.rows()

    assert office.sender.ids == [other]
    assert (first["state"], first["last_error"]) == ("retrying", "SENDER_FAILED")
    assert SECRET not in str(first)


async def test_a_useless_message_is_not_sent_and_erased(office: PostOffice) -> None:
    """R-103: nobody gets the link of an invitation that has expired."""
    await office.put(useless_after=office.clock.now() + timedelta(hours=48))
    office.clock.advance(48 * 3600)
    await office.delivery().run(10)
    row = await office.row()

    assert office.sender.sent == []
    assert (row["state"], row["last_error"], row["sealed_payload"]) == ("dead", "EXPIRED", None)


async def test_a_process_killed_in_the_middle_is_replaced_when_its_lease_ends(office: PostOffice) -> None:
    """Sent but not marked: nobody touches it before the lease ends; then it goes out once more, same id."""
    message_id = await office.put()
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    dying = RecordingSender(before=hang)
    task = asyncio.create_task(office.delivery("dying", sender=dying).run(10))
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    office.clock.advance(LEASE.total_seconds() - 1)
    assert await office.delivery("heir").run(10) == 0
    office.clock.advance(1)
    assert await office.delivery("heir").run(10) == 1
    row = await office.row()
    assert office.sender.ids == [message_id]
    assert (row["state"], row["attempts"]) == ("done", 2)


async def test_who_lost_the_lease_decides_nothing_any_more(office: PostOffice) -> None:
    """A process that comes back after its lease ended does not undo what its heir wrote."""
    await office.put()

    async def lose_the_lease() -> None:
        office.clock.advance(LEASE.total_seconds())
        await office.delivery("heir", sender=heir).run(10)

    heir = RecordingSender()
    slow = RecordingSender(before=lose_the_lease, fails=[NeverWorksError("MESSAGE_REFUSED_554")])
    await office.delivery("slow", sender=slow).run(1)
    row = await office.row()

    assert len(heir.sent) == 1
    assert (row["state"], row["last_error"]) == ("done", None)


async def test_a_lease_of_ones_own_that_ended_counts_for_nothing(sqlite_office: PostOffice) -> None:
    """The same process may hold the message anew: what its earlier attempt found out is too late."""
    office = sqlite_office
    await office.put()

    async def claim_anew() -> None:
        office.clock.advance(LEASE.total_seconds())
        async with office.database.write() as session:
            assert await office.delivery("slow")._claims.next(session, "mail", office.clock.now())

    slow = RecordingSender(before=claim_anew, fails=[NeverWorksError("MESSAGE_REFUSED_554")])
    await office.delivery("slow", sender=slow).run(1)

    assert (await office.row())["state"] == "in_flight"


async def test_a_message_that_kills_every_process_is_given_up(office: PostOffice) -> None:
    """Attempts are counted when they begin, so one that never returns is counted too."""
    await office.put()
    async with office.database.write() as session:
        for _ in range(MOST_ATTEMPTS):
            claims = office.delivery("dying")._claims  # claims and dies, as a killed process
            assert await claims.next(session, "mail", office.clock.now()) is not None
            office.clock.advance(LEASE.total_seconds())
    await office.delivery().run(1)
    row = await office.row()

    assert office.sender.sent == []
    assert (row["state"], row["last_error"]) == ("dead", "TOO_MANY_ATTEMPTS")


async def test_a_sender_that_hangs_is_cut_off(
    sqlite_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server that never answers does not hold up the queue for longer than one message may take."""
    monkeypatch.setattr(delivering, "SEND_SECONDS", 0.05)
    await sqlite_office.put()
    sqlite_office.sender.before = asyncio.Event().wait
    await sqlite_office.delivery().run(1)
    row = await sqlite_office.row()

    assert (row["state"], row["last_error"]) == ("retrying", "TIMED_OUT")


async def test_a_queue_without_a_sender_waits(sqlite_office: PostOffice) -> None:
    """Without an SMTP_URL mail stays visible in the outbox (architecture section 8)."""
    await sqlite_office.put()
    delivery = sqlite_office.delivery()
    delivery._senders = {}  # as without a setting

    assert await delivery.run(10) == 0
    assert (await sqlite_office.row())["state"] == "ready"


async def test_another_key_file_is_said_and_waited_for(sqlite_office: PostOffice) -> None:
    """A replica with another key loses no message: one with the right key sends it."""
    message_id = await sqlite_office.put()
    stranger = sqlite_office.delivery("stranger")
    stranger._seal = Seal(b"x" * 32)  # as a replica that was given another file
    await stranger.run(1)
    said = (await sqlite_office.row())["last_error"]
    sqlite_office.clock.advance(60)
    await sqlite_office.delivery().run(1)

    assert said == "SEALED_WITH_ANOTHER_KEY"
    assert sqlite_office.sender.ids == [message_id]
