"""Provisioning, listing and deactivating operators through the API (R-067…R-081, R-091…R-093)."""

import hashlib
from datetime import datetime, timedelta

import pytest
from yarl import URL

from service_kit.errors import ForbiddenError
from service_kit.identity.model import OPERATOR_PERMISSIONS, Role
from tests.integration.admin_service.admin_process import (
    ACTIVITY,
    OPERATORS,
    AdminProcess,
    asker,
)

NEW = {"email": "  New.Person@Example.com ", "name": " New Person ", "role": "support"}


def deactivation(operator_id: str) -> str:
    return f"{OPERATORS}/{operator_id}/deactivate"


async def test_provisioning_shows_the_token_once(process: AdminProcess) -> None:
    """201 with a 24 h token; only its SHA-256 is stored, and the row is pending (R-067, C-12)."""
    await process.add()

    response = await process.ask("POST", OPERATORS, body=NEW)
    answer = await response.json()
    row = await process.row(answer["id"])

    assert response.status == 201
    assert set(answer) == {"id", "enrollmentToken", "enrollmentTokenExpiresAt", "shownOnce"}
    assert answer["shownOnce"] is True
    assert answer["enrollmentToken"].startswith("enr_")
    assert len(answer["enrollmentToken"]) == 4 + 43
    expires = datetime.fromisoformat(answer["enrollmentTokenExpiresAt"])
    assert expires - process.clock.now() == timedelta(hours=24)
    assert row["enrollment_token_hash"] == hashlib.sha256(answer["enrollmentToken"].encode()).hexdigest()
    assert (row["email"], row["name"], row["role"]) == ("new.person@example.com", "New Person", "support")
    assert row["cf_access_sub"] is None
    assert response.headers["Cache-Control"] == "no-store"


async def test_provisioning_is_recorded(process: AdminProcess) -> None:
    """Two WARNING rows of the acting operator tell of it; neither holds the token."""
    await process.add()

    response = await process.ask("POST", OPERATORS, body=NEW, request_id="req_abc")
    token = (await response.json())["enrollmentToken"]
    rows = sorted(await process.rows("audit_events"), key=lambda row: row["chain_seq"])
    people = await process.rows("audit_pii")

    assert [row["event"] for row in rows] == ["admin.operator.created", "admin.enrollment.issued"]
    assert {row["severity"] for row in rows} == {"WARNING"}
    assert {(row["actor_id"], row["actor_role"], row["request_id"], row["scope"]) for row in rows} == {
        ("adm_super_admin", "super_admin", "req_abc", "global")
    }
    assert {person["actor_email"] for person in people} == {"super_admin@example.com"}
    assert token not in repr(rows) + repr(people)


async def test_no_read_returns_a_token_or_its_hash(process: AdminProcess) -> None:
    """Nothing but the creation's own answer holds the token (R-068)."""
    await process.add()
    token = (await (await process.ask("POST", OPERATORS, body=NEW)).json())["enrollmentToken"]
    digest = hashlib.sha256(token.encode()).hexdigest()

    listing = await (await process.ask("GET", OPERATORS)).text()
    log = await (await process.ask("GET", "/api/admin/audit-logs?allow_partial=1")).text()

    for secret in (token, digest):
        assert secret not in listing
        assert secret not in log


async def test_one_live_operator_per_address(process: AdminProcess) -> None:
    """A second live row for an address is 409; after a deactivation the address is free again."""
    await process.add()
    first = await (await process.ask("POST", OPERATORS, body=NEW)).json()

    again = await process.ask("POST", OPERATORS, body={**NEW, "email": "NEW.PERSON@example.com"})
    await process.ask("POST", deactivation(first["id"]))
    later = await process.ask("POST", OPERATORS, body=NEW)

    assert again.status == 409
    assert (await again.json())["code"] == "OPERATOR_EXISTS"
    assert later.status == 201


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"role": "owner"}, 422),
        ({"email": "no address"}, 422),
        ({"name": " "}, 422),
        ({"name": "two\nlines"}, 422),
        ({"extra": 1}, 422),
        ({"role": None}, 422),
    ],
)
async def test_a_wrong_body_names_its_field(
    sqlite_process: AdminProcess, change: dict[str, object], status: int
) -> None:
    """A wrong field is 422 with its pointer, and nothing is written."""
    await sqlite_process.add()

    response = await sqlite_process.ask("POST", OPERATORS, body={**NEW, **change})
    problem = await response.json()

    assert response.status == status
    assert [entry["pointer"] for entry in problem["errors"]] == [f"/{next(iter(change))}"]
    assert len(await sqlite_process.rows("global_admins")) == 1


