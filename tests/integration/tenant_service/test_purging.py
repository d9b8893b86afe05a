"""The purge: after the time of grace nothing tells who the people of a deleted tenant were."""

import itertools
import json

import pytest

from tenant_service.people.models import MemberRole
from tenant_service.tenants.repository import TenantRepository
from tests.integration.tenant_service.faults import FaultyWrites
from tests.integration.tenant_service.lives import (
    GRACE_SECONDS,
    add_session,
    ask,
    bring_to,
    events,
    everything,
    lively_tenant,
    run_job,
)
from tests.integration.tenant_service.people import add_tenant, add_user
from tests.integration.tenant_service.tenant_process import TenantProcess, new_tenant

pytestmark = pytest.mark.usefixtures("no_job_by_itself")
TOLD = (
    "Gone Ltd",
    "hello@gone.example",
    "owner@acme.example",
    "account of acme",
    "asked to",
    "eve@example.com",
)
"""What the tables say of the tenant's people before the purge."""


async def tenant_to_purge(process: TenantProcess) -> str:
    """A deleted tenant whose time of grace is over, and another one that shares a person with it."""
    tenant_id = await lively_tenant(process)
    other = await lively_tenant(process, "other")
    await ask(process, "POST", "/acme/invitations", {"email": "eve@example.com", "role": "admin"})
    both = await add_user(process, "both@example.com", tenant_id, other, role=MemberRole.OWNER)
    await add_session(process, tenant_id, both)
    await add_session(process, other, both)
    named = {"name": "Gone Ltd", "primaryEmail": "hello@gone.example"}
    assert (await ask(process, "PATCH", "/acme", named, version=1)).status == 200
    await ask(process, "DELETE", "/acme", {"reason": "asked to"})
    process.clock.advance(GRACE_SECONDS)
    return tenant_id


async def test_a_purge_forgets_the_people_and_keeps_the_record(process: TenantProcess) -> None:
    """G-11: no name, address or reason is left; id, slug, tombstone and the chain of audit rows are."""
    tenant_id = await tenant_to_purge(process)
    before = await process.rows("audit_events")
    known = str(await everything(process))
    assert all(told in known for told in TOLD)

    purged = await run_job(process, "purge_tenants", limit=10)

    assert purged == 1
    left = await everything(process)
    own = [row for table in left if table != "audit_events" for row in left[table]]
    assert [told for told in TOLD if told in str(own)] == []
    [row] = [row for row in await process.rows("organizations") if row["id"] == tenant_id]
    assert (row["slug"], row["name"], row["primary_email"]) == ("acme", "Deleted tenant", "")
    assert (row["status"], row["purged_at"] is not None) == ("deleted", True)
    assert [tomb["slug"] for tomb in await process.rows("slug_tombstones")] == ["acme"]
    after = {row["id"]: row for row in await process.rows("audit_events")}
    assert all(after[row["id"]] == row for row in before)


async def test_a_person_who_is_elsewhere_too_stays_there(process: TenantProcess) -> None:
    """G-11: users without another membership are forgotten; the others keep membership and sessions."""
    tenant_id = await tenant_to_purge(process)

    await run_job(process, "purge_tenants", limit=10)

    assert {row["email"] for row in await process.rows("users")} == {
        "owner@other.example",
        "both@example.com",
    }
    assert tenant_id not in {row["organization_id"] for row in await process.rows("members")}
    assert tenant_id not in {row["organization_id"] for row in await process.rows("sessions")}
    assert len(await process.rows("sessions")) == 3


