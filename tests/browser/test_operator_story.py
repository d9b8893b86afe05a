"""An operator's life in a real Chromium: provisioned, enrolled, given a role, offboarded (P-19…P-21)."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, Response

from deploy.demo.people import ADA, NOEL
from tests.browser.test_first_story import Visit, visit
from tests.fixtures.chromium import chromium
from tests.fixtures.stack import Stack, running_stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

OPERATORS = "/manage/operators"
TOKEN = re.compile(r"enr_[A-Za-z0-9_-]{43}")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[Stack]:
    assert browser.is_connected()
    async with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_stack(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[Stack]:
    """A stack of its own for one test: Noel lives once in each."""
    assert browser.is_connected()
    async with running_stack(tmp_path_factory.mktemp("fresh")) as stack:
        yield stack


async def provision_noel(ada: Visit) -> str:
    """Fill the form in and send it; the token that is shown."""
    await ada.open(OPERATORS)
    await ada.page.get_by_role("link", name="Provision operator").click()
    await ada.page.fill("#name", NOEL.name)
    await ada.page.fill("#email", NOEL.email)
    await ada.page.select_option("#role", "read_only")
    await ada.page.get_by_role("button", name="Provision operator").click()
    return await ada.page.input_value("#enrollment-token")


async def after_back(ada: Visit) -> tuple[str, str]:
    """Where the browser is after Back, and what it shows: it asks before it sends a form again.

    What it says on its own page about that, as that this page may not load our icon, is no complaint.
    """
    left, heard = ada.page.url, len(ada.complaints)
    with suppress(Error):  # Chromium's own page about it is no answer of ours
        await ada.page.go_back()
    for _ in range(200):
        await ada.page.wait_for_timeout(100)
        if ada.page.url != left:
            break
    await ada.page.wait_for_timeout(500)  # what a page shows comes after its address
    found = ada.page.url, await ada.page.content()
    await ada.page.goto("about:blank")  # it is not heard any more
    del ada.complaints[heard:]
    return found


async def status_of(here: Visit, path: str, wanted: int) -> int:
    """The status of a page, once it is the wanted one, or after twenty seconds and more."""
    status = 0
    for _ in range(200):
        status = await here.open(path)
        if status == wanted:
            break
        await asyncio.sleep(0.1)
    return status


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_the_life_of_an_operator(browser: Browser, fresh_stack: Stack, javascript: bool) -> None:
    """R-066…R-069, R-072, R-133: provision, token once, enroll elsewhere, another role, and out at once."""
    ada = await visit(browser, fresh_stack, ADA, javascript=javascript)
    noel = await visit(browser, fresh_stack, NOEL, javascript=javascript)
    token = await provision_noel(ada)
    shown = await ada.text()
    await ada.keep(f"operator-token{'' if javascript else '-no-js'}")
    await ada.page.get_by_role("link", name="I have it, go on").click()
    detail = ada.page.url
    where, went_back = await after_back(ada)

    assert TOKEN.fullmatch(token)
    assert "Never in the same channel" in shown
    assert token not in shown
    assert where != detail
    assert token not in went_back

    await noel.page.fill("#token", token)
    await noel.page.get_by_role("button", name="Enroll").click()
    assert await noel.heading() == "Dashboard"
    assert await noel.open("/manage/tenants/new") == 403

    await ada.page.goto(detail)
    await ada.page.get_by_role("link", name="Change role").click()
    await ada.page.select_option("#role", "support")
    await ada.page.fill("#reason", "joins the support team")
    await ada.page.get_by_role("button", name="Change role").click()
    assert "The role was changed" in await ada.text()
    assert await status_of(noel, "/manage/tenants/new", 200) == 200

    await ada.page.get_by_role("link", name="Deactivate").click()
    await ada.page.fill("#reason", "left the company today")
    await ada.page.get_by_role("button", name="Deactivate").click()
    assert "Step 2: remove the person from the Access policy" in await ada.text()
    assert await status_of(noel, "/manage", 403) == 403
    assert "deactivated" in await noel.text()
    assert ada.complaints == []


async def test_a_reload_of_the_token_page_shows_no_token(browser: Browser, stack: Stack) -> None:
    """R-068: the browser sends the same form again; the answer leads to the operator, in words."""
    ada = await visit(browser, stack, ADA)
    token = await provision_noel(ada)
    answers: list[Response] = []
    ada.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - playwright wants a function
    await ada.page.reload()
    text = await ada.page.content()

    assert token not in text
    assert "cannot be shown again" in text
    assert [one.status for one in answers if one.request.method == "POST"] == [303]
    await ada.open(f"{OPERATORS}?q={NOEL.email}")
    assert await ada.page.locator("main tbody tr").count() == 1