async def test_only_a_super_admin_grants_super_admin(
    sqlite_process: AdminProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a role that could manage operators cannot make a super_admin (R-076, R-131)."""
    await sqlite_process.add()
    await sqlite_process.add(Role.SUPPORT)
    matrix = {**OPERATOR_PERMISSIONS, Role.SUPPORT: OPERATOR_PERMISSIONS[Role.SUPER_ADMIN]}
    monkeypatch.setattr("service_kit.identity.model.OPERATOR_PERMISSIONS", matrix)
    monkeypatch.setattr("admin_service.operators.changes.OPERATOR_PERMISSIONS", matrix)

    refused = await sqlite_process.ask("POST", OPERATORS, Role.SUPPORT, body={**NEW, "role": "super_admin"})
    allowed = await sqlite_process.ask("POST", OPERATORS, Role.SUPPORT, body=NEW)

    assert refused.status == 403
    assert (await refused.json())["code"] == "SUPER_ADMIN_GRANT_FORBIDDEN"
    assert allowed.status == 201


async def test_the_list_filters_and_pages(process: AdminProcess) -> None:
    """State, role and a part of name or address filter; pages follow each other without gap (R-091)."""
    await process.add(name="Ada 100%")
    for number in range(4):
        process.clock.advance(1)
        await process.add(Role.SUPPORT, operator_id=f"adm_s{number}", name=f"Örjan Ek {number}")
    await process.add_pending("adm_p", "enr_p", role=Role.READ_ONLY)
    await process.ask("POST", deactivation("adm_s0"))

    async def ids(query: str) -> list[str]:
        answer = await (await process.ask("GET", f"{OPERATORS}{query}")).json()
        return [row["id"] for row in answer["data"]]

    assert await ids("?state=active&role=support") == ["adm_s3", "adm_s2", "adm_s1"]
    assert await ids("?state=pending") == ["adm_p"]
    assert await ids("?state=deactivated") == ["adm_s0"]
    assert await ids("?q=ADA") == ["adm_super_admin"]
    assert await ids("?q=%25") == ["adm_super_admin"]
    assert await ids("?q=s2%40example") == ["adm_s2"]
    assert await ids("?q=%C3%96rjan+EK+1") == ["adm_s1"]

    seen: list[str] = []
    target = f"{OPERATORS}?limit=2"
    while True:
        response = await process.ask("GET", target)
        answer = await response.json()
        seen += [row["id"] for row in answer["data"]]
        if not answer["page"]["hasMore"]:
            break
        target = URL(response.links["next"]["url"]).path_qs
    back = await (
        await process.ask("GET", f"{OPERATORS}?limit=2&cursor={answer['page']['prevCursor']}")
    ).json()

    assert seen == await ids("")
    assert len(seen) == 6
    assert [row["id"] for row in back["data"]] == seen[2:4]


async def test_a_cursor_of_other_filters_is_refused(sqlite_process: AdminProcess) -> None:
    """A cursor is bound to its list: with another filter, or after tampering, it is 400 INVALID_CURSOR."""
    await sqlite_process.add()
    await sqlite_process.add(Role.SUPPORT)
    page = (await (await sqlite_process.ask("GET", f"{OPERATORS}?limit=1")).json())["page"]

    for query in (f"?limit=1&role=support&cursor={page['nextCursor']}", f"?cursor=x{page['nextCursor']}"):
        response = await sqlite_process.ask("GET", OPERATORS + query)

        assert response.status == 400
        assert (await response.json())["code"] == "INVALID_CURSOR"


async def test_deactivation_is_immediate_recorded_and_repeatable(process: AdminProcess) -> None:
    """A deactivated row says who, when and why; a repeat is 200 and writes nothing (R-064, R-093)."""
    await process.add()
    await process.add(Role.SUPPORT)

    first = await process.ask("POST", deactivation("adm_support"), body={"reason": "left"})
    row = await process.row("adm_support")
    process.clock.advance(60)
    again = await process.ask("POST", deactivation("adm_support"), body={"reason": "again"})

    assert first.status == again.status == 200
    assert (await first.json())["state"] == "deactivated"
    assert (row["deactivated_by"], row["deactivation_reason"]) == ("adm_super_admin", "left")
    assert row["version"] == 2
    assert await process.row("adm_support") == row
    assert await process.events() == ["admin.operator.deactivated"]
    assert (await process.rows("audit_events"))[0]["reason"] == "left"


async def test_a_deactivated_pending_operator_loses_the_token(process: AdminProcess) -> None:
    """The token dies with the row, so that nobody can claim it later (G-17)."""
    await process.add()
    await process.add_pending("adm_p", "enr_p")

    await process.ask("POST", deactivation("adm_p"))

    assert (await process.row("adm_p"))["enrollment_token_hash"] is None


async def test_what_deactivation_refuses(process: AdminProcess) -> None:
    """Nobody deactivates themselves (R-078), and an unknown id is 404."""
    await process.add()

    own = await process.ask("POST", deactivation("adm_super_admin"))
    unknown = await process.ask("POST", deactivation("adm_nobody"))

    assert (own.status, (await own.json())["code"]) == (409, "SELF_DEACTIVATION_FORBIDDEN")
    assert (unknown.status, (await unknown.json())["code"]) == (404, "OPERATOR_NOT_FOUND")
    assert await process.events() == []


async def test_me_says_what_the_row_says(process: AdminProcess) -> None:
    """/me names the operator and every permission of the role, from the row."""
    await process.add(Role.SECURITY, name="Grace")

    answer = await (await process.ask("GET", "/api/admin/me", Role.SECURITY)).json()

    assert (answer["name"], answer["role"]) == ("Grace", "security")
    assert set(answer["permissions"]) == {one.value for one in OPERATOR_PERMISSIONS[Role.SECURITY]}


async def test_sightings_only_move_forward(process: AdminProcess) -> None:
    """A late report moves nothing back, the future counts as now, unknown ids are ignored (R-065)."""
    await process.add()
    now = process.clock.now()

    async def report(at: datetime) -> object:
        seen = [{"id": "adm_super_admin", "at": at.isoformat()}, {"id": "adm_x", "at": now.isoformat()}]
        response = await process.ask_as_sidecar("POST", ACTIVITY, {"seen": seen})
        assert response.status == 204
        return (await (await process.ask("GET", "/api/admin/me")).json())["lastActiveAt"]

    first = await report(now - timedelta(seconds=10))
    late = await report(now - timedelta(seconds=60))
    future = await report(now + timedelta(days=1))

    assert datetime.fromisoformat(str(first)) == now - timedelta(seconds=10)
    assert late == first
    assert datetime.fromisoformat(str(future)) == now
    assert (await process.row("adm_super_admin"))["version"] == 1


async def test_a_caller_demoted_meanwhile_changes_nothing(process: AdminProcess) -> None:
    """The service re-checks the actor's row inside the transaction, whatever the identity said (R-064)."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.add(Role.SUPPORT)
    await process.sql("UPDATE global_admins SET role = 'security' WHERE id = 'adm_super_admin'")

    with pytest.raises(ForbiddenError) as caught:
        await process.services.standing.deactivate(asker(), "adm_support")

    assert caught.value.code == "PERMISSION_DENIED"
    assert (await process.row("adm_support"))["deactivated_at"] is None
