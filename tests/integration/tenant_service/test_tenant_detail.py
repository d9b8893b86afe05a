"""One tenant: what an operator sees, and that nobody learns more from a miss."""

from typing import Any

import pytest

from service_kit.identity.model import Role
from tests.integration.tenant_service.tenant_process import TENANTS, TenantProcess, new_tenant


async def view(process: TenantProcess, reference: str, role: Role = Role.SUPER_ADMIN) -> dict[str, Any]:
    answer = await process.get(f"{TENANTS}/{reference}", role)
    assert answer.status == 200, await answer.text()
    body: dict[str, Any] = await answer.json()
    return body


async def test_a_tenant_is_seen_by_id_and_by_slug(process: TenantProcess) -> None:
    """Both names lead to the same representation, with its version as ETag (R-084)."""
    made = await (await process.create(new_tenant(), operator_id="adm_7")).json()

    by_id = await process.get(f"{TENANTS}/{made['orgId']}")
    by_slug = await process.get(f"{TENANTS}/acme")

    assert await by_id.json() == await by_slug.json()
    assert by_id.headers["ETag"] == '"1"'
    body = await by_id.json()
    recent = body.pop("recentAudit")
    [invitation] = body.pop("pendingInvitations")
    assert body == {
        "id": made["orgId"],
        "slug": "acme",
        "name": "Acme Inc",
        "email": "bob@example.com",
        "plan": "free",
        "currency": "INR",
        "status": "active",
        "statusSince": None,
        "statusReason": None,
        "purgeAfter": None,
        "purgedAt": None,
        "hostedAt": "acme.app.example.com",
        "createdAt": "2026-01-02T03:04:05Z",
        "updatedAt": "2026-01-02T03:04:05Z",
        "createdBy": "adm_7",
        "version": 1,
        "ownerState": "invited",
        "owner": None,
        "counts": {"members": 0, "pendingInvitations": 1, "connectedAccounts": 0, "openSessions": 0},
        "connectedAccounts": [],
        "billing": None,
        "flags": [],
    }
    assert invitation == {
        "id": made["invitationId"].rsplit("_", 1)[0],
        "email": "bob@example.com",
        "role": "owner",
        "createdAt": "2026-01-02T03:04:05Z",
        "expiresAt": "2026-01-04T03:04:05Z",
    }
    assert [(row["event"], row["scope"]) for row in recent] == [("tenant.created", "tenant")]


async def test_no_reading_answer_shows_the_secret(process: TenantProcess) -> None:
    """List, detail and audit know the invitation by its public id only (G-16)."""
    made = await (await process.create(new_tenant())).json()
    secret = made["invitationId"].rsplit("_", 1)[1]

    for target in (TENANTS, f"{TENANTS}/acme", "/internal/v1/audit-events?scope=all"):
        assert secret not in await (await process.get(target)).text()


MISSES = [
    "org_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "nobody",
    "ORG_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "%00",
    "acme%00",
    "ACME",
    "acme%20",
    "%ED%A0%80",
    "%F0%9F%98%80",
    "'%20OR%20'1'='1",
    "a" * 4000,
    "9" * 400,
    "org_" + "z" * 26,
]


async def test_every_miss_gets_the_same_answer(process: TenantProcess) -> None:
    """An id that never was, a foreign text and a hostile one answer alike (attacks.md section 5)."""
    await process.create(new_tenant())

    for reference in MISSES:
        answer = await process.get(f"{TENANTS}/{reference}", request_id="req_1")
        assert answer.status == 404, reference
        assert await answer.json() == {
            "type": "urn:problem:tenant-not-found",
            "title": "No such tenant",
            "status": 404,
            "error": "No such tenant",
            "code": "TENANT_NOT_FOUND",
            "requestId": "req_1",
        }


async def test_a_deleted_tenant_is_found_by_its_id_alone(process: TenantProcess) -> None:
    """Its slug is free for a tombstone; operators still see it until the purge (data-model 2.7)."""
    made = await (await process.create(new_tenant())).json()
    await process.sql(
        "UPDATE organizations SET status = 'deleted', deleted_at = updated_at, deletion_reason = 'asked to'"
    )

    body = await view(process, made["orgId"])

    assert (body["status"], body["statusSince"], body["statusReason"]) == (
        "deleted",
        "2026-01-02T03:04:05Z",
        "asked to",
    )
    assert (await process.get(f"{TENANTS}/acme")).status == 404


async def test_the_state_of_the_owner_follows_the_invitation(process: TenantProcess) -> None:
    """Invited, expired after 48 hours, and none when the invitation was canceled."""
    await process.create(new_tenant())
    states = [(await view(process, "acme"))["ownerState"]]
    process.clock.advance(48 * 3600)
    states.append((await view(process, "acme"))["ownerState"])
    for status in ("expired", "accepted", "canceled"):
        await process.sql(f"UPDATE invitations SET status = '{status}'")
        states.append((await view(process, "acme"))["ownerState"])

    assert states == ["invited", "invitation_expired", "invitation_expired", "joined", "none"]
    listed = await (await process.get(TENANTS)).json()
    assert listed["data"][0]["ownerState"] == "none"


async def test_the_recent_rows_are_those_of_this_tenant(process: TenantProcess) -> None:
    """Another tenant's log is not mixed in."""
    for slug in ("acme", "other"):
        await process.create(new_tenant(slug))

    body = await view(process, "acme")

    assert [row["organizationId"] for row in body["recentAudit"]] == [body["id"]]


async def test_the_recent_rows_hide_admin_events(process: TenantProcess) -> None:
    """A tenant's page shows `admin.*` rows only to who may read them (R-080)."""
    made = await (await process.create(new_tenant())).json()
    process.clock.advance(1)
    await process.record_admin_event(made["orgId"])

    shown = {
        role: [row["event"] for row in (await view(process, "acme", role))["recentAudit"]]
        for role in (Role.SUPER_ADMIN, Role.SUPPORT)
    }

    assert shown == {
        Role.SUPER_ADMIN: ["admin.support_query.executed", "tenant.created"],
        Role.SUPPORT: ["tenant.created"],
    }


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.SUPER_ADMIN, 200), (Role.SUPPORT, 200), (Role.READ_ONLY, 200), (Role.SECURITY, 403), (None, 403)],
)
async def test_who_may_view(sqlite_process: TenantProcess, role: Role | None, status: int) -> None:
    """`tenant.view` belongs to super_admin, support and read_only; security has no tenant views (R-075)."""
    await sqlite_process.create(new_tenant())

    assert (await sqlite_process.get(f"{TENANTS}/acme", role)).status == status
