"""Who sees which page: every page for every role, and everybody who is no operator."""

import pytest

from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role, Scope, roles_with
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BROWSER, BackOffice, Shown, shown

EVERYBODY = frozenset(Role)
PAGES = {
    "/manage": EVERYBODY,
    "/manage/tenants": frozenset(roles_with(Permission.TENANT_LIST)),
    "/manage/tenants/new": frozenset(roles_with(Permission.TENANT_CREATE)),
    "/manage/tenants/org_acme": frozenset(roles_with(Permission.TENANT_VIEW)),
    "/manage/tenants/acme": frozenset(roles_with(Permission.TENANT_VIEW)),
    "/manage/audit": EVERYBODY,
    "/manage/operators": frozenset({Role.SUPER_ADMIN}),
}
LABELS = {
    Role.SUPER_ADMIN: "Super admin",
    Role.SUPPORT: "Support",
    Role.READ_ONLY: "Read only",
    Role.SECURITY: "Security",
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("path", list(PAGES))
async def test_each_page_serves_exactly_the_roles_that_may(
    office: BackOffice, tenants: FakeTenantApi, path: str, role: Role
) -> None:
    """A page opens for a role that holds its permission and answers 403 to every other (R-072…R-075)."""
    tenants.add("acme", "Acme")
    page = await office.get(path, role)

    assert page.status == (200 if role in PAGES[path] else 403)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_a_refusal_names_the_permission_and_who_has_it(office: BackOffice) -> None:
    """403 tells what was needed and which roles have it (panel.md, rule 4)."""
    page = await office.get("/manage/tenants/new", Role.READ_ONLY)

    assert page.status == 403
    assert "tenant.create" in page.words
    assert "Super admin, Support" in page.words
    assert "Your role Read only" in page.words
    assert "req_panel1" in page.words


@pytest.mark.parametrize("role", list(Role))
async def test_the_navigation_shows_only_what_opens(
    office: BackOffice, tenants: FakeTenantApi, role: Role
) -> None:
    """No link of the dashboard leads this role into a refusal."""
    tenants.add("acme", "Acme")
    page = await office.get("/manage", role)
    inside = {link for link in page.links if link.startswith("/manage")}

    for link in sorted(inside):
        assert (await office.get(link, role)).status == 200, link


async def get_as(office: BackOffice, path: str, headers: dict[str, str]) -> Shown:
    return await shown(await office.client.get(path, headers={**BROWSER, **headers}, allow_redirects=False))


@pytest.mark.parametrize(
    "path", [*PAGES, "/enrollment", "/static/panel/panel.css", "/manage/nothing", "/nothing"]
)
async def test_nobody_is_answered_without_an_identity(office: BackOffice, path: str) -> None:
    """Without a proven identity every path answers the same JSON 401, and nothing of the panel (R-005)."""
    page = await get_as(office, path, {})

    assert page.status == 401
    assert page.headers["Content-Type"].startswith("application/problem+json")
    assert "Back office" not in page.text


@pytest.mark.parametrize("path", ["/manage", "/manage/tenants", "/manage/theme"])
async def test_a_person_who_is_no_operator_sees_no_page(office: BackOffice, path: str) -> None:
    """Access alone opens nothing of the panel (R-039)."""
    page = await office.get(path, role=None)

    assert page.status in {403, 405}
    assert "Dashboard" not in page.words


async def test_a_process_is_not_a_person(office: BackOffice) -> None:
    """The sidecar's own identity opens no page, not even the enrollment form."""
    headers = office.vouch.headers(audience="admin_service", scope=Scope.ROSTER)
    page = await get_as(office, "/enrollment", headers)

    assert page.status == 403
    assert page.headers["Content-Type"].startswith("application/problem+json")


async def test_a_deactivated_operator_gets_their_own_page(office: BackOffice) -> None:
    """The row decides on every request, whatever the token says (R-064)."""
    now = office.clock.now()
    await office.add_operator(Role.SUPPORT, sub="sub-gone", name="gone", deactivated_at=now)
    page = await office.get("/manage", Role.SUPPORT, operator_id="adm_gone", sub="sub-gone")

    assert page.status == 403
    assert "deactivated" in page.heading
    assert "/cdn-cgi/access/logout" in page.links


async def test_an_operator_without_a_row_is_sent_to_enroll(office: BackOffice) -> None:
    """`ENROLLMENT_REQUIRED` leads a navigation to the page where the token goes (R-066)."""
    page = await office.get("/manage", Role.SUPPORT, operator_id="adm_unknown", sub="sub-unknown")

    assert page.status == 303
    assert page.headers["Location"] == "/enrollment"


async def test_the_role_of_the_row_counts(office: BackOffice) -> None:
    """A token that still says super_admin opens only what the row's role opens (R-039)."""
    page = await office.get(
        "/manage/operators", Role.SUPER_ADMIN, operator_id="adm_support", sub="sub-support"
    )

    assert page.status == 403


def test_every_role_has_a_label() -> None:
    """The pages speak of every role that exists."""
    assert set(LABELS) == set(OPERATOR_PERMISSIONS)


@pytest.mark.parametrize("role", list(Role))
async def test_the_header_says_who_works_here(office: BackOffice, role: Role) -> None:
    """Name, address and role stand in the header of every page (panel.md, rule 3)."""
    page = await office.get("/manage", role)
    header = " ".join("".join(page.tree.itertext()).split())

    assert f"Test {role.value}" in header
    assert f"{role.value}@example.com" in header
    assert LABELS[role] in header
