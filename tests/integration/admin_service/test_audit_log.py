"""The audit log over both services through the API (R-030…R-033, R-080, R-090, C-09)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from admin_service.audit.service import Reader
from admin_service.operators.models import NewOperator
from admin_service.tables import AUDIT
from service_kit.audit.notes import origin_of, proven
from service_kit.audit.queries import AuditFilter
from service_kit.identity.binding import DELEGATION_HEADER
from service_kit.identity.keys import load_signing_keys, new_signing_key
from service_kit.identity.model import Role
from service_kit.ids import IdFactory
from tests.fakes.clock import FrozenClock
from tests.integration.admin_service.admin_process import AUDIT_LOG, AdminProcess, asker
from tests.integration.service_kit.audit.signing import sign_heads

DELEGATED = {DELEGATION_HEADER: "the.delegation.token"}
S1_FIELDS = {"actor_email", "action", "resource_type", "resource_id", "details", "created_at"}


def tenant_row(at: datetime, **members: Any) -> Mapping[str, Any]:
    """A row as the tenant service's answer is parsed."""
    row: dict[str, Any] = dict.fromkeys(
        ("action", "actor_type", "actor_id", "actor_role", "target_type", "target_id", "resource_type"), "x"
    )
    return {
        **row,
        "id": IdFactory(FrozenClock(at)).new("aud"),
        "occurred_at": at,
        "event": "tenant.created",
        "event_version": 1,
        "action": "create_tenant",
        "severity": "NOTICE",
        "outcome": "success",
        "actor_email": "ada@example.com",
        "actor_name": None,
        "ip": None,
        "resource_id": "org_1",
        "organization_id": None,
        "scope": "global",
        "request_id": "req_1",
        "reason": "",
        "ticket_ref": "",
        "pair_id": None,
        "chain": "global",
        "chain_seq": 1,
        "hash": "h",
        "prev_hash": "p",
        "details": {"plan": "free"},
        **members,
    }


async def read(
    process: AdminProcess, query: str = "", role: Role = Role.SUPER_ADMIN, *, delegated: bool = True
) -> tuple[int, Any]:
    response = await process.ask("GET", AUDIT_LOG + query, role, headers=DELEGATED if delegated else None)
    return response.status, await response.json()


def acts(answer: Any) -> list[Any]:
    """The rows but those about reading the log itself."""
    return [row for row in answer["data"] if row["event"] != "admin.audit_log.viewed"]


@pytest.fixture
async def busy(process: AdminProcess) -> AdminProcess:
    """Two own rows and one of the tenant service between them in time."""
    for role in Role:
        await process.add(role)
    await process.services.provisioning.create(asker(), NewOperator("a@example.com", "A", Role.SUPPORT))
    process.clock.advance(1)
    process.tenants.rows.append(tenant_row(process.clock.now()))
    process.clock.advance(1)
    await process.services.standing.deactivate(asker(), "adm_read_only", reason="left the company")
    return process


async def test_one_list_over_both_services(busy: AdminProcess) -> None:
    """Rows of both databases in one order, newest first, with both seeds' fields (R-030, R-031, C-09)."""
    status, answer = await read(busy)
    newest = answer["data"][0]

    assert status == 200
    assert [(row["event"], row["source"]) for row in answer["data"]] == [
        ("admin.operator.deactivated", "admin"),
        ("tenant.created", "tenant"),
        ("admin.enrollment.issued", "admin"),
        ("admin.operator.created", "admin"),
    ]
    assert answer["data"][0].keys() >= S1_FIELDS | {"event", "actor_type", "target_type", "organization_id"}
    assert (newest["actor_email"], newest["action"], newest["resource_type"], newest["resource_id"]) == (
        "super_admin@example.com",
        "deactivate_operator",
        "operator",
        "adm_read_only",
    )
    assert newest["reason"] == "left the company"
    assert answer["data"][1]["actor_name"] == ""
    assert (answer["partial"], answer["missing"]) == (False, [])
    assert busy.tenants.asked_with == ["the.delegation.token"]


async def test_support_and_read_only_never_see_admin_events(busy: AdminProcess) -> None:
    """`admin.*` is hidden in lists and by id, asking for it is 403; security sees all (R-080, R-132)."""
    await busy.sql("UPDATE global_admins SET deactivated_at = NULL WHERE id = 'adm_read_only'")
    hidden_id = (await busy.rows("audit_events"))[0]["id"]
    for role in (Role.SUPPORT, Role.READ_ONLY):
        _, answer = await read(busy, role=role)
        by_id, problem = await read(busy, f"/{hidden_id}", role)

        assert {row["event"].split(".")[0] for row in answer["data"]} == {"tenant"}
        assert (by_id, problem["code"]) == (404, "AUDIT_EVENT_NOT_FOUND")
        for pattern in ("admin.*", "admin.operator.created", "admin.operator.*", "admin"):
            status, problem = await read(busy, f"?event={pattern}", role)

            assert (status, problem["code"]) == (403, "ADMIN_EVENTS_FORBIDDEN")
    for role in (Role.SECURITY, Role.SUPER_ADMIN):
        status, answer = await read(busy, "?event=admin.*", role)

        assert status == 200
        assert len(acts(answer)) == 3
        assert (await read(busy, f"/{hidden_id}", role))[0] == 200


