"""The manual (P-27): made from the code, for everybody, also when the tenant service is away."""

from pathlib import Path

import pytest

from admin_service.events import CATALOGUE
from admin_service.panel.views.manual import RUNBOOKS
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role
from tenant_service.events import CATALOGUE as TENANT_CATALOGUE
from tests.integration.panel.back_office import BackOffice, Shown, house

HELP = "/manage/help"


def events_in(page: Shown) -> set[str]:
    """The names in the table of events."""
    cells = [one for one in page.tree.iter("span") if one.get("class") == "quiet mono"]
    return {"".join(cell.itertext()) for cell in cells}


def matrix_in(page: Shown) -> dict[str, list[bool]]:
    (table,) = [one for one in page.tree.iter("table") if one.get("class") == "matrix"]
    found = {}
    for row in table.findall(".//tbody/tr"):
        (name,) = list(row.iter("code"))
        found[name.text or ""] = ["Yes" in "".join(cell.itertext()) for cell in row.findall("td")]
    return found


async def test_the_matrix_is_that_of_the_code(office: BackOffice) -> None:
    """Each permission and each role, as the table that decides says it (R-081)."""
    assert matrix_in(await office.get(HELP)) == {
        permission.value: [permission in OPERATOR_PERMISSIONS[role] for role in Role]
        for permission in Permission
    }


async def test_every_event_of_both_services_is_listed(tmp_path: Path) -> None:
    """The catalogue is the one by which the services record (C-09)."""
    async with house(tmp_path) as both:
        page = await both.office.get(HELP, Role.READ_ONLY)

    assert events_in(page) == {known.name for known in (*CATALOGUE, *TENANT_CATALOGUE)}
    assert "does not answer" not in " ".join(page.words.split("Runbooks", 1)[0].split())


async def test_without_the_tenant_service_its_own_events_remain(office: BackOffice) -> None:
    """The page stands, says what is missing, and is complete in everything else."""
    page = await office.get(HELP, Role.SECURITY)

    assert page.status == 200
    assert "Its events are missing below." in page.words
    assert events_in(page) == {known.name for known in CATALOGUE}
    assert len(matrix_in(page)) == len(Permission)


@pytest.mark.parametrize("role", Role)
async def test_a_runbook_leads_only_where_the_role_may_go(office: BackOffice, role: Role) -> None:
    """Every runbook is read by everybody; its link is there for whom the page behind it is open (rule 4)."""
    page = await office.get(HELP, role)
    held = {permission.value for permission in OPERATOR_PERMISSIONS[role]}
    main = page.tree.find(".//main")
    assert main is not None
    links = {link.get("href") for link in main.iter("a")}

    for advice in RUNBOOKS:
        assert advice.title in page.words
        if advice.link is not None:
            assert (advice.link.href in links) == (advice.permission in held)
            is_refused = (await office.get(advice.link.href, role)).status == 403
            assert is_refused == (advice.permission not in held)


async def test_a_person_who_is_no_operator_gets_no_manual(office: BackOffice) -> None:
    """R-063."""
    assert (await office.get(HELP, None)).status == 403


async def test_every_page_leads_to_the_manual_and_to_the_search(office: BackOffice) -> None:
    """The header has the search box, the menu the manual and one's own page."""
    page = await office.get("/manage/audit", Role.SECURITY)

    assert {HELP, "/manage/me"} <= page.links
    assert 'action="/manage/search"' in page.text
