"""Claims and activity through the admin link: every answer has one meaning, and losing one harms nobody."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.activity import BatchedActivity
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.enrollment import FeedEnrollment
from auth_proxy.roster.feed import FeedRoster
from auth_proxy.roster.source import OperatorEntry
from service_kit.clock import SystemClock
from service_kit.identity.keys import SigningKey
from service_kit.identity.model import Role
from service_kit.identity.signing import IdentitySigner
from service_kit.web.service_url import ServiceUrl
from tests.fakes.clock import START, FrozenClock
from tests.fixtures.identities import new_key
from tests.fixtures.sidecar import SidecarUnderTest, person
from tests.integration.auth_proxy.scripted_upstream import Script, answering, scripted

CLAIMED = {"id": "adm_1", "email": "ada@example.com", "name": "Ada", "role": "support", "version": 2}
OBSERVER = SimpleNamespace(connected=lambda: None, disconnected=lambda: None, changed=lambda *_: None)


def signer(*keys: SigningKey) -> IdentitySigner:
    return IdentitySigner(lambda: keys, SystemClock(), issuer="auth_proxy")


@asynccontextmanager
async def linked(script: Script, *keys: SigningKey) -> AsyncIterator[AdminLink]:
    async with scripted(script) as url:
        link = AdminLink(ServiceUrl.parse(url), signer(*(keys or (new_key(),))))
        await link.start()
        try:
            yield link
        finally:
            await link.close()


def answer(status: int, body: object = None) -> Script:
    raw = json.dumps(body).encode() if not isinstance(body, bytes) else body
    return answering(f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw)


async def claim(link: AdminLink, token: str = "enr_1") -> tuple[OperatorEntry, FeedRoster]:
    roster = FeedRoster(link, SystemClock(), OBSERVER)
    return await FeedEnrollment(link, roster).claim("sub-ada", "ada@example.com", token, ()), roster


async def test_a_good_claim_is_an_active_operator_bound_to_the_proven_subject() -> None:
    """R-061, R-062: and the roster knows it at once."""
    async with linked(answer(200, {**CLAIMED, "sub": "sub-of-somebody-else"})) as link:
        entry, roster = await claim(link)

    assert entry == OperatorEntry("adm_1", "sub-ada", "ada@example.com", "Ada", Role.SUPPORT, active=True)
    assert roster.binds_email("ada@example.com")


@pytest.mark.parametrize(
    "script, reason",
    [
        (answer(403), Reason.ENROLLMENT_FAILED),
        (answer(429), Reason.ENROLLMENT_LIMITED),
        (answer(200, b"<html>"), Reason.ROSTER_UNAVAILABLE),
        (answer(200, {**CLAIMED, "role": "root"}), Reason.ROSTER_UNAVAILABLE),
        (answer(200, {}), Reason.ROSTER_UNAVAILABLE),
        (answer(201, CLAIMED), Reason.ROSTER_UNAVAILABLE),
        (answer(302, CLAIMED), Reason.ROSTER_UNAVAILABLE),
        (answer(401), Reason.ROSTER_UNAVAILABLE),
        (answer(404), Reason.ROSTER_UNAVAILABLE),
        (answer(500), Reason.ROSTER_UNAVAILABLE),
        (answering(b""), Reason.ROSTER_UNAVAILABLE),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), Reason.ROSTER_UNAVAILABLE),
    ],
    ids=["403", "429", "no JSON", "role", "empty", "201", "302", "401", "404", "500", "closed", "half"],
)
async def test_every_other_answer_is_a_refusal(script: Script, reason: Reason) -> None:
    """R-061: nothing but a clear yes binds anybody."""
    async with linked(script) as link:
        with pytest.raises(Refusal) as caught:
            await claim(link)

    assert caught.value.reason is reason


async def test_a_key_that_cannot_sign_is_said_so() -> None:
    """The claim needs our own identity: without one it is CANNOT_VOUCH, not a defect."""
    async with scripted(answer(200, CLAIMED)) as url:
        link = AdminLink(ServiceUrl.parse(url), signer())
        await link.start()
        with pytest.raises(Refusal) as caught:
            await claim(link)
        await link.close()

    assert caught.value.reason is Reason.CANNOT_VOUCH


async def test_text_that_is_too_long_for_a_token_is_asked_nowhere() -> None:
    """200 characters are more than any token of ours has."""
    async with linked(answer(200, CLAIMED)) as link:
        with pytest.raises(Refusal) as caught:
            await claim(link, "x" * 201)

    assert caught.value.reason is Reason.ENROLLMENT_FAILED


async def test_a_link_that_was_not_started_is_a_defect() -> None:
    """No request is made through a session that nobody opened or closes."""
    link = AdminLink(ServiceUrl.parse("http://127.0.0.1:1"), signer(new_key()))

    with pytest.raises(RuntimeError, match="not started"):
        link.request("GET", "/x")
    await link.close()


async def test_visits_are_reported_in_batches(sidecar: SidecarUnderTest) -> None:
    """R-065: many requests, one entry per operator with the latest time, and a last report."""
    clock = FrozenClock()
    url = sidecar.sidecar.gate.request_handler.plan.pipeline.authorizer.activity._link._url  # type: ignore[attr-defined]  # the seam of the running sidecar
    link = AdminLink(url, sidecar.sidecar.gate.request_handler.plan.pipeline.voucher._signer)  # type: ignore[attr-defined]  # as above
    activity = BatchedActivity(link, clock, every_seconds=0.05)
    await link.start()
    await activity.start()
    for _ in range(3):
        activity.seen("adm_1")
        clock.advance(1)
    activity.seen("adm_2")
    async with asyncio.timeout(20):
        while len(sidecar.admin.seen) < 2:
            await asyncio.sleep(0.01)
    activity.seen("adm_3")
    await activity.close()
    await link.close()

    seen = {entry["id"]: entry["at"] for entry in sidecar.admin.seen}
    assert set(seen) == {"adm_1", "adm_2", "adm_3"}
    assert seen["adm_1"] == START.replace(second=START.second + 2).isoformat()


@pytest.mark.parametrize("script", [answer(500), answering(b""), answering(b"garbage\r\n\r\n")])
async def test_a_report_that_fails_harms_nobody(script: Script) -> None:
    """R-065: the batch is lost, the next one is tried, closing ends well."""
    async with linked(script) as link:
        activity = BatchedActivity(link, SystemClock(), every_seconds=0.02)
        await activity.start()
        for _ in range(3):
            activity.seen("adm_1")
            await asyncio.sleep(0.04)
        await activity.close()

    assert activity._task is not None
    assert activity._task.cancelled()


async def test_a_slow_report_slows_no_request(sidecar: SidecarUnderTest) -> None:
    """R-065: a request writes one dictionary entry and waits for nothing."""
    activity = sidecar.sidecar.gate.request_handler.plan.pipeline.authorizer.activity  # type: ignore[attr-defined]  # the seam of the running sidecar
    got = await sidecar.get("/api/admin/tenants", token=sidecar.token(person(Role.SUPPORT)))

    assert got.status == 200
    assert f"adm_{person(Role.SUPPORT).sub}" in activity._seen
    assert sidecar.admin.seen == []


async def test_an_activity_that_never_started_closes_quietly() -> None:
    """Closing in reverse order may reach a part that was never started."""
    async with linked(answer(204)) as link:
        with contextlib.nullcontext():
            await BatchedActivity(link, SystemClock()).close()
            await FeedRoster(link, SystemClock(), OBSERVER).close()

        assert link._session is not None


async def test_an_operator_who_is_gone_when_the_answer_comes_is_refused() -> None:
    """R-064: the feed told of the removal before the claim's own answer arrived: the feed is right."""
    async with linked(answer(200, {**CLAIMED, "version": 0})) as link:
        with pytest.raises(Refusal) as caught:
            await claim(link)

    assert caught.value.reason is Reason.ENROLLMENT_FAILED
