"""Every page of the panel, in every state, in a real Chromium: what axe, a strict parser and a ruler find."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Response

from deploy.demo.people import CAST, SERVICE_TOKEN
from tests.fixtures.chromium import chromium
from tests.fixtures.examined_pages import (
    HEIGHT,
    NARROW,
    WIDE,
    WIDEST,
    Complaints,
    everything_wrong,
    invalid_html,
    too_wide,
    unusable_forms,
    watch,
)
from tests.fixtures.panel_data import FLAGS, Furnished, furnish
from tests.fixtures.panel_walk import (
    Visit,
    answered_forms,
    every_page,
    other_states,
    page_paths,
    with_the_tenants_away,
)
from tests.fixtures.stack import Stack, running_stack

pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.timeout(900)]

KEYS = {person.key for person in CAST}
SENDS = "main form[method=post] .form-actions button"


@dataclass
class Walk:
    """One window for each person, and what was wrong where."""

    browser: Browser
    origin: str
    wrong: dict[str, list[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    windows: dict[str, tuple[Page, Complaints]] = field(default_factory=dict)

    async def window(self, who: str, *, javascript: bool = True) -> tuple[Page, Complaints]:
        """The window of somebody who is signed in at the edge."""
        known = f"{who} {javascript}"
        if known not in self.windows:
            context = await self.browser.new_context(
                viewport={"width": WIDE if javascript else WIDEST, "height": HEIGHT},
                reduced_motion="reduce",
                java_script_enabled=javascript,
            )
            context.set_default_timeout(60_000)
            page = await context.new_page()
            complaints = await watch(page)
            await page.goto(f"{self.origin}/manage")
            await page.click(f'button[value="{who}"]')
            await page.wait_for_load_state()
            complaints.taken()
            self.windows[known] = page, complaints
        return self.windows[known]

    async def look(self, visits: Iterable[Visit]) -> None:
        """Judge each page after all that can be done to it was done."""
        for visit in visits:
            page, complaints = await self.window(visit.who)
            found = await self._arrive(page, visit)
            found += await everything_wrong(
                page, of_panel=visit.who in KEYS, frame=visit.who not in self.seen
            )
            self.seen.add(visit.who)
            found += complaints.taken()
            self._note(visit.name, found)

    async def look_without_javascript(self, visits: Iterable[Visit]) -> None:
        """The same pages answer, fit a telephone and the widest window, and their forms can be sent."""
        for visit in visits:
            page, _ = await self.window(visit.who, javascript=False)
            found = await self._arrive(page, visit, javascript=False)
            found += [
                *await unusable_forms(page),
                *await too_wide(page, NARROW),
                *await too_wide(page, WIDEST),
            ]
            self._note(f"without JavaScript: {visit.name}", found)

    async def _arrive(self, page: Page, visit: Visit, *, javascript: bool = True) -> list[str]:
        answer = await page.goto(self.origin + visit.path)
        if visit.fields is not None:
            answer = await self._send(page, visit)
        assert answer is not None
        html = await answer.text()
        found = invalid_html(html) if javascript else []
        if answer.status != visit.status:
            found.append(f"answered {answer.status}")
        return found + [f"does not show {words!r}" for words in visit.marks if words not in html]

    async def _send(self, page: Page, visit: Visit) -> Response | None:
        for name, value in (visit.fields or {}).items():
            control = page.locator(f"main #{name}")
            if await control.evaluate("one => one.tagName") == "SELECT":
                await control.select_option(value)
            else:
                await control.fill(value)
        async with page.expect_navigation() as going:
            await page.locator(SENDS).first.click()
        return await going.value

    def report(self) -> str:
        """Empty when every page was right."""
        return "\n".join(f"{name}\n    " + "\n    ".join(found) for name, found in self.wrong.items())

    def _note(self, name: str, found: list[str]) -> None:
        if found:
            self.wrong[name] = found


@asynccontextmanager
async def walk(folder: Path) -> AsyncIterator[tuple[Walk, Stack, Furnished]]:
    """A furnished stack and a browser in front of it."""
    async with running_stack(folder, {"tenant_service": FLAGS}) as stack, chromium() as browser:
        yield Walk(browser, stack.origin), stack, await furnish(stack, folder)


async def test_every_page_in_every_state(tmp_path: Path) -> None:
    """Rules 1, 3, 6, 9 and 12: no finding of axe in either theme, valid HTML, one h1, no sideways scrolling.

    Also no word on the console, no report of the policy, visible focus, calm, and forms without JavaScript.
    """
    async with walk(tmp_path / "stack") as (walked, stack, here):
        await walked.look(every_page(here))
        await walked.look_without_javascript(every_page(here))
        await walked.look(other_states(here))
        await walked.look(answered_forms(here))
        await walked.look((Visit("/manage", who=SERVICE_TOKEN.key, status=403),))
        await stack.processes.stop_one("tenant_service")
        await walked.look(with_the_tenants_away(here))

    assert walked.report() == ""


def test_every_page_has_a_visit() -> None:
    """The walk follows the route table: a new page is visited, or its placeholder is asked for by name."""
    here = Furnished("t", "l", "s", "d", "p", "o", filled={})

    assert {"/manage", "/manage/tenants/{id}", "/manage/audit/evidence"} <= set(page_paths())
    with pytest.raises(KeyError, match="give"):
        here.path("/manage/tenants/{unheard_of}")


BAD_PAGE = """<!doctype html><html><head><title>Dashboard</title><style>
  * { outline: none !important } .wide { width: 3000px }
  button { width: 9px; height: 9px; padding: 0; border: 0 }
  @keyframes turn { to { rotate: 360deg } } .wide { animation: turn 9s infinite }
</style></head><body><main><h1>One</h1><h1>Two</h1><p class="wide">Wide</p>
<p style="color: #999; background: #aaa">Pale</p><button>a</button><button>b</button>
<form action="/x"><input type="text"></form></main></body></html>"""


async def test_the_examination_finds_what_is_wrong() -> None:
    """Each judge of the walk speaks up about a page that has every fault at once."""
    async with chromium() as browser:
        page = await (await browser.new_context()).new_page()
        await watch(page)
        await page.goto("about:blank")
        await page.set_content(BAD_PAGE)
        found = "\n".join([*await everything_wrong(page), *await unusable_forms(page)])

    for fault in (
        *("2 h1", "no language", "title 'Dashboard'", "no header.topbar", "something moves"),
        *("color-contrast", "dark: color-contrast", "label: ", "target-size", "wider than a window of 320"),
        *("wider than a window of 1440", "no visible focus", "no way to send"),
    ):
        assert fault in found
    assert invalid_html("<!doctype html><title>x</title><p><div></p>") != []
