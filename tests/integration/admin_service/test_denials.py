"""Denials become audit rows: who, why, how often; and no flood fills the log (R-130, R-132)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from admin_service.denials.models import MOST_AN_HOUR, MOST_UNPROVEN_AN_HOUR, DenialReport
from service_kit.identity.model import Role
from tests.fakes.clock import START
from tests.integration.admin_service.admin_process import DENIALS, AdminProcess, admin_process
from tests.integration.admin_service.denials import SUB, denial, reported


async def report(process: AdminProcess, *denials: dict[str, Any], dropped: int = 0) -> int:
    body = {"denials": list(denials), "dropped": dropped}
    return (await process.ask_as_sidecar("POST", DENIALS, body)).status


async def log(process: AdminProcess) -> list[dict[str, Any]]:
    """The rows with their personal data, as somebody reads them who may."""
    if not any(row["id"] == "adm_reader" for row in await process.rows("global_admins")):
        await process.add(Role.SECURITY, operator_id="adm_reader")
    answer = await process.ask(
        "GET",
        "/api/admin/audit-logs?event=admin.access.*&allow_partial=1",
        Role.SECURITY,
        operator_id="adm_reader",
        sub="sub-reader",
    )
    rows: list[dict[str, Any]] = (await answer.json())["data"]
    return rows


async def test_a_denial_becomes_one_row(process: AdminProcess) -> None:
    """NOTICE, denied, global: the stranger by sub, the route, the count, and the address erasable."""
    later = (START + timedelta(seconds=9)).isoformat()

    assert await report(process, reported(count=7, lastAt=later)) == 204
    row = (await process.rows("audit_events"))[0]
    person = (await process.rows("audit_pii"))[0]
    shown = (await log(process))[0]

    assert (row["event"], row["severity"], row["outcome"], row["scope"]) == (
        "admin.access.denied",
        "NOTICE",
        "denied",
        "global",
    )
    assert (row["actor_type"], row["actor_id"], row["actor_role"]) == ("anonymous", SUB, "")
    assert (row["resource_type"], row["resource_id"]) == ("route", "/manage")
    assert (row["request_id"], row["occurred_at"] is not None) == ("req_denied", True)
    assert shown["details"] == {
        "reason": "enrollment_required",
        "count": 7,
        "first_at": START.isoformat(),
        "last_at": later,
        "route": "/manage",
    }
    assert (person["actor_email"], person["ip"], person["user_agent"]) == (
        "stranger@example.com",
        "203.0.113.9",
        "Firefox",
    )
    assert "stranger@example.com" not in repr(row)


async def test_nobody_proven_is_nobody(process: AdminProcess) -> None:
    """Without a proven subject the actor is `-`, whatever operator the report names."""
    await process.add(Role.SUPPORT)

    await report(process, reported(sub="", email="", operatorId="adm_support", reason="token_missing"))
    row = (await process.rows("audit_events"))[0]

    assert (row["actor_type"], row["actor_id"], row["actor_role"]) == ("anonymous", "-", "")


@pytest.mark.parametrize(
    ("sub", "operator_id", "actor"),
    [
        ("sub-support", "adm_support", ("global_admin", "adm_support", "support")),
        ("sub-other", "adm_support", ("anonymous", "sub-other", "")),
        ("sub-support", "adm_nobody", ("anonymous", "sub-support", "")),
        ("sub-support", None, ("anonymous", "sub-support", "")),
    ],
)
async def test_an_operator_is_named_only_by_row_and_subject(
    process: AdminProcess, sub: str, operator_id: str | None, actor: tuple[str, str, str]
) -> None:
    """R-060: the row must exist and be bound to the very subject that was proven, or it is a stranger."""
    await process.add(Role.SUPPORT)

    await report(process, reported(sub=sub, operatorId=operator_id, reason="permission_denied"))
    row = (await process.rows("audit_events"))[0]

    assert (row["actor_type"], row["actor_id"], row["actor_role"]) == actor


@pytest.mark.parametrize(
    ("email", "resource"),
    [
        ("support@example.com", "adm_support"),
        (" Support@Example.COM", "adm_support"),
        ("gone@example.com", ""),
        ("nobody@example.com", ""),
        ("no address", ""),
    ],
)
async def test_a_changed_subject_is_an_event_of_its_own(
    process: AdminProcess, email: str, resource: str
) -> None:
    """WARNING, about the operator who owns the address now; the person stays a stranger (R-060, R-135)."""
    await process.add(Role.SUPPORT)
    await process.add(operator_id="adm_gone", deactivated_at=process.clock.now())

    await report(process, reported(reason="subject_changed", email=email))
    row = (await process.rows("audit_events"))[0]

    assert (row["event"], row["severity"]) == ("admin.access.subject_changed", "WARNING")
    assert (row["resource_type"], row["resource_id"]) == ("operator", resource)
    assert (row["actor_type"], row["actor_id"]) == ("anonymous", SUB)


async def test_a_changed_subject_needs_a_proven_one(process: AdminProcess) -> None:
    """Without a subject nothing has changed: it is a denial like any other."""
    await report(process, reported(reason="subject_changed", sub=""))

    assert await process.events() == ["admin.access.denied"]


async def count(process: AdminProcess) -> int:
    return len([event for event in await process.events() if event.startswith("admin.access.")])


def crowd(size: int, **members: Any) -> DenialReport:
    return DenialReport(tuple(denial(sub=f"sub-{one}", **members) for one in range(size)), 0)


async def test_a_flood_is_folded_and_nothing_is_lost(sqlite_process: AdminProcess) -> None:
    """Above 600 rows an hour one row a batch says how many there were; an hour later there is room again."""
    process, record = sqlite_process, sqlite_process.services.denials.record
    for _ in range(MOST_AN_HOUR // 100):
        await record(crowd(100))
    assert await count(process) == MOST_AN_HOUR

    await record(crowd(100, count=3))
    assert await count(process) == MOST_AN_HOUR + 1
    newest = (await log(process))[0]
    assert newest["details"]["reason"] == "folded"
    assert newest["details"]["count"] == 300
    assert newest["details"]["reasons"] == {"enrollment_required": 300}
    assert (newest["event"], newest["actor_type"]) == ("admin.access.denied", "system")

    process.clock.advance(3601)
    await record(crowd(1))
    assert await count(process) == MOST_AN_HOUR + 2
    assert (await log(process))[0]["details"]["reason"] == "enrollment_required"


async def test_nobody_cannot_use_up_the_room(sqlite_process: AdminProcess) -> None:
    """Denials without a proven person, folded or not, leave half of the room to proven ones."""
    process, record = sqlite_process, sqlite_process.services.denials.record
    noise = DenialReport((denial(sub="", reason="token_missing"),) * 100, 0)
    await record(DenialReport(noise.denials[:50], 0))
    for _ in range(3):
        await record(noise)
    assert await count(process) == MOST_UNPROVEN_AN_HOUR + 1  # the folded row

    for _ in range(MOST_UNPROVEN_AN_HOUR + 1):
        await record(DenialReport(noise.denials[:1], 0))
    await record(crowd(3))

    assert [row["actor_id"] for row in await log(process)][:3] == ["sub-2", "sub-1", "sub-0"]


async def test_what_matters_most_gets_the_last_room(process: AdminProcess) -> None:
    """Within a batch a changed subject comes first, then proven people, then nobody."""
    for _ in range(6):
        await process.services.denials.record(crowd(99))
    left = MOST_AN_HOUR - 6 * 99
    batch = [denial(sub="")] * 3 + [denial(sub=f"s{one}") for one in range(left - 1)]
    await process.services.denials.record(DenialReport((*batch, denial(reason="subject_changed")), dropped=0))
    events = (await process.events())[6 * 99 :]

    assert events[0] == "admin.access.subject_changed"
    assert events[1:] == ["admin.access.denied"] * left  # the last one of them is folded
    assert (await log(process))[0]["details"]["count"] == 3


async def test_what_a_sidecar_dropped_is_told(process: AdminProcess) -> None:
    """What the sidecar had no room to remember is one row with its number; nothing at all is no row."""
    assert await report(process) == 204
    assert await process.events() == []

    assert await report(process, reported(), dropped=41) == 204
    folded = (await log(process))[0]["details"]

    assert [event for event in await process.events() if "denied" in event] == ["admin.access.denied"] * 2
    assert folded == {"reason": "folded", "count": 41, "reasons": {}, "dropped": 41}


async def test_reports_at_the_same_time_keep_the_bound(process: AdminProcess) -> None:
    """Several sidecars that report at once do not each count without the others' rows."""
    for _ in range(5):
        await process.services.denials.record(crowd(100))

    await asyncio.gather(*(process.services.denials.record(crowd(60)) for _ in range(4)))

    rows = await process.events()
    assert len(rows) - MOST_AN_HOUR == 3  # 60 + 40 of their own, and the rest of three batches folded


