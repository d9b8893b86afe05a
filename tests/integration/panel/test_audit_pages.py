"""The audit log in the panel: both services' rows, filters in the URL, and what is missing said aloud."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from admin_service.panel.views.audit import DEFAULT_RANGE
from service_kit.identity.model import Role
from tests.fakes.clock import START
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, House

ULID = "01KE0000000000000000000000"


def tenant_row(number: int = 0, **columns: Any) -> Mapping[str, Any]:
    """A row as the tenant service's log holds it, `number` seconds old."""
    return {
        "id": f"aud_{ULID[:-5]}{99999 - number:05d}",
        "occurred_at": START - timedelta(seconds=number),
        "event": "tenant.created",
        "event_version": 1,
        "action": "create_tenant",
        "severity": "NOTICE",
        "outcome": "success",
        "scope": "global",
        "actor_type": "global_admin",
        "actor_id": "adm_support",
        "actor_role": "support",
        "actor_email": "support@example.com",
        "actor_name": "Test support",
        "ip": "203.0.113.7",
        "user_agent": "Firefox",
        "target_type": "tenant",
        "target_id": "org_acme",
        "resource_type": "tenant",
        "resource_id": f"org_{number}",
        "organization_id": None,
        "request_id": "req_1",
        "reason": "",
        "ticket_ref": "",
        "pair_id": None,
        "chain": "global",
        "chain_seq": number + 1,
        "prev_hash": "0" * 64,
        "hash": "f" * 64,
        "details": {"slug": "acme"},
        **columns,
    }


