"""Denials for the audit log: the first at once, the rest as a count, and never more than fits."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from auth_proxy.refusals import AUDITED, Reason
from auth_proxy.roster.denials import (
    MOST_KEPT,
    QUIET_SECONDS,
    AggregatedDenials,
)
from auth_proxy.roster.source import Denied
from tests.fakes.clock import FrozenClock


@dataclass
class FakeLink:
    """The admin service's end: takes reports, or fails as told."""

    status: int = 204
    is_down: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def request(self, method: str, target: str, *, json: Any) -> AsyncIterator["FakeLink"]:
        assert (method, target) == ("POST", "/internal/v1/access-denials")
        if self.is_down:
            raise aiohttp.ClientConnectionError
        self.bodies.append(json)
        yield self

    async def read(self) -> bytes:
        return b""

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [entry for body in self.bodies for entry in body["denials"]]


def denied(reason: Reason = Reason.PERMISSION_DENIED, sub: str = "sub-ada", **changes: str) -> Denied:
    told = {
        "email": "ada@example.com",
        "operator_id": "adm_ada",
        "route": "/manage",
        "ip": "192.0.2.1",
        "user_agent": "Browser",
        "request_id": "req_1",
    }
    return Denied(reason, sub, **{**told, **changes})


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def denials(link: FakeLink, clock: FrozenClock) -> AggregatedDenials:
    return AggregatedDenials(link, clock)  # type: ignore[arg-type]  # a link of its own


async def report(denials: AggregatedDenials) -> None:
    await denials.report_due()


async def test_the_first_is_told_whole(
    denials: AggregatedDenials, link: FakeLink, clock: FrozenClock
) -> None:
    """R-130: who, what, where from and when, as the audit row will say it."""
    denials.note(denied())
    await report(denials)

    at = clock.now().isoformat()
    assert link.entries == [
        {
            "reason": "permission_denied",
            "sub": "sub-ada",
            "email": "ada@example.com",
            "operatorId": "adm_ada",
            "route": "/manage",
            "count": 1,
            "firstAt": at,
            "lastAt": at,
            "ip": "192.0.2.1",
            "userAgent": "Browser",
            "requestId": "req_1",
        }
    ]


async def test_a_thousand_more_are_one_row(
    denials: AggregatedDenials, link: FakeLink, clock: FrozenClock
) -> None:
    """An attacker who repeats himself cannot fill the log; how often he did is not lost."""
    denials.note(denied())
    await report(denials)
    for _ in range(1000):
        denials.note(denied(request_id="req_2"))
        clock.advance(0.5)
    await report(denials)
    assert len(link.entries) == 1

    clock.advance(QUIET_SECONDS)
    await report(denials)

    assert [(entry["count"], entry["requestId"]) for entry in link.entries] == [(1, "req_1"), (1000, "req_2")]
    assert link.entries[1]["firstAt"] < link.entries[1]["lastAt"]


async def test_another_person_or_reason_is_another_row(denials: AggregatedDenials, link: FakeLink) -> None:
    """One noisy attacker must not hide the next one."""
    denials.note(denied())
    denials.note(denied(sub="sub-bob"))
    denials.note(denied(Reason.ORIGIN_REJECTED))
    await report(denials)

    assert {(entry["reason"], entry["sub"]) for entry in link.entries} == {
        ("permission_denied", "sub-ada"),
        ("permission_denied", "sub-bob"),
        ("origin_rejected", "sub-ada"),
    }


async def test_after_the_quiet_time_the_next_is_a_first_again(
    denials: AggregatedDenials, link: FakeLink, clock: FrozenClock
) -> None:
    """Nothing is remembered of somebody who stopped."""
    denials.note(denied())
    await report(denials)
    clock.advance(QUIET_SECONDS)
    await report(denials)
    assert denials.kept == 0
    denials.note(denied())
    await report(denials)

    assert [entry["count"] for entry in link.entries] == [1, 1]


