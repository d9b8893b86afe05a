"""Every page, full, empty, refused or far too long: valid, well structured, and free of inline code."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from jinja2 import UndefinedError

from admin_service.panel.assets import Assets
from admin_service.panel.rendering import STATIC, TEMPLATES, Renderer
from tests.unit.admin_service.panel.hostile_pages import ATTACK, LONG, SPOKEN_LONG, hostile_pages
from tests.unit.admin_service.panel.sample_pages import PAGES, Page
from tests.unit.admin_service.panel.sample_values import DASHBOARD, FRAME, NONCE, TENANT_NEW

ASSETS = Assets.load(STATIC)
RENDERER = Renderer(ASSETS)
SPRITE_IDS = frozenset(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
EVERY_PAGE = (
    *PAGES,
    *(replace(page, name=f"long-{page.name}") for page in hostile_pages(LONG)),
    *(replace(page, name=f"words-{page.name}") for page in hostile_pages(SPOKEN_LONG)),
    *(replace(page, name=f"attack-{page.name}") for page in hostile_pages(ATTACK)),
)
every_page = pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
written_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def html_of(page: Page) -> str:
    return RENDERER.render(page.frame, page.view)


def tree_of(page: Page) -> Element:
    """The document as a strict HTML parser sees it; any parse error raises."""
    return parsed(html_of(page))


@lru_cache(maxsize=len(EVERY_PAGE))
def parsed(html: str) -> Element:
    builder = html5lib.getTreeBuilder("etree")
    document: Element = html5lib.HTMLParser(tree=builder, strict=True, namespaceHTMLElements=False).parse(
        html
    )
    return document


def local_name(element: Any) -> str:
    """Without its namespace; a comment has a function for a tag, and no name."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def elements(page: Page, *names: str) -> Iterator[Element]:
    return (element for element in tree_of(page).iter() if local_name(element) in names)


def attribute(element: Element, name: str) -> str:
    value: Any = element.get(name, "")
    return str(value)


@every_page
def test_a_page_is_valid_html_with_one_heading(page: Page) -> None:
    """A strict parser finds no error, and there is exactly one h1 (panel.md, rule 3)."""
    headings = list(elements(page, "h1"))

    assert len(headings) == 1
    assert "".join(headings[0].itertext()).strip()


@every_page
def test_no_two_elements_share_an_id(page: Page) -> None:
    """An id names one element, so that labels, hints and links to errors meet the right one."""
    ids = Counter(element.get("id") for element in tree_of(page).iter() if element.get("id"))

    assert [name for name, count in ids.items() if count > 1] == []


@every_page
def test_nothing_inline(page: Page) -> None:
    """No style attribute, no event handler, no inline script or style: the CSP forbids them all."""
    for element in tree_of(page).iter():
        assert "style" not in element.attrib
        assert not [name for name in element.attrib if str(name).lower().startswith("on")]
        assert not attribute(element, "href").lower().startswith(("javascript:", "data:"))
    assert list(elements(page, "style", "base", "iframe", "object", "embed", "img")) == []
    (script,) = elements(page, "script")
    assert (script.get("nonce"), script.get("src"), script.text) == (NONCE, ASSETS.url("panel.js"), None)


@every_page
def test_everything_loaded_is_our_own(page: Page) -> None:
    """Scripts, styles and icons come from this host: no third party and no CDN."""
    loaded = [attribute(link, "href") for link in elements(page, "link")]

    assert loaded == [ASSETS.url("favicon.svg"), ASSETS.url("panel.css")]


@every_page
def test_every_icon_exists_in_the_sprite(page: Page) -> None:
    """Each `<use>` names a symbol of the hashed sprite, so no icon is silently empty."""
    for use in elements(page, "use"):
        address, _, name = attribute(use, "href").partition("#")
        assert address == ASSETS.url("icons.svg")
        assert name in SPRITE_IDS


@every_page
def test_every_posted_form_carries_a_csrf_token(page: Page) -> None:
    """A form that changes something has its token (http-api 3.0); a form that only asks has none."""
    for form in elements(page, "form"):
        tokens = [field for field in form.iter() if field.get("name") == "csrf_token"]
        posts = form.get("method") == "post"

        assert form.get("method") in {"get", "post"}
        assert len(tokens) == (1 if posts else 0)
        assert all(attribute(token, "value") for token in tokens)


@every_page
def test_every_control_has_a_label(page: Page) -> None:
    """Each visible control is named by a label; a button or link by its text or aria-label (rule 6)."""
    labelled = {label.get("for") for label in elements(page, "label")}
    for control in elements(page, "input", "select", "textarea"):
        if control.get("type") != "hidden":
            assert control.get("id") in labelled
    for action in elements(page, "button", "a", "summary"):
        assert "".join(action.itertext()).strip() or attribute(action, "aria-label")


