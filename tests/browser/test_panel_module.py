"""What the panel's module adds, in a real Chromium under the panel's own policy."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.preview import CHROMIUM, every_page, serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield running
        running.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A fresh profile; any error of the module or violation of the policy fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', event => { throw Error(event.violatedDirective); })"
    )
    yield page
    context.close()
    assert trouble == []


def test_no_page_breaks_the_policy_or_leaves_the_window(tab: Page, origin: str) -> None:
    """Every page, hostile ones too, runs without a violation and needs no sideways scrolling at 390 px."""
    tab.set_viewport_size({"width": 390, "height": 800})
    for name in every_page():
        tab.goto(f"{origin}/dark/{name}")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_keys_go_to_places(tab: Page, origin: str) -> None:
    """`g t` follows the link of the navigation; one key alone does nothing (rule 8)."""
    tab.goto(f"{origin}/light/dashboard")
    tab.keyboard.press("t")
    expect(tab).to_have_url(re.compile("/light/dashboard$"))
    tab.keyboard.press("g")
    tab.keyboard.press("t")

    expect(tab).to_have_url(re.compile("/manage/tenants$"))


def test_slash_goes_to_the_search_and_typing_stays_typing(tab: Page, origin: str) -> None:
    """`/` focuses the search; inside a field, letters are letters."""
    tab.goto(f"{origin}/light/tenants")
    tab.keyboard.press("/")
    expect(tab.locator("#q")).to_be_focused()
    tab.keyboard.type("g t?")

    expect(tab.locator("#q")).to_have_value("g t?")
    expect(tab).to_have_url(re.compile("/light/tenants$"))


def test_slash_opens_the_filters_of_the_audit_log(tab: Page, origin: str) -> None:
    """A search that is folded away is opened before it is focused."""
    tab.goto(f"{origin}/light/audit")
    tab.keyboard.press("/")

    expect(tab.locator("#actorEmail")).to_be_focused()


def test_shortcuts_can_be_turned_off_and_stay_off(tab: Page, origin: str) -> None:
    """WCAG 2.1.4: the switch holds for this page and the next."""
    tab.goto(f"{origin}/light/dashboard")
    tab.keyboard.press("?")
    tab.click("[data-shortcuts-switch]")
    tab.click("#shortcuts >> text=Close")
    for address in ("dashboard", "tenants"):
        tab.goto(f"{origin}/light/{address}")
        tab.keyboard.press("g")
        tab.keyboard.press("t")
        tab.keyboard.press("?")
        expect(tab).to_have_url(re.compile(f"/light/{address}$"))
        expect(tab.locator("#shortcuts")).to_be_hidden()


def test_an_event_opens_beside_the_list(tab: Page, origin: str) -> None:
    """The drawer shows the linked page's content; Escape closes it and gives the focus back."""
    tab.goto(f"{origin}/light/audit")
    link = tab.locator(".row-link").first
    link.click()
    expect(tab.locator("dialog.drawer h2").first).to_have_text("Replies granted")
    expect(tab.locator("dialog.drawer")).to_contain_text("billing.credits.granted")
    tab.keyboard.press("Escape")

    expect(tab.locator("dialog.drawer")).to_have_count(0)
    expect(link).to_be_focused()


def test_a_page_that_does_not_fit_the_drawer_is_opened(tab: Page, origin: str) -> None:
    """Any surprise means: follow the link."""
    tab.goto(f"{origin}/light/audit")
    tab.evaluate("document.querySelector('.row-link').href = '/light/tenants'")
    tab.locator(".row-link").first.click()

    expect(tab).to_have_url(re.compile("/light/tenants$"))


def test_a_click_on_a_row_follows_its_link(tab: Page, origin: str) -> None:
    """The whole row leads to the tenant; the link inside stays a real link."""
    tab.goto(f"{origin}/light/tenants")
    tab.locator("tbody tr").first.locator("td").nth(1).click()

    expect(tab).to_have_url(re.compile("/manage/tenants/org_"))


def test_a_form_is_sent_once(tab: Page, origin: str) -> None:
    """The second submit of an impatient hand is dropped (rule 6)."""
    tab.goto(f"{origin}/light/tenant-new")
    tab.evaluate("""() => {
        window.sent = 0;
        addEventListener('submit', event => {
            if (!event.defaultPrevented) window.sent++;
            event.preventDefault();
        });
    }""")
    for _ in range(3):
        tab.click("text=Create tenant", force=True)

    assert tab.evaluate("window.sent") == 1


def test_a_secret_does_not_come_back_with_the_page(tab: Page, origin: str) -> None:
    """R-068: leaving takes the token out of the page, so a browser that keeps it for Back keeps no secret."""
    tab.goto(f"{origin}/light/operator-token")
    assert "enr_" in tab.content()
    tab.evaluate("dispatchEvent(new Event('pagehide'))")

    assert "enr_" not in tab.content()
    expect(tab.locator(".once")).to_contain_text("shown once")


def test_a_suggested_address_fills_the_field(tab: Page, origin: str) -> None:
    """A suggestion becomes a button that writes the slug."""
    tab.goto(f"{origin}/light/tenant-new-errors")
    tab.click("text=acme-hq")

    expect(tab.locator("#slug")).to_have_value("acme-hq")


def test_a_toast_can_be_dismissed(tab: Page, origin: str) -> None:
    """A message goes away when told to."""
    tab.goto(f"{origin}/light/tenant-fresh")
    tab.click(".toast [data-dismiss]")

    expect(tab.locator(".toast")).to_have_count(0)


def test_without_javascript_every_step_is_there(browser: Browser, origin: str) -> None:
    """Rule 1: the menu opens, the theme form posts and the event's page is reached by plain links."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{origin}/light/audit")
    page.click(".account")
    expect(page.locator("#account form button")).to_have_count(3)
    expect(page.locator("[data-dismiss], [data-copy]").locator("visible=true")).to_have_count(0)
    page.keyboard.press("Escape")
    page.locator(".row-link").first.click()

    expect(page).to_have_url(re.compile("/manage/audit/aud_"))
    context.close()
