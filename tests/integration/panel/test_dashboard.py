"""The dashboard: who you are, how many tenants there are, and where to go; also on a bad day."""

import pytest

from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, shown

AWAY = "The tenant service does not answer"


async def test_it_shows_the_operator(office: BackOffice) -> None:
    """The operator's own email and role (R-015, R-017)."""
    page = await office.get("/manage", Role.SUPPORT)

    assert page.heading == "Dashboard"
    assert "Signed in as support@example.com, Support" in page.words


async def test_it_shows_how_many_tenants_there_are(office: BackOffice, tenants: FakeTenantApi) -> None:
    """The total count of tenants (R-018)."""
    for number in range(3):
        tenants.add(f"t-{number}", f"Tenant {number}")
    page = await office.get("/manage")

    assert "Tenants 3 Active 3" in page.words


async def test_it_links_to_what_there_is(office: BackOffice) -> None:
    """Tenants and audit log are links; billing is named (R-019)."""
    page = await office.get("/manage")

    assert {"/manage/tenants", "/manage/audit", "/manage/tenants/new"} <= page.links
    assert "Billing" in page.words


async def test_an_empty_house_is_welcomed(office: BackOffice) -> None:
    """With no data at all there is no empty chart, but a sentence."""
    page = await office.get("/manage")

    assert page.status == 200
    assert "Nothing has been done yet" in page.words
    assert "<svg viewBox" not in page.text


async def test_security_sees_no_tenants(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A role without tenant views gets no count and no link to tenants (R-075)."""
    tenants.add("acme", "Acme")
    page = await office.get("/manage", Role.SECURITY)

    assert page.status == 200
    assert "Your role does not view tenants." in page.words
    assert not any(link.startswith("/manage/tenants") for link in page.links)
    assert AWAY not in page.words


@pytest.mark.parametrize("role", list(Role))
async def test_it_stands_without_the_tenant_service(
    office: BackOffice, tenants: FakeTenantApi, role: Role
) -> None:
    """With the tenant service away the page says so under a banner and shows what it has (architecture 9)."""
    tenants.steer.away = True
    page = await office.get("/manage", role)

    assert page.status == 200
    assert AWAY in page.words
    assert f"{role.value}@example.com" in page.words
    if role is not Role.SECURITY:
        assert "The tenant count is not available." in page.words


async def test_without_a_delegation_nobody_is_asked(office: BackOffice, tenants: FakeTenantApi) -> None:
    """The panel has no identity of its own to ask with: no delegation, no tenant data, a banner."""
    tenants.add("acme", "Acme")
    page = await office.get("/manage", delegated=False)

    assert page.status == 200
    assert AWAY in page.words
    assert tenants.memory.delegations == []


async def test_two_delegations_are_none(office: BackOffice, tenants: FakeTenantApi) -> None:
    """When two delegations came nobody can say which counts, so neither is used."""
    proof = office.proof("GET", "/manage", Role.SUPER_ADMIN, delegated=True)
    twice = [*proof.items(), ("X-Internal-Delegation", "another")]
    response = await office.client.get("/manage", headers=twice)

    assert response.status == 200
    assert AWAY in await response.text()
    assert tenants.memory.delegations == []


async def test_the_delegation_goes_on_as_it_came(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Every question to the tenant service carries the delegation of this very request, unread."""
    proof = office.proof("GET", "/manage", Role.SUPPORT, delegated=True)
    await shown(await office.client.get("/manage", headers=proof))

    assert set(tenants.memory.delegations) == {proof["X-Internal-Delegation"]}
    assert len(tenants.memory.delegations) == 3