@every_page
def test_every_reference_is_answered(page: Page) -> None:
    """Descriptions, labels, popover targets, data lists and links to errors all name an element."""
    tree = tree_of(page)
    ids = {element.get("id") for element in tree.iter()}
    wanted: set[str] = set()
    for element in tree.iter():
        for name in ("aria-describedby", "aria-labelledby", "for", "popovertarget", "list"):
            wanted.update(attribute(element, name).split())
        if attribute(element, "href").startswith("#"):
            wanted.add(attribute(element, "href")[1:])

    assert wanted <= ids


@every_page
def test_every_time_says_its_utc_moment(page: Page) -> None:
    """A time has a machine form, and UTC to the second in its title (rule 10)."""
    for time in elements(page, "time"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", attribute(time, "datetime"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", attribute(time, "title"))


@every_page
def test_every_table_head_has_a_scope(page: Page) -> None:
    """Header cells say what they head (rule 5)."""
    for cell in elements(page, "th"):
        assert cell.get("scope") in {"col", "row"}


@written_page
def test_the_title_reads_from_particular_to_general(page: Page) -> None:
    """`Acme · Tenants · Back office` (rule 3); a page with wrong fields says so first."""
    (title,) = (
        element for element in elements(page, "title") if element.text and "Back office" in element.text
    )
    parts = (title.text or "").split(" · ")

    assert parts == [*page.view.title, "Back office"]
    assert 2 <= len(parts) <= 3


@written_page
def test_a_page_has_its_landmarks(page: Page) -> None:
    """A skip link leads to main; an operator gets the navigation, a stranger gets none (P-28)."""
    navigations = [element.get("aria-label") for element in elements(page, "nav")]

    assert [element.get("id") for element in elements(page, "main")] == ["main"]
    assert next(elements(page, "a")).get("href") == "#main"
    assert ("Main" in navigations) == (page.frame.operator is not None)


@written_page
def test_one_item_of_the_navigation_is_current(page: Page) -> None:
    """The place of the page is marked once, and never by a page without a place."""
    (main,) = [nav for nav in elements(page, "nav") if nav.get("aria-label") == "Main"] or [Element("nav")]
    marked = [link.get("href") for link in main.iter() if link.get("aria-current")]

    assert len(marked) == (1 if page.frame.operator and page.view.section else 0)


@written_page
def test_everybody_can_sign_out(page: Page) -> None:
    """Each page, also that of a stranger, leads to Access's own sign-out."""
    assert "/cdn-cgi/access/logout" in {link.get("href") for link in elements(page, "a")}


@pytest.mark.parametrize("page", hostile_pages(ATTACK), ids=lambda page: page.name)
def test_what_people_typed_stays_text(page: Page) -> None:
    """Markup, quotes and template syntax in any value are shown, not interpreted."""
    html = html_of(page)

    assert "<script>alert" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;" in html
    assert "{{7*7}}" in html


@pytest.mark.parametrize("theme", ["system", "light", "dark"])
def test_the_theme_stands_in_the_document(theme: Any) -> None:
    """The theme is in the first bytes of the page, so nothing flashes, and its button is pressed."""
    html = RENDERER.render(replace(FRAME, theme=theme), DASHBOARD)

    assert f'<html lang="en" data-theme="{theme}" ' in html
    assert f'value="{theme}" aria-pressed="true"' in html
    assert len(re.findall(r'name="theme" value="\w+" aria-pressed="true"', html)) == 1


def test_a_missing_value_is_an_error_not_a_gap() -> None:
    """A value that a view does not have raises instead of leaving a hole in a page."""
    frame: Any = replace(FRAME, toasts=("a toast without a tone",))  # type: ignore[arg-type] # the fault under test

    with pytest.raises(UndefinedError):
        RENDERER.render(frame, DASHBOARD)


def test_templates_never_trust_a_string() -> None:
    """No template marks a value as safe or turns escaping off."""
    for template in Path(TEMPLATES).glob("*.html"):
        text = template.read_text()
        assert not re.search(r"\|\s*safe|autoescape|Markup|style=|\son[a-z]+=", text), template.name


def test_wrong_fields_are_named_twice_and_kept() -> None:
    """A wrong field is linked from the summary, described by its message, and keeps its value (rule 6)."""
    (page,) = [page for page in PAGES if page.name == "tenant-new-errors"]
    html = html_of(page)
    (slug,) = [field for field in elements(page, "input") if field.get("name") == "slug"]

    assert 'href="#slug"' in html
    assert slug.get("aria-describedby") == "slug-hint slug-error"
    assert (slug.get("aria-invalid"), slug.get("value")) == ("true", "acme")


def test_the_new_tenant_form_speaks_the_names_of_the_api() -> None:
    """Field pointers of the API land on controls of the form, and the form counts once."""
    names = {field.get("name") for field in elements(Page("new", FRAME, TENANT_NEW), "input", "select")}

    assert {"slug", "name", "primaryAdminEmail", "plan", "currency", "csrf_token", "idempotency_key"} <= names


