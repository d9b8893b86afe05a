"""The first story in a real Chromium: sign in at the edge, create a tenant, find it and its audit row."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from deploy.demo.people import ADA, IRMA, NOEL, ROSA, Person
from deploy.demo.sample_data import TENANTS
from tests.fixtures.chromium import ARTEFACTS, chromium
from tests.fixtures.stack import Stack, running_stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

WIDE, NARROW = (1440, 900), (390, 844)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[Stack]:
    assert browser.is_connected()
    async with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@dataclass
class Visit:
    """One person in one browser window, and everything the browser complained about."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> int:
        response = await self.page.goto(self.origin + path)
        return response.status if response else 0

    async def heading(self) -> str:
        await self.page.wait_for_load_state()  # a click waits for the head of the answer alone
        return (await self.page.locator("h1").inner_text()).strip()

    async def text(self) -> str:
        await self.page.wait_for_load_state()
        return await self.page.locator("main").inner_text()

    async def keep(self, name: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


async def visit(
    browser: Browser,
    stack: Stack,
    person: Person,
    *,
    size: tuple[int, int] = WIDE,
    dark: bool = False,
    javascript: bool = True,
) -> Visit:
    """Open the front door, choose who to be at the edge, and follow where it leads."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        java_script_enabled=javascript,
    )
    context.set_default_timeout(30_000)
    page = await context.new_page()
    here = Visit(page, stack.origin)
    page.on("console", lambda m: here.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: here.complaints.append(str(error)))
    await here.open("/manage")
    await page.click(f'button[value="{person.key}"]')
    return here


async def create_tenant(here: Visit, slug: str) -> None:
    await here.open("/manage/tenants/new")
    await here.page.fill('[name="name"]', f"The {slug} company")
    await here.page.fill('[name="slug"]', slug)
    await here.page.fill('[name="primaryAdminEmail"]', "owner@new.example")
    await here.page.get_by_role("button", name="Create tenant").click()


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_the_first_story(browser: Browser, stack: Stack, javascript: bool) -> None:
    """R-017, R-018, R-020, R-030: dashboard with e-mail and count, create, list, audit; no complaint."""
    slug = "north-star" if javascript else "south-cross"
    ada = await visit(browser, stack, ADA, javascript=javascript)
    dashboard = await ada.text()
    await create_tenant(ada, slug)
    await ada.page.wait_for_load_state()
    created = await ada.page.content()
    await ada.open(f"/manage/tenants?q={slug}")
    listed = await ada.text()
    await ada.page.click(f'main a:has-text("{slug}"), main a:has-text("The {slug} company")')
    detail = await ada.heading()
    await ada.open("/manage/audit")
    # The services witness each other's log on their own time: such a row may stand above it.
    audit = await ada.page.locator("main table tbody tr", has_text="create_tenant").first.inner_text()
    await ada.keep(f"audit{'' if javascript else '-no-js'}")

    assert ADA.email in dashboard
    assert str(len(TENANTS)) in dashboard or str(len(TENANTS) + 1) in dashboard
    assert "accept-invite" in created
    assert f"{slug}" in listed
    assert f"The {slug} company" in detail
    assert ADA.email in audit
    assert ada.complaints == []


async def test_a_read_only_operator_sees_no_way_to_create(browser: Browser, stack: Stack) -> None:
    """R-074: the navigation hides what the role cannot do, and the server refuses it all the same."""
    rosa = await visit(browser, stack, ROSA)
    await rosa.open("/manage/tenants")
    offers = await rosa.page.locator('a[href="/manage/tenants/new"]').count()
    status = await rosa.open("/manage/tenants/new")
    await rosa.keep("permission-denied")

    assert offers == 0
    assert status == 403
    assert "tenant.create" in await rosa.text()


async def test_security_reads_the_audit_but_no_tenants(browser: Browser, stack: Stack) -> None:
    """R-075: the security role sees operator events and no tenant view."""
    irma = await visit(browser, stack, IRMA)
    dashboard = await irma.text()
    tenants = await irma.open("/manage/tenants")
    await irma.open("/manage/audit?event=admin.*")
    rows = await irma.page.locator("main table tbody tr").count()

    assert IRMA.email in dashboard
    assert tenants == 403
    assert rows > 0


async def test_a_stranger_lands_on_enrollment(browser: Browser, stack: Stack) -> None:
    """R-066: a person without a row is sent to /enrollment, and a wrong token gets one message."""
    noel = await visit(browser, stack, NOEL)
    where = noel.page.url
    await noel.keep("enrollment")
    await noel.page.fill('[name="token"]', "enr_" + "x" * 43)
    await noel.page.get_by_role("button", name="Enroll").click()
    await noel.keep("enrollment-refused")

    assert where.endswith("/enrollment")
    assert NOEL.email in await noel.text()
    assert "expired" in await noel.text()
    assert noel.page.url.endswith("/enrollment")


async def test_the_front_page_leads_to_the_panel(browser: Browser, stack: Stack) -> None:
    """Who opens the bare host is led to the dashboard."""
    ada = await visit(browser, stack, ADA)
    await ada.open("/")

    assert ada.page.url == f"{stack.origin}/manage"


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_credit_is_granted_seen_and_taken_back(
    browser: Browser, stack: Stack, javascript: bool
) -> None:
    """R-022…R-024, P-08, P-09: what the preview promised is booked, shown, and void afterwards."""
    ada = await visit(browser, stack, ADA, javascript=javascript)
    await ada.open("/manage/tenants/acme")
    await ada.page.get_by_role("link", name="Grants and ledger").click()
    billing = ada.page.url
    await ada.page.get_by_role("link", name="Grant replies").first.click()
    await ada.page.fill("#replies", "250")
    await ada.page.fill("#reason", "thanks for the patience of last week")
    await ada.page.get_by_role("button", name="Preview").click()
    preview = await ada.text()
    await ada.page.get_by_role("button", name="Grant 250 replies").click()
    booked = await ada.text()
    await ada.page.goto(billing)
    await ada.page.get_by_role("link", name="Void").first.click()
    await ada.page.fill("#reason", "granted to the wrong tenant")
    await ada.page.get_by_role("button", name="Void").last.click()
    await ada.page.wait_for_load_state()
    await ada.page.goto(billing)
    after = await ada.text()

    assert "250" in preview
    assert "250" in booked
    assert "Voided: granted to the wrong tenant" in after
    assert ada.complaints == []


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_a_search_for_a_person_is_found_in_the_log(
    browser: Browser, stack: Stack, javascript: bool
) -> None:
    """R-089, R-121, P-15, P-16: the search is CRITICAL, with its reason, and without what was typed."""
    ada = await visit(browser, stack, ADA, javascript=javascript)
    await ada.open("/manage/users")
    await ada.page.fill("#text", "somebody@nowhere.example")
    await ada.page.fill("#justification", "ticket about a lost sign-in")
    await ada.page.get_by_role("button", name="Search", exact=True).last.click()
    await ada.page.wait_for_load_state()
    found = await ada.text()
    await ada.open("/manage/audit?severity=CRITICAL&event=admin.support_query.executed")
    row = await ada.page.locator("main table tbody tr").first.inner_text()

    assert "recorded as CRITICAL" in found
    assert ADA.email in row
    assert "somebody@nowhere.example" not in await ada.text()
    assert ada.complaints == []
