"""What operators and SREs see of queues and jobs, and the second chance of a dead message."""

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service_kit.errors import ConflictError, NotFoundError
from service_kit.jobs.delivering import MayWorkLaterError, NeverWorksError
from service_kit.jobs.job import Job
from service_kit.jobs.metrics import JobMetrics, Watch
from service_kit.jobs.overview import JobOverview, QueueState
from tests.integration.service_kit.jobs.post_office import SECRET, TABLES, PostOffice

OVERVIEW = JobOverview(TABLES)


async def queue(office: PostOffice) -> QueueState:
    async with office.database.read() as session:
        (found,) = await OVERVIEW.queues(session, ("mail",), office.clock.now())
    return found


async def dead(office: PostOffice, **members: Any) -> str:
    """A message that was given up."""
    message_id = await office.put(**members)
    office.sender.fails = [NeverWorksError("RECIPIENT_REFUSED_550")]
    await office.delivery().run(1)
    return message_id


async def test_an_empty_queue_is_shown(office: PostOffice) -> None:
    """R-095: a queue of this build is there when it holds nothing."""
    assert await queue(office) == QueueState("mail")


async def test_a_queue_tells_what_waits_and_for_how_long(office: PostOffice) -> None:
    """R-095: ready, retrying and dead counts, the oldest age, the next attempt, and no body."""
    gone = await dead(office, organization_id="org_1")
    await office.put()
    office.sender.fails = [MayWorkLaterError("TIMED_OUT")]
    await office.delivery().run(1)
    office.clock.advance(5)
    await office.put()
    office.clock.advance(2)
    seen = await queue(office)

    assert (seen.ready, seen.in_flight, seen.retrying, seen.dead) == (1, 0, 1, 1)
    assert (seen.oldest_age_seconds, seen.last_error) == (7, "TIMED_OUT")
    assert seen.next_attempt_at == office.clock.now() - timedelta(seconds=2)
    (letter,) = seen.dead_letters
    assert (letter.id, letter.kind, letter.organization_id, letter.attempts, letter.last_error) == (
        gone,
        "invitation",
        "org_1",
        1,
        "RECIPIENT_REFUSED_550",
    )
    assert letter.can_be_retried
    assert SECRET not in str(seen)


async def test_a_dead_message_gets_a_second_chance(office: PostOffice) -> None:
    """It is ready again, from the first attempt on, and goes out under the id that it always had."""
    message_id = await dead(office)
    async with office.database.write() as session:
        await OVERVIEW.retry(session, "mail", message_id, office.clock.now())
    await office.delivery().run(1)

    assert office.sender.ids == [message_id]
    assert (await office.row())["attempts"] == 1


async def test_only_a_dead_message_with_a_body_is_retried(office: PostOffice) -> None:
    """Unknown ones, other queues', waiting ones and those that are over are refused by name."""
    over = await dead(office, useless_after=office.clock.now() + timedelta(hours=1))
    waiting = await office.put()
    office.clock.advance(3600)
    refusals = []
    for name, message_id in (("mail", "out_none"), ("siem", over), ("mail", waiting), ("mail", over)):
        with pytest.raises((NotFoundError, ConflictError)) as refused:
            async with office.database.write() as session:
                await OVERVIEW.retry(session, name, message_id, office.clock.now())
        refusals.append(refused.value.code)

    assert refusals == ["MESSAGE_NOT_FOUND", "MESSAGE_NOT_FOUND", "MESSAGE_NOT_DEAD", "MESSAGE_BODY_ERASED"]


async def test_metrics_tell_age_and_dead_letters(sqlite_office: PostOffice) -> None:
    """An SRE can alarm on the age of the outbox, on dead letters and on a job that has not ended well."""
    office = sqlite_office

    async def work(_limit: int) -> int:
        return 3

    runner = office.runner(Job("expire", timedelta(minutes=1), work))
    await runner.announce()
    await runner.look()
    await runner.idle()
    await dead(office)
    await office.put()
    office.clock.advance(90)
    registry = CollectorRegistry()
    metrics = JobMetrics(registry, "test")
    await Watch(office.database, OVERVIEW, ("mail",), metrics, office.clock).look()
    page = generate_latest(registry).decode()

    assert 'test_outbox_oldest_seconds{queue="mail"} 90.0' in page
    assert 'test_outbox_messages{queue="mail",state="dead"} 1.0' in page
    assert 'test_outbox_messages{queue="mail",state="ready"} 1.0' in page
    success = registry.get_sample_value("test_job_last_success_timestamp_seconds", {"job": "expire"})
    assert success == (office.clock.now() - timedelta(seconds=90)).timestamp()
    assert 'test_job_failures_in_a_row{job="expire"} 0.0' in page