def test_the_enrollment_token_is_masked_and_not_remembered() -> None:
    """The paste field hides what is pasted, and the browser is told to forget it (R-066, P-28)."""
    (page,) = [page for page in PAGES if page.name == "enrollment-refused"]
    (token,) = [field for field in elements(page, "input") if field.get("name") == "token"]

    assert (token.get("type"), token.get("autocomplete"), token.get("value")) == ("password", "off", None)


def test_the_enrollment_page_tells_how_to_share_a_token() -> None:
    """R-069: out of band, never with the address of the panel. R-066: where to get one."""
    (page,) = [page for page in PAGES if page.name == "enrollment"]
    html = html_of(page)

    assert "never arrive in the same message as the address of this page" in html
    assert "sam.ito@example.com" in html


def test_the_dashboard_shows_who_and_how_much() -> None:
    """R-017, R-018, R-019: email, tenant count, links to tenants and audit; billing is no dead link."""
    html = RENDERER.render(FRAME, DASHBOARD)
    with_billing = RENDERER.render(FRAME, replace(DASHBOARD, billing_available=True))

    assert "<strong>ada.okafor@example.com</strong>" in html
    assert '<span class="tile-value" id="tile-tenants">128</span>' in html
    assert 'class="place" href="/manage/tenants"' in html
    assert 'class="place" href="/manage/audit"' in html
    assert 'href="/manage/billing"' not in html
    assert 'class="place" href="/manage/billing"' in with_billing


def test_the_charts_are_also_tables() -> None:
    """Each bar says its day and count, and the same numbers stand in a table (P-01)."""
    page = Page("dashboard", FRAME, DASHBOARD)
    charts = [svg for svg in elements(page, "svg") if svg.get("role") == "img"]
    bars = [[one for one in chart.iter() if local_name(one) == "rect"] for chart in charts]

    assert [len(each) for each in bars] == [60, 30]
    assert {tuple(local_name(child) for child in list(chart)[:2]) for chart in charts} == {("title", "desc")}
    assert "Actions: 18</title>" in html_of(page)
    assert len([cell for cell in elements(page, "th") if cell.get("scope") == "row"]) == 60


def test_a_live_tile_has_an_address() -> None:
    """The region names its stream, and each number the id under which the stream speaks of it (P-01)."""
    page = Page("dashboard", FRAME, DASHBOARD)
    (region,) = [one for one in tree_of(page).iter() if one.get("data-live")]
    values = [one for one in region.iter() if one.get("class") == "tile-value"]

    assert region.get("data-live") == "/manage/live"
    assert [one.get("id") for one in values] == [tile.id for tile in DASHBOARD.tiles]


def test_the_invitation_link_is_only_where_it_was_made() -> None:
    """The link with its secret is shown by the two answers that make one, and nowhere else."""
    holders = [page.name for page in PAGES if "/accept-invite/" in html_of(page)]

    assert holders == ["tenant-created", "tenant-invited"]


def test_the_enrollment_token_is_on_one_page_only() -> None:
    """R-068: a token stands where it was issued, in one field and its copy button, and nowhere else."""
    holders = [page.name for page in PAGES if "enr_" in html_of(page)]
    (page,) = [page for page in PAGES if page.name == "operator-token"]

    assert holders == ["operator-token"]
    assert html_of(page).count("enr_") == 2


def test_a_refusal_names_the_permission_and_who_has_it() -> None:
    """A 403 says what is needed, which roles have it, what changed, and the request id (rules 4 and 12)."""
    (page,) = [page for page in PAGES if page.name == "problem-403"]
    html = html_of(page)

    for text in (
        "tenant.create",
        "Super admin, Support",
        "Nothing was changed.",
        f">{page.frame.request_id} ",
    ):
        assert text in html


def test_audit_rows_show_the_fields_of_the_seed() -> None:
    """R-031: actor, action, resource type, resource id, details as JSON, and the time."""
    (page,) = [page for page in PAGES if page.name == "audit"]
    html = html_of(page)

    for text in (
        "jonas.weber@example.com",
        "suspend_tenant",
        "org_01JD7Q2M4XK9V6T8R3N5B00006",
        "&#34;sessionsRevoked&#34;: 14",
        'datetime="2026-11-21T13:00:22Z"',
    ):
        assert text in html


def test_the_credits_column_appears_with_the_first_credits() -> None:
    """The column is left out while no tenant has credits, and shows a dash where only one has none."""
    pages = {page.name: html_of(page) for page in PAGES}

    assert "Credits left" not in pages["tenants"]
    assert "Credits left" in pages["tenants-credits"]


def test_the_evidence_says_what_it_does_not_list() -> None:
    """P-18: a list of actors that is cut tells how much is missing, and a whole one says nothing."""
    counted, empty = (
        html_of(next(page for page in PAGES if page.name == name))
        for name in ("evidence", "evidence-unverified")
    )
    assert "3 further actions" in counted
    assert "further action" not in empty
