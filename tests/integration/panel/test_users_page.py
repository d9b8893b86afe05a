"""Finding a person in the browser (P-15): only when the form is sent, with what it costs in sight."""

from collections.abc import Mapping
from typing import Any

from service_kit.identity.model import Role
from tests.integration.panel.back_office import BackOffice, House, Shown
from tests.integration.tenant_service.people import add_tenant, add_user, add_users, spend
from tests.integration.tenant_service.tenant_process import TenantProcess

USERS = "/manage/users"


async def search(office: BackOffice, role: Role = Role.SUPPORT, **typed: str) -> Shown:
    """Fill the form in and send it."""
    fields = (await office.get(USERS, role)).fields()
    return await office.post(USERS, {**fields, **typed}, role)


async def events(tenant: TenantProcess, name: str) -> list[Mapping[str, object]]:
    return [row for row in await tenant.rows("audit_events") if row["event"] == name]


async def searched(tenant: TenantProcess) -> int:
    return len(await events(tenant, "admin.support_query.executed"))


async def test_the_page_searches_for_nobody(both: House) -> None:
    """Opening the page costs nothing and runs nothing, whatever stands in its address (P-15, R-123)."""
    await add_user(both.tenant, "ann@a.example", await add_tenant(both.tenant))

    shown = await both.office.get(f"{USERS}?email=ann@a.example&q=ann&cursor=x", Role.SUPPORT)

    assert (shown.status, shown.heading) == (200, "Find a person")
    assert shown.value("text") == "ann@a.example"
    assert "60 of 60 left this hour" in shown.words
    assert "Each search and page is recorded as CRITICAL and visible to the tenant" in shown.words
    assert await searched(both.tenant) == 0
    assert await both.tenant.rows("rate_limit_hits") == []


async def test_a_search_shows_people_with_their_tenants_and_its_row(both: House) -> None:
    """The answer to the form shows who was found, links tenant and audit row, and what is left (R-121)."""
    org = await add_tenant(both.tenant)
    await add_user(both.tenant, "ann@a.example", org, name="Ann <b>")

    shown = await search(both.office, Role.SUPER_ADMIN, text="ann@a.example", justification="Asked by phone")

    assert shown.status == 200
    assert "ann@a.example" in shown.words
    assert "Ann <b>" in shown.words
    assert f"/manage/tenants/{org}" in shown.links
    [row] = await events(both.tenant, "admin.support_query.executed")
    assert f"/manage/audit/{row['id']}" in shown.links
    assert (row["actor_id"], row["reason"]) == ("adm_super_admin", "Asked by phone")
    assert "59 of 60 left this hour" in shown.words
    assert shown.headers["Cache-Control"] == "no-store"
    linked = await both.office.get(f"/manage/audit/{row['id']}")
    assert (linked.status, "Cross-tenant search" in linked.words) == (200, True)


async def test_links_are_those_that_the_role_can_follow(both: House) -> None:
    """Support cannot read the row (R-080), security cannot view the tenant: neither gets a dead link."""
    await add_user(both.tenant, "ann@a.example", await add_tenant(both.tenant))

    support = await search(both.office, Role.SUPPORT, text="ann@a.example")
    security = await search(both.office, Role.SECURITY, text="ann@a.example")

    assert not any(link.startswith("/manage/audit/aud_") for link in support.links)
    assert any(link.startswith("/manage/audit/aud_") for link in security.links)
    assert not any(link.startswith("/manage/tenants/org_") for link in security.links)


async def test_the_next_page_is_a_form_that_costs_one_more(both: House) -> None:
    """R-122: a hundred people and no more; the next page is sent as a search of its own."""
    await add_users(both.tenant, 101, await add_tenant(both.tenant))
    wanted: dict[str, Any] = {"text": "@many.example", "how": "email:contains"}

    first = await search(both.office, **wanted)
    cursor = first.value("cursor")
    second = await search(both.office, **wanted, cursor=cursor)

    assert "100 people shown" in first.words
    assert "1 person shown" in second.words
    assert "user100@many.example" in second.words
    assert "58 of 60 left this hour" in second.words
    assert await searched(both.tenant) == 2