async def test_each_entry_has_the_six_fields(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Actor, action, resource type, resource id, details and time stand in the row (R-030, R-031)."""
    tenants.memory.audit.append(tenant_row())
    page = await office.get("/manage/audit", Role.READ_ONLY)

    assert page.status == 200
    for text in ("support@example.com", "create_tenant", "tenant", "org_0", "slug: acme"):
        assert text in page.words
    assert 'datetime="2026-01-02T03:04:05Z"' in page.text


async def test_the_first_page_has_the_newest_hundred(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A hundred rows, newest first, and a link to the older ones (R-033)."""
    tenants.memory.audit.extend(tenant_row(number) for number in range(105))
    page = await office.get("/manage/audit")
    rows = page.tree.findall(".//tbody/tr")

    assert len(rows) == 100
    (older,) = (link for link in page.links if "cursor=" in link)
    office.clock.advance(5)
    second = await office.get(older)
    assert "These filters were not applied" not in second.words
    assert len(second.tree.findall(".//tbody/tr")) == 5
    assert "org_104" in second.words


async def test_the_default_range_is_a_chip(office: BackOffice, tenants: FakeTenantApi) -> None:
    """The range that was applied is chosen among the chips, and the log was asked for it (P-16)."""
    page = await office.get("/manage/audit")
    chosen = [
        link.get("href")
        for link in page.tree.iter("a")
        if link.get("aria-current") == "true" and "range=" in link.get("href", "")
    ]

    assert chosen == [f"/manage/audit?range={DEFAULT_RANGE}"]
    since = tenants.memory.filters[-1].since
    assert since is not None
    assert since < START


async def test_filters_live_in_the_url(office: BackOffice, tenants: FakeTenantApi) -> None:
    """The address is the state: it is asked for, and shown as removable filters."""
    page = await office.get("/manage/audit?action=create_tenant&actorEmail=Ada%40example.com&range=7d")

    asked = tenants.memory.filters[-1]
    assert (asked.action, asked.actor_email) == ("create_tenant", "ada@example.com")
    assert page.value("action") == "create_tenant"
    assert "Action create_tenant" in page.words


async def test_a_filter_that_makes_no_sense_is_named(office: BackOffice) -> None:
    """The page stands and says which filter was not applied."""
    page = await office.get("/manage/audit?severity=HIGH&from=never")

    assert page.status == 200
    assert "These filters were not applied" in page.words
    assert "severity is one of" in page.words
    assert "from is a day" in page.words


async def test_a_forged_cursor_shows_the_first_page(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A cursor of other filters, or of nobody, is named and the list begins anew."""
    tenants.memory.audit.append(tenant_row())
    page = await office.get("/manage/audit?cursor=AAAA")

    assert page.status == 200
    assert "These filters were not applied" in page.words
    assert "org_0" in page.words


@pytest.mark.parametrize("delegated", [True, False])
async def test_missing_rows_are_said_aloud(
    office: BackOffice, tenants: FakeTenantApi, delegated: bool
) -> None:
    """Without the tenant service's rows the list is shown under a red banner (data-model 2.6)."""
    tenants.steer.away = True
    page = await office.get("/manage/audit", delegated=delegated)

    assert page.status == 200
    assert "Incomplete: the tenant service did not answer" in page.words


@pytest.mark.parametrize(
    ("role", "hidden"),
    [(Role.SUPER_ADMIN, False), (Role.SECURITY, False), (Role.SUPPORT, True), (Role.READ_ONLY, True)],
)
async def test_operator_events_are_for_those_who_may(office: BackOffice, role: Role, hidden: bool) -> None:
    """Support and read_only see no `admin.*` row and are told so (R-080)."""
    fields = (await office.get("/enrollment", None, sub="sub-new", email="new@example.com")).fields()
    await office.post(
        "/enrollment", {**fields, "token": "enr_wrong"}, None, sub="sub-new", email="new@example.com"
    )
    page = await office.get("/manage/audit", role)

    assert ("admin.enrollment.failed" in page.text) is not hidden
    assert ("Operator events are shown to super admins and security only" in page.words) is hidden


async def test_asking_for_hidden_events_is_refused(office: BackOffice) -> None:
    """A role that may not read `admin.*` gets 403 when it asks for them by name (R-080)."""
    page = await office.get("/manage/audit?event=admin.*", Role.SUPPORT)

    assert page.status == 403
    assert "ADMIN_EVENTS_FORBIDDEN" in page.words


async def test_one_event_is_shown_whole(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Details, hash and chain of one row (P-17)."""
    row = tenant_row()
    tenants.memory.audit.append(row)
    page = await office.get(f"/manage/audit/{row['id']}", Role.SECURITY)

    assert page.status == 200
    assert '"slug": "acme"' in page.words
    assert "f" * 64 in page.words
    assert "203.0.113.7" in page.words


async def test_a_row_in_the_list_leads_to_its_page(office: BackOffice, tenants: FakeTenantApi) -> None:
    """The row link is a real link to a page that opens."""
    row = tenant_row()
    tenants.memory.audit.append(row)
    links = (await office.get("/manage/audit")).links

    assert f"/manage/audit/{row['id']}" in links


@pytest.mark.parametrize("event_id", [f"aud_{ULID}", "aud_x", "nothing", "%00"])
async def test_an_unknown_event_is_a_page(office: BackOffice, event_id: str) -> None:
    """404 for what never was and for what this role must not know of."""
    page = await office.get(f"/manage/audit/{event_id}", Role.SUPPORT)

    assert page.status == 404
    assert page.heading == "This event does not exist"
    assert "/manage/audit" in page.links


async def test_a_tenants_event_while_it_is_away(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A row that may lie in the tenant service is not called missing while nobody can look."""
    tenants.steer.away = True
    page = await office.get(f"/manage/audit/aud_{ULID}")

    assert page.status == 503
    assert page.heading == "The tenant service is away"


async def test_markup_in_details_is_text(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Hostile details, actors and user agents run nowhere."""
    evil = "</script><script>alert(1)</script>"
    row = tenant_row(details={evil: evil}, actor_email=evil, user_agent=evil, resource_id=evil)
    tenants.memory.audit.append(row)

    for path in ("/manage", "/manage/audit", f"/manage/audit/{row['id']}"):
        page = await office.get(path)
        assert len(list(page.tree.iter("script"))) == 1
        assert evil in page.words


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.SUPER_ADMIN, True), (Role.SECURITY, True), (Role.SUPPORT, False), (Role.READ_ONLY, False)],
)
async def test_the_list_leads_to_its_export(office: BackOffice, role: Role, may: bool) -> None:
    """P-16: links to the same list as a file, with its filters, for roles that may export (R-080)."""
    page = await office.get("/manage/audit?action=create_tenant&from=2026-01-01&to=2026-01-01", role)
    links = {link for link in page.links if link.startswith("/api/admin/audit-logs/")}
    same = "action=create_tenant&scope=global&from=2026-01-01T00%3A00%3A00%2B00%3A00"
    until = "to=2026-01-02T00%3A00%3A00%2B00%3A00"

    assert links == (
        {
            f"/api/admin/audit-logs/export?{same}&{until}&format=csv",
            f"/api/admin/audit-logs/export?{same}&{until}&format=ndjson",
            "/api/admin/audit-logs/verify",
        }
        if may
        else set()
    )
    assert ("/manage/audit/evidence" in page.links) is may


@pytest.mark.parametrize("role", [Role.SUPER_ADMIN, Role.SECURITY, Role.SUPPORT, Role.READ_ONLY])
async def test_evidence_of_a_period(both: House, role: Role) -> None:
    """P-18: counts of both services by event and actor, what was privileged or refused, and the proof."""
    await both.create(slug="acme")
    await both.office.get("/manage/audit?event=tenant.created", Role.SUPPORT)
    both.office.clock.advance(1)
    page = await both.office.get("/manage/audit/evidence?range=30d&verify=1", role)
    if role in {Role.SUPPORT, Role.READ_ONLY}:
        assert page.status == 403
        return

    assert page.status == 200
    assert "2 recorded actions" in page.words
    assert "Every row is as it was written" in page.words
    assert "tenant.created" in page.words
    assert "support@example.com adm_support" in page.words
    assert "Nothing was refused or failed in this time." in page.words
    assert "not configured" in page.words
    plain = await both.office.get("/manage/audit/evidence", role)
    assert "Not verified for this page yet" in plain.words


async def test_half_of_the_evidence_is_none(office: BackOffice, tenants: FakeTenantApi) -> None:
    """P-18: without the tenant service there is no page of counts that would look whole."""
    tenants.steer.away = True

    assert (await office.get("/manage/audit/evidence")).status == 503
    assert (await office.get("/manage/audit/evidence", delegated=False)).status == 503


async def test_every_export_that_the_page_offers_is_answered(both: House) -> None:
    """Whatever is chosen on the page, the file behind its link begins; all of time is cut to a year."""
    for query in ("", "?range=all", "?range=24h&organizationId=org_1", "?from=2020-01-01", "?to=2026-01-02"):
        page = await both.office.get(f"/manage/audit{query}", Role.SECURITY)
        for link in page.links:
            if link.startswith("/api/admin/audit-logs/export"):
                assert (await both.office.get(link, Role.SECURITY)).status == 200


async def test_one_event_shows_its_twin_and_neighbours(both: House) -> None:
    """P-17: the twin row with its hash, the neighbours' hashes, and whether something signed covers it."""
    await both.create(slug="acme")
    await both.create(slug="acme-two", name="Acme Two")
    rows = {row["id"]: row for row in await both.tenant.rows("audit_events")}
    chain = sorted(
        (row for row in rows.values() if row["chain"] == "global"), key=lambda one: one["chain_seq"]
    )
    twin = next(row for row in rows.values() if row["pair_id"] == chain[0]["pair_id"] and row != chain[0])
    page = await both.office.get(f"/manage/audit/{chain[0]['id']}", Role.SECURITY)

    assert twin["hash"] in page.words
    assert chain[1]["hash"] in page.words
    assert "entry 1 of 2" in page.words
    assert "No signed checkpoint covers this entry yet" in page.words
    newest = await both.office.get(f"/manage/audit/{chain[1]['id']}", Role.SECURITY)
    assert "none yet: this is the newest entry" in newest.words
