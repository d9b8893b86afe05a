"""The dashboard: who you are, how many tenants there are, and where to go; also on a bad day."""

import pytest
from yarl import URL

from admin_service.tables import AUDIT
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.own_events import BROKEN
from service_kit.audit.recorder import AuditRecorder
from service_kit.identity.model import Role
from service_kit.ids import IdFactory
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
    assert 'role="img"' not in page.text


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


async def test_each_role_sees_its_own_tiles(office: BackOffice, tenants: FakeTenantApi) -> None:
    """P-01: a tile that the role may not see is absent, in the page and in its numbers."""
    tenants.add("acme", "Acme")
    tenants.steer.queues = []
    tenant_tiles = {"tile-tenants", "tile-active", "tile-suspended", "tile-invitations", "tile-expiring"}
    watched = tenant_tiles | {"tile-low", "tile-partial"}
    expected = {
        Role.SUPER_ADMIN: watched | {"tile-dead", "tile-chain"},
        Role.SUPPORT: watched,
        Role.READ_ONLY: watched,
        Role.SECURITY: {"tile-chain"},
    }
    for role in Role:
        page = await office.get("/manage", role)
        shown_ids = {one.get("id", "") for one in page.tree.iter("span")} - {""}

        assert {name for name in shown_ids if name.startswith("tile-")} == expected[role], role


async def test_what_wants_looking_at_says_so(office: BackOffice, tenants: FakeTenantApi) -> None:
    """P-01: expiring invitations, low balances and partial failures, each with the way to it."""
    tenants.steer.attention = {"expiringInvitations": 3, "lowBalances": 2, "partialFailures": 1}
    page = await office.get("/manage", Role.READ_ONLY)

    assert "Expiring in 24 h 3 invitations Low balances 2" in page.words
    assert "Partial failures 1 accounts without a place" in page.words
    assert "/manage/tenants?lowBalance=true" in page.links
    assert "/manage/audit?event=org.invitation.partial_failure&range=all" in page.links


async def test_a_break_on_record_is_shown(office: BackOffice) -> None:
    """P-01: the chain's tile turns when either service recorded a break, and leads to it."""
    recorder = AuditRecorder(AUDIT, IdFactory(office.clock), office.clock)
    entry = AuditEntry(BROKEN, SYSTEM, "global/7/hash")
    async with office.database.write() as session:
        await recorder.record(session, entry)
    pages = {role: await office.get("/manage", role) for role in Role}
    page = pages[Role.SECURITY]

    assert [role for role in Role if "Audit chain Intact" in pages[role].words] == []
    assert [role for role in Role if "Audit chain" in pages[role].words] == [Role.SUPER_ADMIN, Role.SECURITY]
    assert "Audit chain Broken a break is on record" in page.words
    assert "/manage/audit?event=audit.chain.broken&range=all" in page.links


async def test_no_tile_claims_what_nobody_knows(office: BackOffice, tenants: FakeTenantApi) -> None:
    """With the tenant service away neither its numbers nor half a sum nor half a verdict is shown."""
    tenants.steer.away = True
    page = await office.get("/manage")
    shown_ids = {one.get("id", "") for one in page.tree.iter("span")}

    assert not [name for name in shown_ids if name and name.startswith("tile-")]


async def test_the_quick_form_leads_to_the_form(office: BackOffice) -> None:
    """P-01: a name typed on the dashboard stands in the form of a new tenant, with a slug made from it."""
    dashboard = await office.get("/manage", Role.SUPPORT)
    form = await office.get(URL("/manage/tenants/new").with_query(name="Blue <Harbor> & Co"), Role.SUPPORT)

    assert 'action="/manage/tenants/new"' in dashboard.text
    assert form.value("name") == "Blue <Harbor> & Co"
    assert form.value("slug") == "blue-harbor-co"
    assert 'action="/manage/tenants/new"' not in (await office.get("/manage", Role.READ_ONLY)).text
