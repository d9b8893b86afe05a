"""Reading the audit log of this service, as the admin service does in an operator's name."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import TestClient, TestServer

from service_kit.audit.chain import row_hash
from service_kit.identity.model import Role
from tenant_service.tables import schema
from tests.integration.tenant_service.tenant_process import TenantProcess, new_tenant

EVENTS = "/internal/v1/audit-events"
ACTIVITY = "/internal/v1/audit-activity"


async def read(
    process: TenantProcess, role: Role = Role.SUPER_ADMIN, **parameters: Any
) -> Sequence[Mapping[str, Any]]:
    answer = await process.get(f"{EVENTS}?{urlencode(parameters)}", role, delegate="admin_service")
    assert answer.status == 200, await answer.text()
    rows: Sequence[Mapping[str, Any]] = (await answer.json())["data"]
    return rows


async def test_rows_come_with_every_column(process: TenantProcess) -> None:
    """The admin service gets S1's and S2's fields and the place in the chain, so it can verify the row."""
    made = await (
        await process.create(new_tenant(reason="Signed contract"), operator_id="adm_7", request_id="req_1")
    ).json()

    [row] = await read(process)

    [stored] = [dict(each) for each in await process.rows("audit_events") if each["scope"] == "global"]
    assert row["id"] == stored["id"]
    assert row["actorEmail"] == "super_admin@example.com"
    assert row["actorName"] == "Test super_admin"
    assert row["details"] == {
        "slug": "acme",
        "name": "Acme Inc",
        "plan": "free",
        "currency": "INR",
        "invitationId": made["invitationId"].rsplit("_", 1)[0],
        "ownerEmail": "bob@example.com",
    }
    assert (row["chain"], row["chainSeq"], row["hash"]) == ("global", 1, stored["hash"])
    assert row["occurredAt"] == "2026-01-02T03:04:05Z"
    assert (row["event"], row["action"], row["resourceType"]) == (
        "tenant.created",
        "create_tenant",
        "tenant",
    )


async def test_the_hash_of_a_row_can_be_checked(process: TenantProcess) -> None:
    """`hash = SHA-256(prev_hash ‖ row)` holds for what the database gives back (data-model 2.6)."""
    await process.create(new_tenant(name="Cafe\u0301"))
    events = schema().audit.events

    async with process.database.read() as session:
        rows = await session.rows(events.select())

    assert len(rows) == 2
    for row in rows:
        assert row_hash(row["prev_hash"], dict(row)) == row["hash"]


async def test_each_action_is_shown_once_unless_both_scopes_are_asked_for(process: TenantProcess) -> None:
    """The default is the platform's own view."""
    await process.create(new_tenant())

    assert [row["scope"] for row in await read(process)] == ["global"]
    assert [row["scope"] for row in await read(process, scope="tenant")] == ["tenant"]
    assert sorted(row["scope"] for row in await read(process, scope="all")) == ["global", "tenant"]


@pytest.mark.parametrize(
    ("role", "sees"),
    [(Role.SUPER_ADMIN, True), (Role.SECURITY, True), (Role.SUPPORT, False), (Role.READ_ONLY, False)],
)
async def test_admin_events_are_hidden_from_roles_without_the_permission(
    process: TenantProcess, role: Role, sees: bool
) -> None:
    """By list, filter, id, twin and count: support and read_only meet no `admin.*` row (R-080)."""
    hidden_id = await process.record_admin_event()
    await process.create(new_tenant())

    events = {row["event"] for row in await read(process, role, scope="all")}
    asked_for = await read(process, role, event="admin.*", scope="all")
    detail = await process.get(f"{EVENTS}/{hidden_id}", role)
    activity = await (await process.get(f"{ACTIVITY}?days=1", role)).json()

    assert ("admin.support_query.executed" in events) is sees
    assert len(asked_for) == (2 if sees else 0)
    assert detail.status == (200 if sees else 404)
    assert activity["data"][0]["count"] == (2 if sees else 1)