async def test_a_hostile_header_cannot_unwrite_a_report(process: AdminProcess) -> None:
    """Control characters in what a client chose are replaced, not refused; 204 and a row."""
    hostile = "a\u0000b\nc\u202e\U0001f99c"

    status = await report(
        process, reported(userAgent=hostile, email=hostile, sub=hostile, route=hostile, ip=hostile)
    )
    row, person = (await process.rows("audit_events"))[0], (await process.rows("audit_pii"))[0]

    assert status == 204
    assert row["actor_id"] == person["user_agent"] == "a\ufffdb\ufffdc\u202e\U0001f99c"


@pytest.mark.parametrize(
    "body",
    [
        {"denials": [reported()] * 101, "dropped": 0},
        {"denials": [], "dropped": -1},
        {"denials": []},
        {"denials": [reported(reason="Not a word")], "dropped": 0},
        {"denials": [reported(reason="word\n")], "dropped": 0},
        {"denials": [reported(reason="a" * 41)], "dropped": 0},
        {"denials": [reported(count=0)], "dropped": 0},
        {"denials": [reported(count="1")], "dropped": 0},
        {"denials": [reported(count=10**12)], "dropped": 0},
        {"denials": [reported(sub="s" * 256)], "dropped": 0},
        {"denials": [reported(userAgent="u" * 301)], "dropped": 0},
        {"denials": [reported(firstAt="2026-01-02T03:04:05")], "dropped": 0},
        {"denials": [reported(firstAt=(START + timedelta(seconds=1)).isoformat())], "dropped": 0},
        {"denials": [reported(extra=1)], "dropped": 0},
        {"denials": [{**reported(), "email": None}], "dropped": 0},
    ],
)
async def test_a_report_of_another_shape_is_refused(
    sqlite_process: AdminProcess, body: dict[str, object]
) -> None:
    """422, and nothing of the report is written."""
    response = await sqlite_process.ask_as_sidecar("POST", DENIALS, body)

    assert response.status in {413, 422}
    assert await sqlite_process.events() == []


async def test_a_full_batch_fits(sqlite_url: str) -> None:
    """A hundred ordinary denials are one report of less than the 64 KiB that a body may have."""
    async with admin_process(sqlite_url) as process:
        assert await report(process, *(reported(sub=f"sub-{one}") for one in range(100))) == 204
        assert len(await process.events()) == 100


async def test_only_a_process_of_ours_reports(sqlite_process: AdminProcess) -> None:
    """No person, not even a super_admin, writes denials; without proof it is 401."""
    await sqlite_process.add()
    body = {"denials": [reported()], "dropped": 0}

    person = await sqlite_process.ask("POST", DENIALS, body=body)
    nobody = await sqlite_process.client.post(DENIALS, json=body)

    assert (person.status, nobody.status) == (403, 401)
    assert await sqlite_process.events() == []


async def test_support_reads_no_denials(sqlite_process: AdminProcess) -> None:
    """R-132: the rows are `admin.*`, so support does not see them."""
    await sqlite_process.add(Role.SUPPORT)
    await report(sqlite_process, reported())

    listing = await sqlite_process.ask("GET", "/api/admin/audit-logs?allow_partial=1", Role.SUPPORT)

    assert (await listing.json())["data"] == []
