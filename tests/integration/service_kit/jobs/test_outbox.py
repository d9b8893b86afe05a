"""Putting messages: with the change or not at all, unreadable at rest, and once for each key."""

import pytest

from service_kit.jobs.sealing import Seal, SealBrokenError
from tests.integration.service_kit.jobs.post_office import SECRET, PostOffice, letter


class ChangeFailedError(Exception):
    pass


async def test_a_change_that_fails_leaves_no_message(office: PostOffice) -> None:
    """R-105: nothing is sent for a change that was rolled back."""

    async def change() -> None:
        async with office.database.write() as session:
            await office.outbox.put(session, letter())
            raise ChangeFailedError

    with pytest.raises(ChangeFailedError):
        await change()

    assert await office.rows() == []
    assert await office.delivery().run(10) == 0
    assert office.sender.sent == []


async def test_nothing_goes_out_before_the_commit(sqlite_office: PostOffice) -> None:
    """R-105: while the transaction is open nobody else sees the message."""
    office = sqlite_office
    async with office.database.write() as session:
        await office.outbox.put(session, letter())
        before = await office.rows()

    assert before == []
    assert len(await office.rows()) == 1


async def test_the_link_of_a_message_is_not_in_the_database(office: PostOffice) -> None:
    """ADR 0023: whoever reads a backup finds no link that opens something; with the key it can be read."""
    message_id = await office.put(organization_id="org_1", dedupe_key="inv_1")
    row = await office.row()

    assert SECRET not in str(row)
    assert "bob@example.com" not in str(row)
    assert SECRET.encode() in office.seal.open(message_id, row["sealed_payload"])
    with pytest.raises(SealBrokenError):
        office.seal.open("out_other", row["sealed_payload"])
    with pytest.raises(SealBrokenError):
        Seal(b"x" * 32).open(message_id, row["sealed_payload"])


async def test_a_sent_message_keeps_no_body(office: PostOffice) -> None:
    """ADR 0023: once it went out, nobody needs what was in it."""
    await office.put()
    await office.delivery().run(10)
    row = await office.row()

    assert (row["state"], row["sealed_payload"], row["lease_owner"]) == ("done", None, None)
    assert office.sender.sent[0].payload["link"] == SECRET


async def test_one_key_is_one_message(office: PostOffice) -> None:
    """A repeated change with the same key puts nothing more, and learns the id of the first."""
    first = await office.put(dedupe_key="inv_1")
    again = await office.put(dedupe_key="inv_1")
    others = [await office.put(dedupe_key="inv_2"), await office.put(), await office.put()]

    assert again == first
    assert len({first, *others}) == 4
    assert len(await office.rows()) == 4


async def test_what_has_not_gone_out_can_be_withdrawn(office: PostOffice) -> None:
    """The letter of an invitation that is canceled does not go out; one that went out is not unsaid."""
    await office.put(dedupe_key="inv_1")
    async with office.database.write() as session:
        taken = await office.outbox.withdraw(session, queue="mail", dedupe_key="inv_1")
    await office.put(dedupe_key="inv_2")
    await office.delivery().run(10)
    async with office.database.write() as session:
        too_late = await office.outbox.withdraw(session, queue="mail", dedupe_key="inv_2")

    assert (taken, too_late) == (True, False)
    assert len(office.sender.sent) == 1
