"""Suspending, restoring, deleting, undeleting and changing a tenant, as operators ask for it."""

import json
from typing import Any

import pytest

from service_kit.identity.model import Role
from tests.integration.tenant_service.lives import (
    GRACE_SECONDS,
    Said,
    add_session,
    ask,
    bring_to,
    events,
    everything,
    letters,
    lively_tenant,
    status_of,
)
from tests.integration.tenant_service.people import add_tenant, add_user
from tests.integration.tenant_service.tenant_process import TENANTS, TenantProcess, new_tenant

ACTIONS: dict[str, tuple[str, str]] = {
    "suspend": ("POST", "/suspend"),
    "restore": ("POST", "/restore"),
    "delete": ("DELETE", ""),
}
STATE_TABLE = [
    # state, action, answer, state after it, what the tenant's log says of it
    ("active", "suspend", "200", "suspended", ["tenant.suspended"]),
    ("active", "restore", "200", "active", []),
    ("active", "delete", "200", "deleted", ["tenant.deleted"]),
    ("suspended", "suspend", "200", "suspended", []),
    ("suspended", "restore", "200", "active", ["tenant.restored"]),
    ("suspended", "delete", "200", "deleted", ["tenant.deleted"]),
    ("deleted", "suspend", "409 TENANT_DELETED", "deleted", []),
    ("deleted", "restore", "200", "active", ["tenant.undeleted"]),
    ("deleted", "delete", "200", "deleted", []),
    ("suspended and deleted", "restore", "200", "suspended", ["tenant.undeleted"]),
    ("past grace", "restore", "409 PURGED", "deleted", []),
    ("past grace", "delete", "200", "deleted", []),
]


@pytest.mark.usefixtures("no_job_by_itself")
async def test_the_state_table(process: TenantProcess) -> None:
    """R-085, R-086, R-087, G-10, G-11: each action in each state; a repeat writes no second audit row."""
    for number, (state, action, answer, after, logged) in enumerate(STATE_TABLE):
        tenant_id = await add_tenant(process, f"acme-{number}")
        await bring_to(process, tenant_id, state)
        before = await events(process, tenant_id)
        method, path = ACTIONS[action]

        said = await ask(process, method, f"/{tenant_id}{path}")

        case = f"{action} when {state}"
        assert f"{said.status} {said.code}".strip() == answer, case
        assert await status_of(process, tenant_id) == after, case
        assert (await events(process, tenant_id))[len(before) :] == logged, case


async def test_a_suspension_ends_every_session_of_that_tenant_alone(process: TenantProcess) -> None:
    """R-085, G-10: sessions are revoked in the same transaction and counted; another tenant's go on."""
    tenant_id, other = await lively_tenant(process), await lively_tenant(process, "other")

    said = await ask(process, "POST", f"/{tenant_id}/suspend", {"reason": "unpaid", "ticketRef": "T-1"})

    assert said.body == {"status": "suspended", "sessionsRevoked": 2}
    revoked = {(row["organization_id"], bool(row["revoked_at"])) for row in await process.rows("sessions")}
    assert revoked == {(tenant_id, True), (other, False)}
    assert (await ask(process, "POST", f"/{tenant_id}/suspend")).body["sessionsRevoked"] == 0


async def test_the_pair_of_rows_names_operator_reason_and_ticket(sqlite_process: TenantProcess) -> None:
    """R-085, R-126: both rows say who did it, from the identity alone, and why."""
    tenant_id = await add_tenant(sqlite_process)
    because = {"reason": "unpaid", "ticketRef": "T-1"}

    await ask(sqlite_process, "POST", "/acme/suspend", because, operator_id="adm_7", request_id="req_abc")

    rows = [row for row in await sqlite_process.rows("audit_events") if row["event"] == "tenant.suspended"]
    assert {row["scope"] for row in rows} == {"global", "tenant"}
    assert len({row["pair_id"] for row in rows}) == 1
    for row in rows:
        assert (row["action"], row["severity"], row["target_id"]) == ("suspend_tenant", "WARNING", tenant_id)
        assert (row["actor_id"], row["reason"], row["ticket_ref"]) == ("adm_7", "unpaid", "T-1")
        assert row["request_id"] == "req_abc"