@pytest.mark.parametrize("pattern", ["%25", "*", "adm*", "admin.%25", ".*", "Admin.*", "admin..*"])
async def test_a_pattern_that_is_none_is_refused(sqlite_process: AdminProcess, pattern: str) -> None:
    """`event` is a name or a prefix, never a wildcard with which to reach `admin.*` (R-080)."""
    await sqlite_process.add(Role.SUPPORT)

    status, problem = await read(sqlite_process, f"?event={pattern}", Role.SUPPORT)

    assert (status, problem["code"]) == (400, "QUERY_INVALID")


async def test_a_source_that_is_away(busy: AdminProcess) -> None:
    """Without the tenant service: 503, unless partial is asked for; then the answer says what is missing."""
    busy.tenants.away = True
    for delegated in (True, False):
        status, problem = await read(busy, delegated=delegated)
        partial_status, answer = await read(busy, "?allow_partial=1", delegated=delegated)

        assert (status, problem["code"]) == (503, "AUDIT_SOURCE_UNAVAILABLE")
        assert partial_status == 200
        assert (answer["partial"], answer["missing"]) == (True, ["tenant"])
        assert len(acts(answer)) == 3


async def test_a_row_by_id_from_either_service(busy: AdminProcess) -> None:
    """Own rows and the tenant service's; unknown ids 404; 503 when nobody can say."""
    theirs = busy.tenants.rows[0]["id"]
    unknown = IdFactory(FrozenClock()).new("aud")

    assert (await read(busy, f"/{theirs}"))[1]["row"]["source"] == "tenant"
    assert (await read(busy, f"/{unknown}"))[0] == 404
    assert (await read(busy, "/nonsense"))[0] == 404
    busy.tenants.away = True
    status, problem = await read(busy, f"/{unknown}")
    assert (status, problem["code"]) == (503, "AUDIT_SOURCE_UNAVAILABLE")


async def test_filters_reach_the_rows(busy: AdminProcess) -> None:
    """Each filter of the API narrows this service's rows (http-api 3.2)."""
    row = (await read(busy))[1]["data"][0]
    wrong = {"from": "2027-01-01", "to": "2025-01-01T00:00:00Z", "severity": "CRITICAL", "outcome": "failure"}
    right = {
        "action": row["action"],
        "actorId": row["actor_id"],
        "actorEmail": row["actor_email"].upper(),
        "resourceType": row["resource_type"],
        "resourceId": row["resource_id"],
        "severity": row["severity"],
        "outcome": row["outcome"],
        "scope": "all",
        "from": "2026-01-02T03:04:05%2B00:00",
        "to": "2026-01-03",
    }
    busy.tenants.rows.clear()

    for name, value in right.items():
        found = (await read(busy, f"?{name}={value}"))[1]["data"]
        assert row["id"] in [one["id"] for one in found], name
    for name, value in wrong.items():
        assert (await read(busy, f"?{name}={value}"))[1]["data"] == [], name


async def test_pages_of_a_hundred(sqlite_process: AdminProcess) -> None:
    """The first page is the newest hundred (R-033), a larger limit is 400, the rest follows by cursor."""
    process = sqlite_process
    await process.add()
    for number in range(60):
        process.tenants.rows.append(tenant_row(process.clock.now()))
        await process.services.provisioning.create(
            asker(), NewOperator(f"n{number}@example.com", "N", Role.SUPPORT)
        )
        process.clock.advance(1)

    response = await process.ask("GET", AUDIT_LOG, headers=DELEGATED)
    first = await response.json()
    target = URL(response.links["next"]["url"]).path_qs
    second = await (await process.ask("GET", target, headers=DELEGATED)).json()

    assert len(first["data"]) == 100
    assert len(second["data"]) == 80
    assert len({row["id"] for row in first["data"] + second["data"]}) == 180
    assert second["page"]["nextCursor"] is None
    assert (await read(process, "?limit=101"))[0] == 400