async def test_refusals_stand_beside_the_form(both: House) -> None:
    """What was typed is kept, and nothing was searched: too short, no address, a foreign cursor."""
    short = await search(both.office, text="a", how="q:prefix")
    wrong = await search(both.office, text="ann at a")
    lost = await search(both.office, text="ann@a.example", cursor="x")

    assert [each.status for each in (short, wrong, lost)] == [400] * 3
    assert "Type at least three characters." in short.words
    assert "Type one whole email address" in wrong.words
    assert wrong.value("text") == "ann at a"
    assert "This list cannot be continued" in lost.words
    assert "60 of 60 left this hour" in lost.words
    assert await searched(both.tenant) == 0


async def test_a_spent_budget_is_told_with_its_end(both: House) -> None:
    """R-123: the 61st search is answered 429 on a page that says when the next one is free."""
    await spend(both.tenant, 60)

    shown = await search(both.office, text="ann@a.example")

    assert shown.status == 429
    assert "Your searches of this hour are spent" in shown.words
    assert "0 of 60 left this hour" in shown.words


async def test_without_its_record_there_is_no_result(both: House) -> None:
    """R-121: when the row cannot be written, the page says so and shows nobody."""
    await add_user(both.tenant, "ann@a.example", await add_tenant(both.tenant), name="Zaphod")
    await both.tenant.sql(
        """CREATE TRIGGER refuse BEFORE INSERT ON audit_events WHEN NEW.severity = 'CRITICAL'
           BEGIN SELECT RAISE(ABORT, 'refused'); END"""
    )

    shown = await search(both.office, text="ann@a.example")

    assert shown.status == 500
    assert "Nothing is shown" in shown.words
    assert "Zaphod" not in shown.text


async def test_a_tenant_service_that_is_away_is_told(office: BackOffice) -> None:
    """The page stays whole, keeps what was typed and shows nobody."""
    opened = await office.get(USERS, Role.SUPPORT)
    sent = await office.post(USERS, {**opened.fields(), "text": "ann@a.example"}, Role.SUPPORT)

    assert (opened.status, sent.status) == (200, 503)
    assert "Nobody can be searched for right now" in opened.words
    assert sent.value("text") == "ann@a.example"


async def test_another_site_cannot_make_an_operator_search(both: House) -> None:
    """A form of another origin, or without the page's own token, searches for nobody and costs nothing."""
    fields = {**(await both.office.get(USERS, Role.SUPPORT)).fields(), "text": "ann@a.example"}

    foreign = await both.office.post(USERS, fields, Role.SUPPORT, headers={"Origin": "https://evil.example"})
    tokenless = await both.office.post(USERS, {**fields, "csrf_token": ""}, Role.SUPPORT)

    assert [foreign.status, tokenless.status] == [403, 403]
    assert await searched(both.tenant) == 0
    assert await both.tenant.rows("rate_limit_hits") == []


async def test_a_digest_is_checked_through_the_admin_service(both: House) -> None:
    """R-124: the security role asks the API, which asks the tenant service in that operator's name."""
    await search(both.office, text="ann@a.example")
    [row] = await events(both.tenant, "admin.support_query.executed")
    path, office = "/api/admin/audit-logs/predicate-check", both.office

    verdicts = []
    for email in ("Ann@a.example", "bob@a.example"):
        body = {"eventId": row["id"], "params": {"email": email}}
        proof = office.proof("POST", path, Role.SECURITY, delegated=True)
        verdicts.append(await (await office.client.post(path, json=body, headers=proof)).json())
    refused = await office.client.post(
        path, json={}, headers=office.proof("POST", path, Role.SUPPORT, delegated=True)
    )

    assert verdicts == [{"matches": True}, {"matches": False}]
    assert refused.status == 403
    asked = await events(both.tenant, "admin.support_query.checked")
    assert [one["actor_id"] for one in asked] == ["adm_security"] * 2


async def test_the_navigation_leads_there(both: House) -> None:
    """Every role may search by default (C-11), so every role sees the entry."""
    for role in Role:
        assert USERS in (await both.office.get("/manage", role)).links
