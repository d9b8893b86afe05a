"""A tenant's own view of the log, as operators read it: its rows only, page by page, for who may."""

from service_kit.identity.model import Permission, Role, roles_with
from tests.integration.tenant_service.lives import add_session, ask
from tests.integration.tenant_service.people import add_tenant, add_user
from tests.integration.tenant_service.tenant_process import TenantProcess


async def test_the_log_holds_the_rows_of_one_tenant_newest_first(process: TenantProcess) -> None:
    """P-11: rows of the tenant's own scope, none of another tenant's, no `admin.*`, and filters and pages."""
    tenant_id, other = await add_tenant(process, "acme"), await add_tenant(process, "other-co")
    await process.record_admin_event(tenant_id)
    process.clock.advance(1)
    assert (await ask(process, "POST", f"/{tenant_id}/suspend", {"reason": "late"})).status == 200
    assert (await ask(process, "POST", f"/{other}/suspend", {"reason": "late"})).status == 200

    whole = (await ask(process, "GET", "/acme/audit-logs")).body
    first = (await ask(process, "GET", f"/{tenant_id}/audit-logs?limit=1")).body
    cursor = first["page"]["nextCursor"]
    second = (await ask(process, "GET", f"/{tenant_id}/audit-logs?limit=1&cursor={cursor}")).body
    narrowed = (await ask(process, "GET", f"/{tenant_id}/audit-logs?event=tenant.created")).body

    rows = whole["data"]
    assert {(row["scope"], row["organizationId"]) for row in rows} == {("tenant", tenant_id)}
    assert rows[0]["event"] == "tenant.suspended"
    assert not [row for row in rows if row["event"].startswith("admin.")]
    assert [first["data"][0]["id"], second["data"][0]["id"]] == [row["id"] for row in rows[:2]]
    assert [row["event"] for row in narrowed["data"]] == ["tenant.created"]


async def test_the_log_is_for_who_reads_the_audit_log(sqlite_process: TenantProcess) -> None:
    """R-081: who reads the platform's log reads it; foreign cursors and unknown tenants are refused."""
    process = sqlite_process
    tenant_id = await add_tenant(process)
    other = await add_tenant(process, "other-co")
    allowed = roles_with(Permission.VIEW_AUDIT_LOGS_GLOBAL)
    for role in Role:
        said = await process.get(f"/api/admin/tenants/{tenant_id}/audit-logs", role)
        assert said.status == (200 if role in allowed else 403)

    cursor = (await ask(process, "GET", f"/{tenant_id}/audit-logs?limit=1")).body["page"]["nextCursor"]
    foreign = await ask(process, "GET", f"/{other}/audit-logs?limit=1&cursor={cursor}")
    unknown = await ask(process, "GET", "/org_nobody/audit-logs")
    assert (foreign.status, unknown.status) == (400, 404)


async def test_the_detail_counts_what_a_suspension_would_end(process: TenantProcess) -> None:
    """P-12: `openSessions` counts this tenant's sessions that are neither ended nor over."""
    tenant_id, other = await add_tenant(process), await add_tenant(process, "other-co")
    user = await add_user(process, "ann@acme.example", tenant_id, other)
    for each in (tenant_id, tenant_id, other):
        await add_session(process, each, user)

    before = (await ask(process, "GET", f"/{tenant_id}")).body["counts"]["openSessions"]
    suspended = (await ask(process, "POST", f"/{tenant_id}/suspend", {})).body["sessionsRevoked"]
    after = (await ask(process, "GET", f"/{tenant_id}")).body["counts"]["openSessions"]

    assert (before, suspended, after) == (2, 2, 0)