async def test_a_purge_says_so_in_both_logs(process: TenantProcess) -> None:
    """G-11: a dual pair by the system, with the numbers of what was erased; the log can still be proven."""
    tenant_id = await tenant_to_purge(process)

    await run_job(process, "purge_tenants", limit=10)

    rows = [row for row in await process.rows("audit_events") if row["event"] == "tenant.purged"]
    assert {(row["scope"], row["severity"], row["actor_type"]) for row in rows} == {
        ("global", "WARNING", "system"),
        ("tenant", "WARNING", "system"),
    }
    details = rows[0]["details"]
    said = json.loads(details) if isinstance(details, str) else details
    assert said["slug"] == "acme"
    assert said["erased"].pop("auditRows") >= 4
    assert said["erased"] == {
        "sessions": 3,
        "invitations": 2,
        "connectedAccounts": 1,
        "featureFlags": 0,
        "members": 2,
        "users": 1,
    }
    assert (await events(process, tenant_id))[-1] == "tenant.purged"
    proof = await (await process.get("/internal/v1/audit-events/verify")).json()
    assert proof["ok"], proof


async def test_a_purge_touches_only_what_is_due(process: TenantProcess) -> None:
    """G-11: not a living tenant, not one in its time of grace, none twice, and no more than asked for."""
    for number in range(3):
        await bring_to(process, await add_tenant(process, f"gone-{number}"), "deleted")
    await bring_to(process, await add_tenant(process, "asleep"), "suspended")
    process.clock.advance(GRACE_SECONDS - 1)
    await bring_to(process, await add_tenant(process, "fresh"), "deleted")
    before = await everything(process)
    early = await run_job(process, "purge_tenants", limit=10)
    unchanged = await everything(process) == before
    process.clock.advance(1)

    counts = [await run_job(process, "purge_tenants", limit=2) for _ in range(3)]

    assert (early, unchanged, counts) == (0, True, [2, 1, 0])
    purged = {row["slug"] for row in await process.rows("organizations") if row["purged_at"]}
    assert purged == {"gone-0", "gone-1", "gone-2"}


async def test_a_list_that_is_old_purges_nobody(
    sqlite_process: TenantProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G-11: whether a tenant is due is asked again under its lock: it may have come back meanwhile."""
    active, fresh = await add_tenant(sqlite_process), await add_tenant(sqlite_process, "fresh")
    await bring_to(sqlite_process, fresh, "deleted")
    before = await everything(sqlite_process)

    async def old_list(*_: object, **__: object) -> list[str]:
        return [active, fresh]

    monkeypatch.setattr(TenantRepository, "due_for_purge", old_list)
    purged = await run_job(sqlite_process, "purge_tenants", limit=10)

    assert purged == 0
    assert await everything(sqlite_process) == before


async def test_nothing_leads_out_of_a_purged_tenant(sqlite_process: TenantProcess) -> None:
    """G-11: restore 409 PURGED, delete says the same again, the slug stays kept, the page still opens."""
    tenant_id = await tenant_to_purge(sqlite_process)
    await run_job(sqlite_process, "purge_tenants", limit=10)

    restored = await ask(sqlite_process, "POST", f"/{tenant_id}/restore")
    deleted = await ask(sqlite_process, "DELETE", f"/{tenant_id}", {"confirm": "acme"})
    page = await ask(sqlite_process, "GET", f"/{tenant_id}")
    again = await (await sqlite_process.create(new_tenant())).json()

    assert (restored.status, restored.code) == (409, "PURGED")
    assert (deleted.status, deleted.body["status"]) == (200, "deleted")
    assert (page.status, page.body["name"], page.body["purgedAt"] is not None) == (
        200,
        "Deleted tenant",
        True,
    )
    assert again["code"] == "SLUG_TOMBSTONED"


async def test_a_purge_that_is_cut_off_is_done_again(
    sqlite_process: TenantProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G-11: a fault after any statement leaves the tenant unpurged as a whole, and the next run ends it."""
    process = sqlite_process
    tenant_id = await tenant_to_purge(process)
    for number in itertools.count(1):
        with monkeypatch.context() as patch:
            FaultyWrites(number).install(patch)
            try:
                await run_job(process, "purge_tenants", limit=10)
            except OSError:
                [row] = [row for row in await process.rows("organizations") if row["id"] == tenant_id]
                assert row["purged_at"] is None, number
                assert len(await process.rows("members")) == 4, number
            else:
                break

    assert number > 10
    assert (await events(process, tenant_id)).count("tenant.purged") == 1