async def test_two_delegations_are_ambiguous(sqlite_process: AdminProcess) -> None:
    """Of two delegation headers neither counts (R-005)."""
    from multidict import CIMultiDict

    await sqlite_process.add()
    proof = sqlite_process.vouch.headers(audience="admin_service", target=AUDIT_LOG)
    headers = CIMultiDict([*proof.items(), (DELEGATION_HEADER, "one"), (DELEGATION_HEADER, "two")])

    response = await sqlite_process.client.get(AUDIT_LOG, headers=headers)

    assert response.status == 401
    assert sqlite_process.tenants.asked_with == []


async def test_activity_counts_each_day(busy: AdminProcess) -> None:
    """One count a UTC day over both services, today last; a missing source is named, not guessed."""
    today = busy.clock.now().astimezone(UTC)
    busy.tenants.rows.append(tenant_row(today - timedelta(days=2)))
    reader = Reader(asker().actor, "delegation")

    full = await busy.services.audit.activity(reader, days=3)
    hidden = await busy.services.audit.activity(Reader(asker(Role.SUPPORT).actor, "delegation"), days=3)
    busy.tenants.away = True
    partial = await busy.services.audit.activity(reader, days=3)

    assert [day.count for day in full.days] == [1, 0, 4]
    assert full.days[-1].day == today.date()
    assert [day.count for day in hidden.days] == [1, 0, 1]
    assert [day.count for day in partial.days] == [0, 0, 3]
    assert [source.value for source in partial.missing] == ["tenant"]


async def test_reading_the_log_is_noted_once(busy: AdminProcess) -> None:
    """Data-model 2.6: one INFO row for each session and filter, with the reader; paging on adds none."""
    for query in ("", "?limit=1", "", "?actorEmail=bob%40example.com", "?actorEmail=bob%40example.com"):
        assert (await read(busy, query, Role.SECURITY))[0] == 200
    await busy.services.audit.page(Reader(asker(Role.SECURITY).actor, "delegation"), AuditFilter())
    views = [row for row in await busy.rows("audit_events") if row["event"] == "admin.audit_log.viewed"]
    persons = {row["event_id"]: row for row in await busy.rows("audit_pii")}

    assert [(row["severity"], row["actor_id"]) for row in views] == [("INFO", "adm_security")] * 2
    assert "bob" not in str(views[1]["details"])
    assert "bob@example.com" in str(persons[views[1]["id"]]["details_pii"])

    busy.clock.advance(9 * 3600)
    await read(busy, "", Role.SECURITY)
    again = [row for row in await busy.rows("audit_events") if row["event"] == "admin.audit_log.viewed"]
    assert len(again) == 3


async def test_a_row_shows_its_place(busy: AdminProcess, tmp_path: Path) -> None:
    """A row comes with its neighbours' hashes, the head of its chain and the note that covers it (R-030)."""
    rows = sorted(await busy.rows("audit_events"), key=lambda row: row["chain_seq"])
    before = (await read(busy, f"/{rows[1]['id']}"))[1]["place"]
    new_signing_key(tmp_path / "key.pem")
    (key,) = load_signing_keys(tmp_path / "key.pem")
    await sign_heads(busy.database, AUDIT, "admin_service", key, busy.clock)
    after = (await read(busy, f"/{rows[1]['id']}"))[1]["place"]

    assert before == {
        "previousHash": rows[0]["hash"],
        "nextHash": rows[2]["hash"],
        "headSeq": len(rows),
        "checkpoint": None,
        "checkpointSeq": None,
    }
    public = {key.kid: key.private.public_key()}
    assert after["checkpointSeq"] == len(rows)
    assert proven(after["checkpoint"], origin_of("admin_service"), public).checkpoint.chain == "global"
    assert (await read(busy, f"/{rows[0]['id']}"))[1]["place"]["previousHash"] is None


async def test_the_catalogue_names_every_event(busy: AdminProcess) -> None:
    """C-09: every operator may read what both services record; half a catalogue is none."""
    await busy.sql("UPDATE global_admins SET deactivated_at = NULL WHERE id = 'adm_read_only'")
    target = "/api/admin/events/catalogue"
    for role in Role:
        response = await busy.ask("GET", target, role, headers=DELEGATED)
        found = {(row["source"], row["event"]): row for row in (await response.json())["data"]}

        assert response.status == 200
        assert found["tenant", "tenant.created"]["scope"] == "dual"
        assert found["admin", "admin.audit_log.exported"] == {
            "source": "admin",
            "event": "admin.audit_log.exported",
            "action": "export_audit_log",
            "severity": "WARNING",
            "scope": "global",
            "version": 1,
            "resourceType": "audit_log",
        }
    busy.tenants.away = True
    assert (await busy.ask("GET", target, headers=DELEGATED)).status == 503
    assert (await busy.ask("GET", target)).status == 503