@pytest.mark.parametrize("failure", ["down", "503", "404"])
async def test_what_could_not_be_told_is_told_later(
    denials: AggregatedDenials, link: FakeLink, failure: str
) -> None:
    """An admin service that is away loses no denial: the next report has them all."""
    link.is_down, link.status = failure == "down", int(failure) if failure.isdigit() else 204
    denials.note(denied())
    await report(denials)
    denials.note(denied())
    link.is_down, link.status, link.bodies = False, 204, []
    await report(denials)

    assert [entry["count"] for entry in link.entries] == [2]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_report_that_is_refused_for_ever_does_not_block_the_next(
    denials: AggregatedDenials, link: FakeLink, status: int
) -> None:
    """One entry that the service cannot take must not stand before all others for ever."""
    link.status = status
    denials.note(denied())
    await report(denials)
    link.status, link.bodies = 204, []
    denials.note(denied(sub="sub-bob"))
    await report(denials)

    assert [entry["sub"] for entry in link.entries] == ["sub-bob"]


async def test_memory_is_bounded_and_what_did_not_fit_is_counted(
    denials: AggregatedDenials, link: FakeLink, clock: FrozenClock
) -> None:
    """More people at once than fit: batches of a hundred, and the number of those left out."""
    for number in range(MOST_KEPT + 5):
        denials.note(denied(sub=f"sub-{number}"))
    assert denials.kept == MOST_KEPT
    await report(denials)

    assert len(link.entries) == MOST_KEPT
    assert max(len(body["denials"]) for body in link.bodies) == 10
    assert sum(body["dropped"] for body in link.bodies) == 5
    clock.advance(QUIET_SECONDS)
    await report(denials)
    denials.note(denied(sub="sub-late"))
    await report(denials)
    assert link.bodies[-1] == {**link.bodies[-1], "dropped": 0}


async def test_the_largest_report_fits_what_the_service_reads(
    denials: AggregatedDenials, link: FakeLink
) -> None:
    """A batch of the longest entries that can be is below 64 KiB, so that no entry can lose the others."""
    for number in range(40):
        sub = f"{number:03}" + "s" * 252
        longest = denied(sub=sub, user_agent="\U0001f600" * 300, email="é" * 320, route="/" + "r" * 200)
        denials.note(longest)
    await report(denials)

    assert max(len(json.dumps(body)) for body in link.bodies) < 64 * 1024


async def test_a_user_agent_is_made_printable_and_short(denials: AggregatedDenials, link: FakeLink) -> None:
    """Bytes of a client's choice go into a database: no control character, no lone surrogate."""
    denials.note(denied(user_agent="A\x00\ud800\n" + "x" * 1000, operator_id=""))
    await report(denials)

    (entry,) = link.entries
    assert entry["userAgent"] == "A???" + "x" * 196
    assert entry["operatorId"] is None


async def test_stopping_tells_everything_that_is_known(denials: AggregatedDenials, link: FakeLink) -> None:
    """Also what waits for its quiet time: after a stop nobody would tell it."""
    await denials.start()
    denials.note(denied())
    await report(denials)
    denials.note(denied())
    await denials.close()

    assert [entry["count"] for entry in link.entries] == [1, 1]


def test_what_belongs_into_the_audit_log() -> None:
    """R-171, R-060, R-130: spoofs and refusals of proven persons; noise of strangers stays in the log."""
    assert {
        Reason.IDENTITY_HEADER_SPOOFED,
        Reason.EMAIL_HEADER_CONTRADICTS,
        Reason.ORIGIN_REJECTED,
        Reason.ENROLLMENT_REQUIRED,
        Reason.SUBJECT_CHANGED,
        Reason.OPERATOR_DEACTIVATED,
        Reason.PERMISSION_DENIED,
    } == AUDITED


async def test_closing_what_never_started_tells_nothing(denials: AggregatedDenials, link: FakeLink) -> None:
    """A start that failed half-way closes everything."""
    denials.note(denied())
    await denials.close()

    assert link.bodies == []