async def test_a_hidden_row_and_no_row_answer_alike(process: TenantProcess) -> None:
    """A 404 does not tell that there is something to hide (R-080)."""
    hidden_id = await process.record_admin_event()
    missing = ("aud_01ARZ3NDEKTSV4RRFFQ69G5FAV", "%00", "aud_x", "9" * 300)

    answers = [
        await process.get(f"{EVENTS}/{event_id}", Role.SUPPORT, request_id="req_1")
        for event_id in (hidden_id, *missing)
    ]

    assert {answer.status for answer in answers} == {404}
    assert len({await answer.text() for answer in answers}) == 1


async def test_a_row_comes_with_its_twin(process: TenantProcess) -> None:
    """The detail shows the other row of the pair, from either side (R-126)."""
    await process.create(new_tenant())
    by_scope = {row["scope"]: row["id"] for row in await read(process, scope="all")}

    for own, other in (("global", "tenant"), ("tenant", "global")):
        body = await (await process.get(f"{EVENTS}/{by_scope[own]}")).json()
        assert (body["row"]["id"], body["twin"]["id"]) == (by_scope[own], by_scope[other])


async def test_raw_places_walk_the_log_there_and_back(process: TenantProcess) -> None:
    """`before…` gives older rows and `after…` newer ones, always newest first, also within one instant."""
    for number in range(7):
        await process.create(new_tenant(f"acme-{number}"))
        process.clock.advance(number % 2)
    everything = [row["id"] for row in await read(process)]

    def place(row: Mapping[str, Any], word: str) -> dict[str, Any]:
        return {f"{word}At": row["occurredAt"], f"{word}Id": row["id"]}

    first = await read(process, limit=3)
    second = await read(process, limit=3, **place(first[-1], "before"))
    back = await read(process, limit=3, **place(second[0], "after"))
    newest_of_many = await read(process, limit=2, **place(second[-1], "after"))

    assert len(everything) == 7
    assert [row["id"] for row in first] == everything[:3]
    assert [row["id"] for row in second] == everything[3:6]
    assert [row["id"] for row in back] == everything[:3]
    assert [row["id"] for row in newest_of_many] == everything[3:5]


async def test_filters_narrow_the_rows(process: TenantProcess) -> None:
    """Each filter leaves out what does not fit, and finds what does."""
    made = await (await process.create(new_tenant(), operator_id="adm_7", request_id="req_1")).json()

    fits: list[dict[str, Any]] = [
        {"event": "tenant.created"},
        {"event": "tenant.*"},
        {"action": "create_tenant"},
        {"actorId": "adm_7"},
        {"actorEmail": "Super_Admin@example.com"},
        {"resourceType": "tenant", "resourceId": made["orgId"]},
        {"organizationId": made["orgId"], "scope": "tenant"},
        {"severity": "NOTICE", "outcome": "success"},
        {"requestId": "req_1"},
        {"from": "2026-01-02T03:04:05Z", "to": "2026-01-02T03:04:06Z"},
        {"from": "2026-01-02"},
    ]
    fits_not: list[dict[str, Any]] = [
        {"event": "tenant"},
        {"event": "ten%.*"},
        {"action": "x"},
        {"actorId": "adm_8"},
        {"actorEmail": "super_admin@example.co"},
        {"organizationId": made["orgId"]},
        {"severity": "CRITICAL"},
        {"outcome": "denied"},
        {"to": "2026-01-02T03:04:05Z"},
        {"from": "2026-01-03"},
    ]

    for wanted in fits:
        assert len(await read(process, **wanted)) == 1, wanted
    for wanted in fits_not:
        assert len(await read(process, **wanted)) == 0, wanted


