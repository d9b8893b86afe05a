"""The list of tenants and the page of one tenant."""

import pytest

from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'


class TestList:
    async def test_every_tenant_has_email_plan_and_date(
        self, office: BackOffice, tenants: FakeTenantApi
    ) -> None:
        """The three columns of the seed stand in each row (R-020)."""
        tenants.add("acme", "Acme", email="boss@acme.example", plan="enterprise")
        page = await office.get("/manage/tenants", Role.READ_ONLY)

        assert "Acme acme boss@acme.example Enterprise Active Invited 1 Jan 2026" in page.words
        assert "/manage/tenants/org_acme" in page.links
        assert "1 tenant" in page.words

    async def test_filters_live_in_the_url(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """What the address says is asked for and shown; the form keeps it."""
        page = await office.get("/manage/tenants?q=ac%26me&status=active&plan=pro")

        asked = tenants.memory.queries[-1]
        assert (asked.q, asked.status, asked.plan) == ("ac&me", "active", "pro")
        assert page.value("q") == "ac&me"
        assert "No tenants match q=ac&me status=active plan=pro" in page.words

    async def test_older_pages_keep_the_filters(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """The link to the next page is the same address with a cursor: nothing is unreachable (R-020)."""
        for number in range(51):
            tenants.add(f"t-{number}", f"Tenant {number}")
        page = await office.get("/manage/tenants?q=tenant")

        assert "/manage/tenants?q=tenant&cursor=next" in page.links

    async def test_a_cursor_of_another_list_shows_the_first_page(
        self, office: BackOffice, tenants: FakeTenantApi
    ) -> None:
        """A stale or forged cursor is named, and the list begins anew."""
        tenants.add("acme", "Acme")
        tenants.steer.cursor_fits = False
        page = await office.get("/manage/tenants?cursor=forged")

        assert page.status == 200
        assert "These filters were not applied" in page.words
        assert "Acme" in page.words

    async def test_an_unknown_status_is_named(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """A status that does not exist filters nothing, and the page says so."""
        tenants.add("acme", "Acme")
        page = await office.get("/manage/tenants?status=sleeping")

        assert "These filters were not applied" in page.words
        assert tenants.memory.queries[-1].status == ""

    async def test_markup_in_a_name_is_text(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """A hostile tenant name is shown as it was typed and runs nowhere."""
        tenants.add("evil", EVIL, email="a@b.example")
        page = await office.get("/manage/tenants")

        assert EVIL in page.words
        assert len(list(page.tree.iter("script"))) == 1
        assert not list(page.tree.iter("img"))

    async def test_the_tenant_service_away(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """The page stands under a banner and does not pretend that there are no tenants."""
        tenants.steer.away = True
        page = await office.get("/manage/tenants")

        assert page.status == 503
        assert "The tenant service does not answer" in page.words
        assert "No tenants yet" not in page.words

    async def test_only_who_may_create_is_offered_it(self, office: BackOffice) -> None:
        """read_only sees the list without the button (R-074)."""
        assert "/manage/tenants/new" not in (await office.get("/manage/tenants", Role.READ_ONLY)).links
        assert "/manage/tenants/new" in (await office.get("/manage/tenants", Role.SUPPORT)).links


class TestDetail:
    @pytest.mark.parametrize("reference", ["org_acme", "acme"])
    async def test_one_tenant_is_shown(
        self, office: BackOffice, tenants: FakeTenantApi, reference: str
    ) -> None:
        """Identity, owner invitation, connected accounts and credits have their place (R-021, R-022)."""
        tenants.add("acme", "Acme")
        page = await office.get(f"/manage/tenants/{reference}", Role.READ_ONLY)

        assert page.heading == "Acme"
        assert "acme.app.example.com" in page.words
        assert "owner@acme.example" in page.words
        assert "inv_public" in page.words
        assert "Connected accounts" in page.words
        assert "Replies remaining" in page.words
        assert "by Test super_admin" in page.words

    @pytest.mark.parametrize("reference", ["org_nobody", "a%2fb", "%00", "x" * 500])
    async def test_an_unknown_tenant_is_a_page(self, office: BackOffice, reference: str) -> None:
        """404 for whatever is no tenant, with the way back."""
        page = await office.get(f"/manage/tenants/{reference}")

        assert page.status == 404
        assert page.headers["Content-Type"].startswith("text/html")

    async def test_a_missing_tenant_leads_to_the_list(self, office: BackOffice) -> None:
        """The page names what does not exist."""
        page = await office.get("/manage/tenants/org_nobody")

        assert page.heading == "This tenant does not exist"
        assert "/manage/tenants" in page.links

    async def test_the_tenant_service_away(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """One clear page with 503 and the request id."""
        tenants.steer.away = True
        page = await office.get("/manage/tenants/org_acme")

        assert page.status == 503
        assert page.heading == "The tenant service is away"
        assert page.headers["Retry-After"] == "2"
        assert "req_panel1" in page.words

    async def test_markup_in_a_name_is_text(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """A hostile name runs neither in the heading nor in the title."""
        tenants.add("evil", EVIL)
        page = await office.get("/manage/tenants/org_evil")

        assert page.heading == EVIL
        assert len(list(page.tree.iter("script"))) == 1

    async def test_an_unknown_notice_says_nothing(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """Nobody can put words on the page through its address."""
        tenants.add("acme", "Acme")
        page = await office.get("/manage/tenants/org_acme?notice=Your+account+is+locked")

        assert "locked" not in page.words