async def test_no_body_can_say_who_acts(sqlite_process: TenantProcess) -> None:
    """C-18: the operator comes from the signed identity; a body that names one is refused."""
    await add_tenant(sqlite_process)

    for member in ("actorId", "operatorId", "suspendedBy"):
        said = await ask(sqlite_process, "POST", "/acme/suspend", {member: "adm_1"})
        assert (said.status, said.code) == (422, "VALIDATION_FAILED")


async def test_a_suspension_keeps_invitations_and_can_tell_the_owner(
    sqlite_process: TenantProcess, sqlite_url: str
) -> None:
    """G-10: open invitations wait for the restoration; the letter names neither operator nor reason."""
    await add_tenant(sqlite_process)
    sqlite_process.clock.advance(1)

    await ask(sqlite_process, "POST", "/acme/suspend", {"reason": "unpaid", "notifyOwner": True})

    assert [row["status"] for row in await sqlite_process.rows("invitations")] == ["pending"]
    letter = json.loads((await letters(sqlite_process, sqlite_url))[-1])
    assert (letter["to"], letter["subject"]) == ("bob@example.com", "Acme Inc is suspended")
    assert "unpaid" not in str(letter)


async def test_a_deletion_ends_all_that_could_open_the_tenant(process: TenantProcess) -> None:
    """R-087, G-11: sessions end, open invitations are canceled, letters are withdrawn, the slug is kept."""
    tenant_id = await lively_tenant(process)

    said = await ask(process, "DELETE", "/acme", {"confirm": "acme", "reason": "asked to"})

    assert said.body == {"status": "deleted", "purgeAfter": "2026-02-01T03:04:05Z"}
    assert all(row["revoked_at"] for row in await process.rows("sessions"))
    assert [row["status"] for row in await process.rows("invitations")] == ["canceled"]
    assert await process.rows("outbox") == []
    [tomb] = await process.rows("slug_tombstones")
    assert (tomb["slug"], tomb["organization_id"], tomb["released_at"]) == ("acme", tenant_id, None)
    refused = await (await process.create(new_tenant())).json()
    assert refused["code"] == "SLUG_TOMBSTONED"


async def test_a_deletion_that_names_another_slug_is_refused(sqlite_process: TenantProcess) -> None:
    """R-087: what was typed must be this tenant's slug, on a deleted tenant too."""
    tenant_id = await lively_tenant(sqlite_process)
    before = await everything(sqlite_process)
    for confirm in ("other", "ACME", "", "acme ", tenant_id, "ac\u0441me"):
        said = await ask(sqlite_process, "DELETE", f"/{tenant_id}", {"confirm": confirm})
        assert (said.status, said.code) == (400, "CONFIRMATION_MISMATCH"), confirm

    assert await everything(sqlite_process) == before


async def test_an_undeleted_tenant_has_its_slug_again(process: TenantProcess) -> None:
    """G-11: within the time of grace it comes back under its own name, which nobody could take."""
    tenant_id = await add_tenant(process)
    await bring_to(process, tenant_id, "deleted")
    process.clock.advance(GRACE_SECONDS - 1)

    said = await ask(process, "POST", f"/{tenant_id}/restore", {"reason": "a mistake"})

    assert said.body == {"status": "active"}
    assert await process.rows("slug_tombstones") == []
    assert (await process.get(f"{TENANTS}/acme")).status == 200
    assert (await (await process.create(new_tenant())).json())["code"] == "SLUG_TAKEN"
    assert (await ask(process, "DELETE", "/acme")).status == 200