@pytest.mark.parametrize(
    "query",
    [
        "limit=102",
        "limit=0",
        "scope=none",
        "severity=LOUD",
        "outcome=ok",
        "event=%00",
        "beforeAt=2026-01-01",
        "beforeId=aud_1",
        "afterId=aud_1",
        "beforeAt=2026-01-01&afterId=aud_1",
        "beforeAt=2026-01-01&beforeId=a&afterAt=2026-01-01&afterId=b",
        "beforeAt=0001-01-01T00:00:00%2B14:00&beforeId=a",
        "from=" + "9" * 400,
        "unknown=1",
        "actorEmail=" + "x" * 400,
    ],
)
async def test_a_wrong_query_is_the_clients_error(sqlite_process: TenantProcess, query: str) -> None:
    """400 with the field, never a 5xx."""
    answer = await sqlite_process.get(f"{EVENTS}?{query}")

    assert (answer.status, (await answer.json())["code"]) == (400, "QUERY_INVALID")


async def test_the_activity_has_an_entry_for_every_day(process: TenantProcess) -> None:
    """Actions are counted by UTC day, each once, and quiet days are zero."""
    process.clock.advance(20 * 3600)  # 23:04:05 UTC
    await process.create(new_tenant("first"))
    process.clock.advance(3600)  # the next day
    await process.create(new_tenant("second"))
    await process.create(new_tenant("third"))
    process.clock.advance(24 * 3600)

    answer = await process.get(f"{ACTIVITY}?days=4")

    assert (await answer.json())["data"] == [
        {"day": "2026-01-01", "count": 0},
        {"day": "2026-01-02", "count": 1},
        {"day": "2026-01-03", "count": 2},
        {"day": "2026-01-04", "count": 0},
    ]


@pytest.mark.parametrize("days", ["0", "367", "-1", "x", "9" * 5000])
async def test_days_that_are_none_are_refused(sqlite_process: TenantProcess, days: str) -> None:
    """A chart of no day, or of ten years, is no chart."""
    assert (await sqlite_process.get(f"{ACTIVITY}?days={days}")).status == 400


@pytest.mark.parametrize(("role", "status"), [*((role, 200) for role in Role), (None, 403)])
@pytest.mark.parametrize("target", [EVENTS, ACTIVITY])
async def test_every_operator_may_read_the_log(
    sqlite_process: TenantProcess, role: Role | None, status: int, target: str
) -> None:
    """All four roles hold `platform.view_audit_logs_global` (R-090); a person who is no operator does not."""
    assert (await sqlite_process.get(target, role)).status == status


async def test_the_log_is_proven_for_the_admin_service(process: TenantProcess) -> None:
    """R-030: the tenant service proves its own part, for those alone who may export (R-075)."""
    await process.create(new_tenant())
    whole = await process.get("/internal/v1/audit-events/verify")
    answer = await whole.json()
    assert (whole.status, answer["ok"], answer["checked"], answer["firstBreak"]) == (200, True, 2, None)
    assert (await process.get("/internal/v1/audit-events/verify", Role.SUPPORT)).status == 403

    drop = "DROP TRIGGER audit_events_no_update"
    if process.database.dialect == "postgresql":
        drop = "ALTER TABLE audit_events DISABLE TRIGGER ALL"
    await process.sql(drop, "UPDATE audit_events SET reason = 'other' WHERE chain = 'global'")
    answer = await (await process.get("/internal/v1/audit-events/verify?chain=global")).json()

    assert (answer["ok"], answer["firstBreak"]["seq"], answer["firstBreak"]["differs"]) == (False, 1, "hash")


async def test_the_operations_listener_shows_signed_notes(sqlite_process: TenantProcess) -> None:
    """Checkpoints, witnesses and public keys, and no way in: nothing can be sent there."""
    async with TestClient(TestServer(sqlite_process.apps.ops)) as ops:
        keys = await (await ops.get("/audit/keys")).json()
        answers = [await ops.get(f"/audit/{name}") for name in ("checkpoints", "witnesses")]
        refused = [
            (await ops.get("/audit/checkpoints?after=yesterday")).status,
            (await ops.get("/audit/checkpoints?after=2026-01-01")).status,
            (await ops.post("/audit/witnesses", json={"notes": []})).status,
        ]

        assert [key["crv"] for key in keys["keys"]] == ["Ed25519"]
        assert "d" not in keys["keys"][0]
        assert [(answer.status, await answer.json()) for answer in answers] == [(200, {"notes": []})] * 2
        assert refused == [400, 400, 405]
