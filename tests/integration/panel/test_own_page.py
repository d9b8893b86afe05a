"""One's own page (P-26): what one may do, the preferences, and that they reach every page."""

import pytest

from service_kit.identity.model import OPERATOR_PERMISSIONS, Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, Shown

OWN = "/manage/me"
SAVE = "/manage/me/preferences"
LIKED = {"theme": "dark", "density": "compact", "timeZone": "Asia/Kolkata", "shortcuts": "on"}


async def saved(office: BackOffice, role: Role = Role.SUPPORT, **typed: str) -> Shown:
    """Send the page's own form with these values; an empty one leaves the control out, as a browser does."""
    fields = (await office.get(OWN, role)).fields()
    kept = {name: value for name, value in {**fields, **LIKED, **typed}.items() if value}
    return await office.post(SAVE, kept, role)


def root_of(page: Shown) -> dict[str, str]:
    return {name: value for name, value in page.tree.attrib.items() if name.startswith("data-")}


@pytest.mark.parametrize("role", Role)
async def test_everybody_sees_what_they_may_do(office: BackOffice, role: Role) -> None:
    """The matrix has a row for each permission and says Yes where the code does (R-081)."""
    page = await office.get(OWN, role)
    (matrix,) = [one for one in page.tree.iter("table") if one.get("class") == "matrix"]
    rows = {
        "".join(row.find(".//code").itertext()): " ".join("".join(row.find("td").itertext()).split())  # type: ignore[union-attr] # a row has both
        for row in matrix.findall(".//tbody/tr")
    }

    assert {name for name, said in rows.items() if said == "Yes"} == {
        permission.value for permission in OPERATOR_PERMISSIONS[role]
    }
    assert len(rows) == 16


async def test_what_was_saved_is_how_every_page_looks(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Theme, density, zone and shortcuts count from the next page on, and only for whoever saved them."""
    tenants.add("acme", "Acme")
    answer = await saved(office, shortcuts="")
    own, listed = await office.get(OWN, Role.SUPPORT), await office.get("/manage/tenants", Role.SUPPORT)
    other = await office.get("/manage/tenants", Role.READ_ONLY)

    assert (answer.status, answer.headers["Location"]) == (303, "/manage/me?done=preferences")
    assert "panel_theme=dark" in answer.headers["Set-Cookie"]
    assert root_of(listed) == {"data-theme": "dark", "data-density": "compact", "data-shortcuts": "off"}
    assert root_of(other) == {"data-theme": "system", "data-density": "comfortable", "data-shortcuts": "on"}
    assert (own.value("theme"), own.value("timeZone")) == ("dark", "Asia/Kolkata")
    assert 'name="shortcuts" value="on" checked' not in own.text


async def test_times_stand_in_the_chosen_zone(office: BackOffice) -> None:
    """Rule 10: the operator's zone in the text, UTC in the title."""
    await saved(office)
    page = await office.get(OWN, Role.SUPPORT)

    assert 'title="2026-01-02 03:04:05 UTC">2 Jan 2026, 08:34</time>' in page.text


async def test_this_browser_keeps_its_own_theme(office: BackOffice) -> None:
    """What this browser was told last counts more than the preference."""
    await saved(office)
    page = await office.get(OWN, Role.SUPPORT, headers={"Cookie": "panel_theme=light"})

    assert root_of(page)["data-theme"] == "light"


@pytest.mark.parametrize(
    "typed",
    [{"timeZone": "Mars/Olympus"}, {"timeZone": "../../etc/passwd"}, {"theme": "pink"}, {"density": "tight"}],
)
async def test_what_cannot_be_liked_is_refused(office: BackOffice, typed: dict[str, str]) -> None:
    """The form comes back with what was typed and what to do; nothing was saved."""
    answer = await saved(office, Role.SUPPORT, **typed)
    (name,) = typed
    kept = await office.get(OWN, Role.SUPPORT)

    assert answer.status == 422
    assert "The preferences were not saved" in answer.words
    assert f'href="#{name}"' in answer.text
    if name == "timeZone":
        assert answer.value("timeZone") == typed["timeZone"]
    assert kept.value("timeZone") == "UTC"


async def test_a_form_of_somebody_else_saves_nothing(office: BackOffice) -> None:
    """Without a token of one's own the form is shown again, and no other site can send it (http-api 3.0)."""
    foreign = (await office.get(OWN, Role.SECURITY)).fields()
    answer = await office.post(SAVE, {**foreign, **LIKED}, Role.SUPPORT)
    elsewhere = await office.post(
        SAVE, {**foreign, **LIKED}, Role.SECURITY, headers={"Origin": "https://evil.example"}
    )

    assert (answer.status, elsewhere.status) == (403, 403)
    assert "This form is no longer valid" in answer.words
    assert (await office.get(OWN, Role.SUPPORT)).value("theme") == "system"
    assert (await office.get(OWN, Role.SECURITY)).value("theme") == "system"


async def test_the_page_stands_without_the_tenant_service(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Preferences and sessions are this service's own; only the last actions are incomplete."""
    tenants.steer.away = True
    page = await office.get(OWN, Role.SUPPORT)

    assert page.status == 200
    assert "Incomplete: the tenant service did not answer." in page.words
    assert (await saved(office)).status == 303


async def test_the_shortcuts_are_listed(office: BackOffice) -> None:
    """The list names the keys, and no place that the role does not see."""
    support, security = await office.get(OWN, Role.SUPPORT), await office.get(OWN, Role.SECURITY)

    assert "Search on this page" in support.words
    assert "Go to Tenants" in support.words
    assert "Go to Tenants" not in security.words