async def test_only_who_may_delete_undoes_a_deletion(sqlite_process: TenantProcess) -> None:
    """C-18, R-086, R-087: support suspends and restores, but neither deletes nor undeletes."""
    tenant_id = await add_tenant(sqlite_process)
    suspend = await ask(sqlite_process, "POST", "/acme/suspend", role=Role.SUPPORT)
    restore = await ask(sqlite_process, "POST", "/acme/restore", role=Role.SUPPORT)
    delete = await ask(sqlite_process, "DELETE", "/acme", role=Role.SUPPORT)
    await bring_to(sqlite_process, tenant_id, "deleted")
    before = await everything(sqlite_process)

    undelete = await ask(sqlite_process, "POST", f"/{tenant_id}/restore", role=Role.SUPPORT)

    assert [suspend.status, restore.status, delete.status, undelete.status] == [200, 200, 403, 403]
    assert (undelete.code, undelete.body["permission"]) == ("PERMISSION_DENIED", "tenant.delete")
    assert undelete.body["roles"] == ["super_admin"]
    assert await everything(sqlite_process) == before


PLACES = [
    ("PATCH", "", {}),
    ("POST", "/suspend", {}),
    ("POST", "/restore", {}),
    ("DELETE", "", {}),
    ("POST", "/sessions/revoke", {"reason": "x"}),
    ("POST", "/invitations", {"email": "a@example.com", "role": "admin"}),
    ("POST", "/invitations/inv_01ARZ3NDEKTSV4RRFFQ69G5FAV/resend", None),
    ("DELETE", "/invitations/inv_01ARZ3NDEKTSV4RRFFQ69G5FAV", None),
    ("DELETE", "/connected-accounts/conn_01ARZ3NDEKTSV4RRFFQ69G5FAV", {"reason": "x"}),
    ("PUT", "/feature-flags/new_inbox", {"enabled": True}),
    ("GET", "/members", None),
    ("GET", "/invitations", None),
    ("GET", "/connected-accounts", None),
    ("GET", "/feature-flags", None),
]


async def test_every_miss_of_a_tenant_is_one_answer(process: TenantProcess) -> None:
    """http-api 3.0: ids and slugs that name no tenant, however hostile, are 404 TENANT_NOT_FOUND."""
    for method, path, body in PLACES:
        for reference in ("org_01ARZ3NDEKTSV4RRFFQ69G5FAV", "nobody", "%00", "'%20OR%20'1'='1", "xn--acme"):
            said = await ask(process, method, f"/{reference}{path}", body, version=1)
            assert (said.status, said.code) == (404, "TENANT_NOT_FOUND"), f"{method} {reference}{path}"


async def test_a_repeated_key_gets_the_first_answer(process: TenantProcess) -> None:
    """http-api 3.0: the same key and body are answered again and done once; another body is refused."""
    tenant_id = await lively_tenant(process)
    for operation in ("sessions/revoke", "suspend", "restore"):
        path, body = f"/{tenant_id}/{operation}", {"reason": "unpaid"}
        first = await ask(process, "POST", path, body, key="k")
        after_first = await everything(process)

        again = await ask(process, "POST", path, body, key="k")
        other = await ask(process, "POST", path, {"reason": "other"}, key="k")

        assert (again.status, again.body) == (200, first.body), operation
        assert again.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        assert (other.status, other.code) == (422, "IDEMPOTENCY_KEY_REUSED"), operation
        assert await everything(process) == after_first, operation


async def test_a_patch_changes_what_it_names(process: TenantProcess) -> None:
    """G-02: name, plan, address and currency change together, the version moves, the log says from what."""
    tenant_id = await add_tenant(process)
    patch = {"name": "Acme Ltd", "plan": "pro", "primaryEmail": " New@Example.com ", "currency": "USD"}

    said = await ask(process, "PATCH", "/acme", patch, version=1)

    assert said.status == 200
    assert said.headers["ETag"] == '"2"'
    shown = {name: said.body[name] for name in ("name", "plan", "email", "currency", "version", "slug")}
    assert shown == {
        "name": "Acme Ltd",
        "plan": "pro",
        "email": "new@example.com",
        "currency": "USD",
        "version": 2,
        "slug": "acme",
    }
    assert (await events(process, tenant_id))[-1] == "tenant.updated"
    [row] = [row for row in await process.rows("audit_events") if row["event"] == "tenant.updated"][:1]
    assert "new@example.com" not in str(row)
    assert '"before": "Acme Inc"' in _text(row["details"])


def _text(details: Any) -> str:
    return json.dumps(json.loads(details) if isinstance(details, str) else details)


