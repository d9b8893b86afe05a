"""Many operators at once: whatever the order, every tenant is in a state that can be, and its log agrees."""

import asyncio
import random
from collections import Counter

from tests.integration.tenant_service.lives import ask, events, lively_tenant, status_of
from tests.integration.tenant_service.people import add_tenant
from tests.integration.tenant_service.tenant_process import TenantProcess, new_tenant

LEADS_TO = {
    "tenant.suspended": "suspended",
    "tenant.restored": "active",
    "tenant.deleted": "deleted",
    "tenant.undeleted": "active or suspended",
}
MOVES = {
    "active": {"tenant.suspended", "tenant.deleted"},
    "suspended": {"tenant.restored", "tenant.deleted"},
    "deleted": {"tenant.undeleted"},
    "active or suspended": {"tenant.suspended", "tenant.restored", "tenant.deleted"},
}


async def test_a_storm_of_changes_leaves_a_legal_state(process: TenantProcess) -> None:
    """R-085, R-086, R-087, G-10: the log is a walk through the state table that ends where the row is."""
    tenant_id = await lively_tenant(process)
    wishes = [("POST", "/suspend"), ("POST", "/restore"), ("DELETE", "")] * 12
    random.Random(7).shuffle(wishes)

    said = await asyncio.gather(*(ask(process, method, f"/{tenant_id}{path}") for method, path in wishes))

    assert {each.status for each in said} <= {200, 409}
    assert {each.code for each in said if each.status == 409} <= {"TENANT_DELETED"}
    walk = [event for event in await events(process, tenant_id) if event in LEADS_TO]
    states = ["active", *(LEADS_TO[event] for event in walk)]
    wrong = [(state, event) for state, event in zip(states, walk, strict=False) if event not in MOVES[state]]
    assert wrong == []
    assert await status_of(process, tenant_id) in states[-1]
    tombs = [row["slug"] for row in await process.rows("slug_tombstones")]
    assert tombs == (["acme"] if states[-1] == "deleted" else [])
    open_sessions = [row for row in await process.rows("sessions") if row["revoked_at"] is None]
    assert open_sessions == []


async def test_simultaneous_suspensions_are_one(process: TenantProcess) -> None:
    """R-085: of twenty at once one ends the sessions and is logged; the others say that it is so."""
    tenant_id = await lively_tenant(process)

    said = await asyncio.gather(*(ask(process, "POST", f"/{tenant_id}/suspend") for _ in range(20)))

    assert Counter(each.body["sessionsRevoked"] for each in said) == {2: 1, 0: 19}
    assert (await events(process, tenant_id)).count("tenant.suspended") == 1


async def test_a_slug_never_changes_hands(process: TenantProcess) -> None:
    """R-100, G-11: while a tenant is deleted and brought back, nobody gets its slug at any moment."""
    tenant_id = await add_tenant(process)

    async def live() -> None:
        for method, path in [("DELETE", ""), ("POST", "/restore")] * 6:
            assert (await ask(process, method, f"/{tenant_id}{path}")).status == 200

    async def steal() -> None:
        for _ in range(8):
            await process.create(new_tenant(name="Thief"))

    await asyncio.gather(live(), steal(), steal())

    owners = {row["id"] for row in await process.rows("organizations") if row["slug"] == "acme"}
    assert owners == {tenant_id}
    answers = [await (await process.create(new_tenant())).json()]
    assert {each["code"] for each in answers} <= {"SLUG_TAKEN", "SLUG_TOMBSTONED"}


async def test_one_of_simultaneous_invitations_is_left_open(process: TenantProcess) -> None:
    """R-088: each cancels the one before it; one stays, and every one is accounted for."""
    tenant_id = await add_tenant(process)
    body = {"email": "eve@example.com", "role": "admin"}

    said = await asyncio.gather(*(ask(process, "POST", "/acme/invitations", body) for _ in range(10)))

    assert {each.status for each in said} == {201}
    states = Counter(
        row["status"] for row in await process.rows("invitations") if row["email"] == "eve@example.com"
    )
    assert states == {"pending": 1, "canceled": 9}
    logged = Counter(await events(process, tenant_id))
    assert logged["tenant.invitation.created"] == 10
    assert logged["tenant.invitation.canceled"] == 9


async def test_one_of_simultaneous_patches_of_a_version_wins(process: TenantProcess) -> None:
    """G-02: If-Match lets one through; the others learn what the tenant is now."""
    await add_tenant(process)

    said = await asyncio.gather(
        *(ask(process, "PATCH", "/acme", {"name": f"Name {n}"}, version=1) for n in range(10))
    )

    assert Counter(each.status for each in said) == {200: 1, 412: 9}
    assert {each.body["current"]["version"] for each in said if each.status == 412} == {2}
