"""What the panel's module adds, in a real Chromium under the panel's own policy."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from admin_service.panel.views.dashboard import DashboardView
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
    expect.set_options(timeout=20_000)
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


def test_no_hostile_page_breaks_the_policy_or_leaves_the_window(tab: Page, origin: str) -> None:
    """Hostile pages run without a violation and need no sideways scrolling at 390 px.

    What the stack itself shows is judged by test_panel_quality.
    """
    tab.set_viewport_size({"width": 390, "height": 800})
    for name in every_page():
        if not name.startswith(("long-", "attack-")):
            continue
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


def test_shortcuts_are_off_where_the_operator_wants_none(tab: Page, origin: str) -> None:
    """WCAG 2.1.4: with the preference off no key does anything, and the list says where to change it."""
    tab.route("**/light/tenants", without_shortcuts)
    tab.goto(f"{origin}/light/tenants")
    for key in ("g", "d", "?", "n", "j", "/"):
        tab.keyboard.press(key)

    expect(tab).to_have_url(re.compile("/light/tenants$"))
    expect(tab.locator("#shortcuts")).to_be_hidden()
    expect(tab.locator("#q")).not_to_be_focused()
    expect(tab.locator('#shortcuts a[href="/manage/me"]')).to_have_count(1)


def without_shortcuts(route: Route) -> None:
    """The page as an operator gets it who has turned shortcuts off."""
    answer = route.fetch()
    body = answer.text().replace('data-shortcuts="on"', 'data-shortcuts="off"')
    route.fulfill(response=answer, body=body)


def test_j_and_k_walk_through_the_rows(tab: Page, origin: str) -> None:
    """Down, down, up; Enter follows the link of the row that has the focus."""
    tab.goto(f"{origin}/light/tenants")
    links = tab.locator("tbody .row-link")
    for key, row in (("j", 0), ("j", 1), ("k", 0), ("k", 0)):
        tab.keyboard.press(key)
        expect(links.nth(row)).to_be_focused()
    address = links.first.get_attribute("href")
    tab.keyboard.press("Enter")

    expect(tab).to_have_url(f"{origin}{address}")


def test_n_makes_a_new_one_and_e_edits(tab: Page, origin: str) -> None:
    """`n` on a list and `e` on a tenant do what the buttons in the head do."""
    tab.goto(f"{origin}/light/tenants")
    tab.keyboard.press("n")
    expect(tab).to_have_url(re.compile("/manage/tenants/new$"))
    tab.goto(f"{origin}/light/tenant-actions")
    tab.keyboard.press("e")

    expect(tab).to_have_url(re.compile("/manage/tenants/org_.*/edit$"))


def test_escape_leaves_the_search(tab: Page, origin: str) -> None:
    """After Escape, letters are shortcuts again."""
    tab.goto(f"{origin}/light/tenants")
    tab.keyboard.press("/")
    expect(tab.locator("#q")).to_be_focused()
    tab.keyboard.press("Escape")

    expect(tab.locator("#q")).not_to_be_focused()


def test_a_list_is_filtered_while_one_types(tab: Page, origin: str) -> None:
    """The rows and the address follow the search without a page load; the field keeps the focus."""
    empty = tab.request.get(f"{origin}/light/tenants-no-match").text()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.route("**/manage/tenants?**", lambda route: answer(route, empty))
    tab.goto(f"{origin}/light/tenants")
    tab.evaluate("window.still = true")
    tab.locator("#q").press_sequentially("zz")
    expect(tab.locator("main .empty h2")).to_contain_text("No tenants match")

    expect(tab.locator("main table")).to_have_count(0)
    expect(tab).to_have_url(re.compile(r"/manage/tenants\?.*q=zz"))
    expect(tab.locator("#q")).to_be_focused()
    assert tab.evaluate("window.still") is True
    assert [address for address in asked if "?" in address][-1].endswith("/manage/tenants?q=zz")


def answer(route: Route, body: str) -> None:
    route.fulfill(body=body, content_type="text/html; charset=utf-8")


def test_a_step_is_asked_in_a_dialog(tab: Page, origin: str) -> None:
    """Rule 1: the confirm page opens above the tenant, Cancel has the focus and gives it back to the link."""
    step = tab.request.get(f"{origin}/light/tenant-suspend").text()
    tab.route("**/suspend", lambda route: answer(route, step))
    tab.goto(f"{origin}/light/tenant-actions")
    link = tab.get_by_role("link", name="Suspend", exact=True)
    link.click()
    dialog = tab.locator("dialog.ask")
    expect(dialog.locator("form[method=post] #reason")).to_be_visible()
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    expect(tab.get_by_role("dialog", name=re.compile("Suspend.*: "))).to_be_visible()
    dialog.get_by_role("link", name="Cancel").click()

    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()
    expect(tab).to_have_url(re.compile("/light/tenant-actions$"))


def test_tiles_follow_the_server(tab: Page, origin: str) -> None:
    """A server-sent event exchanges the texts of the elements that it names, and nothing outside its box."""
    event = json.dumps({"h1": "no", "tenants-title": "no", "main": "no", **live_texts()})
    tab.route(
        "**/manage/live",
        lambda route: route.fulfill(body=f"data: {event}\n\n", content_type="text/event-stream"),
    )
    tab.goto(f"{origin}/light/dashboard")
    for name, text in live_texts().items():
        expect(tab.locator(f"#{name}")).to_have_text(text)

    expect(tab.locator("h1")).to_have_text("Dashboard")


def live_texts() -> dict[str, str]:
    """Another text for each tile of the sample dashboard."""
    view = every_page()["dashboard"].view
    assert isinstance(view, DashboardView)
    return {tile.id: f"<b>{number}</b>" for number, tile in enumerate(view.tiles)}


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