WRONG_PATCHES: list[tuple[dict[str, object], object, int, str]] = [
    ({"name": "B"}, None, 428, "PRECONDITION_REQUIRED"),
    ({"name": "B"}, "*", 412, "VERSION_CONFLICT"),
    ({"name": "B"}, 2, 412, "VERSION_CONFLICT"),
    ({"name": "B"}, 0, 412, "VERSION_CONFLICT"),
    ({"name": "B"}, "x", 412, "VERSION_CONFLICT"),
    ({"slug": "other"}, 1, 422, "VALIDATION_FAILED"),
    ({"status": "deleted"}, 1, 422, "VALIDATION_FAILED"),
    ({"name": ""}, 1, 422, "VALIDATION_FAILED"),
    ({"name": "n" * 121}, 1, 422, "VALIDATION_FAILED"),
    ({"name": "a\x00b"}, 1, 422, "VALIDATION_FAILED"),
    ({"plan": "A b"}, 1, 422, "VALIDATION_FAILED"),
    ({"currency": "EUR"}, 1, 422, "VALIDATION_FAILED"),
    ({"primaryEmail": "a@b.example,c@d.example"}, 1, 422, "VALIDATION_FAILED"),
    ({"name": 1}, 1, 422, "VALIDATION_FAILED"),
]


async def test_a_patch_that_is_wrong_or_stale_changes_nothing(process: TenantProcess) -> None:
    """G-02: without If-Match 428, with a stale one 412 and what the tenant is now; the slug never changes."""
    await add_tenant(process)
    before = await everything(process)
    for patch, version, status, code in WRONG_PATCHES:
        said = await ask(process, "PATCH", "/acme", patch, version=version)

        assert (said.status, said.code) == (status, code), f"{patch} {version}"
        if status == 412:
            assert said.headers["ETag"] == '"1"'
            assert (said.body["current"]["name"], said.body["current"]["version"]) == ("Acme Inc", 1)

    assert await everything(process) == before


async def test_a_patch_of_what_is_so_already_writes_nothing(sqlite_process: TenantProcess) -> None:
    """G-02: neither the version nor the log moves; null and absent members stay as they are."""
    await add_tenant(sqlite_process)
    before = await everything(sqlite_process)
    for patch in ({}, {"name": "Acme Inc", "plan": "free"}, {"name": None}, {"reason": "none"}):
        said = await ask(sqlite_process, "PATCH", "/acme", patch, version=1)
        assert (said.status, said.headers["ETag"]) == (200, '"1"')

    assert await everything(sqlite_process) == before


async def test_a_suspended_tenant_is_changed_and_a_deleted_one_is_not(sqlite_process: TenantProcess) -> None:
    """G-02, G-11: 409 TENANT_DELETED, whatever If-Match says."""
    tenant_id = await add_tenant(sqlite_process)
    await bring_to(sqlite_process, tenant_id, "suspended")
    suspended = await ask(sqlite_process, "PATCH", "/acme", {"plan": "pro"}, version=2)
    await bring_to(sqlite_process, tenant_id, "deleted")

    gone = await ask(sqlite_process, "PATCH", f"/{tenant_id}", {"plan": "free"}, version=4)
    stale = await ask(sqlite_process, "PATCH", f"/{tenant_id}", {"plan": "free"}, version=1)

    assert suspended.status == 200
    assert [(each.status, each.code) for each in (gone, stale)] == [(409, "TENANT_DELETED")] * 2


async def test_a_deletion_is_held_to_the_version_that_it_names(sqlite_process: TenantProcess) -> None:
    """R-087: a bare DELETE deletes; one with If-Match deletes only what its sender has seen."""
    await add_tenant(sqlite_process)

    stale = await ask(sqlite_process, "DELETE", "/acme", version=7)
    fresh = await ask(sqlite_process, "DELETE", "/acme", version=1)

    assert (stale.status, stale.code, stale.body["current"]["version"]) == (412, "VERSION_CONFLICT", 1)
    assert fresh.status == 200


