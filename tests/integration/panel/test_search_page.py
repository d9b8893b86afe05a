"""The search box (P-25): it jumps to what the role sees, and looks for no person by itself."""

from typing import Any

import pytest
from yarl import URL

from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, Shown

SEARCH = URL("/manage/search")
API = URL("/api/admin/search")
NO_EVENT = "aud_01KDYAK348C5X7SGAGCBQF0001"


async def searched(office: BackOffice, text: str, role: Role = Role.SUPER_ADMIN, **options: Any) -> Shown:
    return await office.get(SEARCH.with_query(q=text), role, **options)


async def found(office: BackOffice, text: str, role: Role = Role.SUPER_ADMIN) -> dict[str, Any]:
    """What the API answers."""
    target = API.with_query(q=text)
    headers = office.proof("GET", str(target), role, delegated=True)
    response = await office.client.get(target, headers=headers)
    assert response.status == 200, await response.text()
    body: dict[str, Any] = await response.json()
    return body


async def test_a_name_leads_to_a_tenant(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A part of a name is enough; each hit is a link to the thing itself."""
    tenants.add("acme", "Acme Inc")
    tenants.add("globex", "Globex")
    page = await searched(office, "acm")

    assert "1 hit for acm" in page.words
    assert "/manage/tenants/org_acme" in page.links
    assert "/manage/tenants?q=acm" in page.links
    assert "Globex" not in page.words


@pytest.mark.parametrize("named", ["globex", "GLOBEX", "  globex  "])
async def test_the_exact_slug_comes_first(office: BackOffice, tenants: FakeTenantApi, named: str) -> None:
    """However many newer tenants have the word in their names, the slug itself is the first hit, once."""
    tenants.add("globex", "The old one")
    for number in range(9):
        tenants.add(f"other-{number}", f"Globex {number}")
    body = await found(office, named)

    assert [one["slug"] for one in body["tenants"]][:2] == ["globex", "other-0"]
    assert len(body["tenants"]) == 5
    assert len({one["id"] for one in body["tenants"]}) == 5


async def test_operators_are_for_who_manages_them(office: BackOffice) -> None:
    """A name or an address finds an operator for a super_admin, and nothing for support (R-076)."""
    mine, theirs = await found(office, "read_only"), await found(office, "read_only", Role.SUPPORT)
    page = await searched(office, "read_only")

    assert [one["id"] for one in mine["operators"]] == ["adm_read_only"]
    assert theirs["operators"] == []
    assert "/manage/operators/adm_read_only" in page.links


@pytest.mark.parametrize("role", Role)
async def test_an_address_only_offers_the_recorded_search(
    office: BackOffice, tenants: FakeTenantApi, role: Role
) -> None:
    """P-25: nothing looks for the person until the form of P-15 is sent."""
    page = await searched(office, "ann@acme.example", role)

    assert "/manage/users?email=ann%40acme.example" in page.links
    assert "does not look through the tenants’ people" in page.words
    assert set(tenants.memory.paths) <= {"/api/admin/credit-packs"}
    form = await office.get("/manage/users?email=ann%40acme.example", role)
    assert form.value("text") == "ann@acme.example"


async def test_security_finds_no_tenant_and_no_pack(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A role without `tenant.list` gets no hit and asks the tenant service nothing (R-075)."""
    tenants.add("acme", "Acme")
    page = await searched(office, "acme", Role.SECURITY)

    assert "Nothing found" in page.words
    assert tenants.memory.queries == []
    assert not [link for link in page.links if link.startswith("/manage/tenants")]


async def test_an_empty_search_is_a_box(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Without a text nobody is asked, and the page says what can be found."""
    for text in ("", "   ", "\x00\u0007"):
        page = await searched(office, text)

        assert page.status == 200
        assert "Jump to what you can name." in page.words
    assert tenants.memory.queries == []


async def test_the_tenant_service_away_is_said(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Operators are still found; what is missing is named."""
    tenants.steer.away = True
    page = await searched(office, "support")

    assert page.status == 200
    assert "The tenant service does not answer" in page.words
    assert "/manage/operators/adm_support" in page.links
    assert (await found(office, "support"))["partial"] is True


async def test_an_unknown_event_is_not_found(office: BackOffice) -> None:
    """The id of an event that does not exist finds nothing, and is no error."""
    assert (await found(office, NO_EVENT))["events"] == []


async def test_an_event_is_found_by_its_id(office: BackOffice) -> None:
    """The id of a row leads to the row, and support does not find what is hidden from it (R-080)."""
    await office.post(
        "/manage/operators/adm_read_only/deactivate",
        {
            **(await office.get("/manage/operators/adm_read_only/deactivate")).fields(),
            "reason": "Left us long ago",
        },
    )
    log = await office.client.get(
        "/api/admin/audit-logs?allow_partial=1",
        headers=office.proof("GET", "/api/admin/audit-logs?allow_partial=1", Role.SECURITY, delegated=True),
    )
    row = (await log.json())["data"][0]
    mine, hidden = await found(office, row["id"], Role.SECURITY), await found(office, row["id"], Role.SUPPORT)

    assert mine["events"] == [{"id": row["id"], "event": row["event"]}]
    assert hidden["events"] == []
    assert f"/manage/audit/{row['id']}" in (await searched(office, row["id"], Role.SECURITY)).links


async def test_text_stays_text(office: BackOffice) -> None:
    """What was typed is shown, never run, and a long one is cut."""
    page = await searched(office, '<script>alert("x")</script>' + "y" * 300)

    assert "<script>alert" not in page.text
    assert page.status == 200


async def test_the_api_refuses_what_is_no_text(office: BackOffice) -> None:
    """http-api 3.0: a query that is too long or unknown is refused as such."""
    for target in (API.with_query(q="x" * 121), API.with_query(q="a", limit="7")):
        headers = office.proof("GET", str(target), Role.SUPPORT, delegated=True)
        response = await office.client.get(target, headers=headers)

        assert (response.status, (await response.json())["code"]) == (400, "QUERY_INVALID")


async def test_an_id_that_nobody_has_is_no_error(office: BackOffice) -> None:
    """An id of the right shape finds nothing where there is no such tenant."""
    assert (await found(office, "org_01KDYAK348C5X7SGAGCBQF0001"))["tenants"] == []