async def test_sessions_are_revoked_for_all_or_for_one_person(process: TenantProcess) -> None:
    """G-04: the count is of those that were open; the tenant itself stays as it is."""
    tenant_id = await lively_tenant(process)
    second = await add_user(process, "eve@example.com", tenant_id)
    await add_session(process, tenant_id, second)

    one = await ask(process, "POST", "/acme/sessions/revoke", {"reason": "lost laptop", "userId": second})
    rest = await ask(process, "POST", "/acme/sessions/revoke", {"reason": "breach"})
    none = await ask(process, "POST", "/acme/sessions/revoke", {"reason": "again", "userId": "\u0441"})
    without = await ask(process, "POST", "/acme/sessions/revoke", {})

    assert [one.body, rest.body, none.body] == [{"revoked": 1}, {"revoked": 2}, {"revoked": 0}]
    assert (without.status, without.code) == (422, "VALIDATION_FAILED")
    assert await status_of(process, tenant_id) == "active"
    assert (await events(process, tenant_id))[1:] == ["tenant.sessions.revoked"] * 3


async def test_members_are_listed_with_their_last_sign_in(process: TenantProcess) -> None:
    """G-04: newest first, page by page, and without a word of their credentials."""
    tenant_id = await lively_tenant(process)
    for number in range(3):
        process.clock.advance(1)
        await add_user(process, f"m{number}@example.com", tenant_id)
    await add_user(process, "elsewhere@example.com", await add_tenant(process, "other"))

    first = await ask(process, "GET", "/acme/members?limit=3")
    second = await ask(process, "GET", f"/acme/members?limit=3&cursor={first.body['page']['nextCursor']}")

    assert [row["email"] for row in first.body["data"]] == [f"m{n}@example.com" for n in (2, 1, 0)]
    [owner] = second.body["data"]
    assert (owner["email"], owner["role"]) == ("owner@acme.example", "owner")
    assert owner["lastSignInAt"] == "2026-01-02T03:04:05Z"
    assert first.body["data"][0]["lastSignInAt"] is None
    assert second.body["page"] == {
        "nextCursor": None,
        "prevCursor": second.body["page"]["prevCursor"],
        "hasMore": False,
    }
    assert 'rel="next"' in first.headers["Link"]


async def test_a_cursor_of_one_tenant_opens_no_other(sqlite_process: TenantProcess) -> None:
    """http-api 3.0: a cursor is bound to its list and its tenant."""
    tenant_id = await lively_tenant(sqlite_process)
    await add_user(sqlite_process, "second@example.com", tenant_id)
    await lively_tenant(sqlite_process, "other")
    cursor = (await ask(sqlite_process, "GET", "/acme/members?limit=1")).body["page"]["nextCursor"]

    for path in ("/other/members", "/acme/invitations", "/acme/connected-accounts"):
        said = await ask(sqlite_process, "GET", f"{path}?limit=1&cursor={cursor}")
        assert (said.status, said.code) == (400, "INVALID_CURSOR"), path


async def test_the_tenants_page_shows_what_belongs_to_it(process: TenantProcess) -> None:
    """R-021, R-084: owner, counts and connected accounts are those of this tenant."""
    await lively_tenant(process)
    await lively_tenant(process, "other")

    said = await ask(process, "GET", "/acme")

    assert said.body["counts"] == {
        "members": 1,
        "pendingInvitations": 1,
        "connectedAccounts": 1,
        "openSessions": 2,
    }
    assert said.body["owner"] == {
        "name": "Bob",
        "email": "owner@acme.example",
        "since": "2026-01-02T03:04:05Z",
        "lastSignInAt": "2026-01-02T03:04:05Z",
    }
    [account] = said.body["connectedAccounts"]
    assert account["externalId"] == "account of acme"


async def test_no_answer_sets_a_cookie(sqlite_process: TenantProcess) -> None:
    """R-037: the operators' plane gives out no session of a tenant, whatever it is asked."""
    tenant_id = await lively_tenant(sqlite_process)
    said: list[Said] = [
        await ask(sqlite_process, method, f"/{tenant_id}{path}") for method, path in ACTIONS.values()
    ]

    assert all("Set-Cookie" not in each.headers for each in said)
