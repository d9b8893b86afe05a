"""From the operator's form to the owner's suspended page in Chromium; letters come from a mail server."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from deploy.demo.people import ADA
from tests.browser.test_first_story import NARROW, WIDE, visit
from tests.fixtures.chromium import ARTEFACTS, chromium
from tests.fixtures.stack import Stack, running_stack
from tests.integration.service_kit.mail.mail_server import Behaviour, mail_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

SLUG, TENANT, REASON = "kite-works", "Kite & Works", "asked for by their landlord"
OWNER, COLLEAGUE = "olga@kite.example", "max@kite.example"
PASSWORD, OTHER_PASSWORD = "plum-Verandah-29-otter", "quartz-Mitten-83-velvet"
MAIL_FROM = "Sallyport <mail@platform.example>"
LINK = re.compile(r"http://\S+/accept-invite/\S+")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@dataclass
class Guest:
    """Somebody of a tenant in a browser of their own, and what that browser complained about."""

    page: Page
    origin: str
    keeps: bool
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> int:
        response = await self.page.goto(self.origin + path)
        return response.status if response else 0

    async def fill(self, button: str, **fields: str) -> None:
        """Fill the form of this page in and send it."""
        for name, value in fields.items():
            await self.page.fill(f"#{name}", value)
        await self.page.get_by_role("button", name=button).click()

    async def heading(self) -> str:
        await self.page.wait_for_load_state()  # a click waits for the head of the answer alone
        return (await self.page.locator("h1").inner_text()).strip()

    async def text(self) -> str:
        await self.page.wait_for_load_state()
        return await self.page.locator("main").inner_text()

    async def keep(self, name: str) -> None:
        """The picture of this page, light and dark, wide and narrow; it never scrolls sideways."""
        if not self.keeps:
            return
        ARTEFACTS.mkdir(exist_ok=True)
        for width, height in (WIDE, NARROW):
            await self.page.set_viewport_size({"width": width, "height": height})
            overflow = await self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, (name, width)
            await self.page.emulate_media(color_scheme="light")
            await self.page.screenshot(path=ARTEFACTS / f"{name}-light-{width}.png", full_page=True)
            await self.page.emulate_media(color_scheme="dark")
            await self.page.screenshot(path=ARTEFACTS / f"{name}-dark-{width}.png", full_page=True)


@dataclass(frozen=True)
class Town:
    """A stack whose letters arrive at a mail server, and the browser of everybody in it."""

    browser: Browser
    stack: Stack
    mail: Behaviour
    javascript: bool

    @property
    def origin(self) -> str:
        return f"http://{SLUG}.localhost:{self.stack.ports.at(8003)}"

    async def guest(self) -> Guest:
        context = await self.browser.new_context(java_script_enabled=self.javascript)
        context.set_default_timeout(30_000)
        guest = Guest(await context.new_page(), self.origin, keeps=self.javascript)
        guest.page.on("pageerror", lambda error: guest.complaints.append(str(error)))
        guest.page.on(
            "console", lambda said: guest.complaints.append(said.text) if said.type == "error" else None
        )
        return guest

    async def letter(self, to: str) -> EmailMessage:
        """The one letter to an address, once it arrived."""
        async with asyncio.timeout(30):
            while not (found := [one for one in self.mail.letters if one["To"] == to]):
                await asyncio.sleep(0.05)
        (letter,) = found
        return letter

    async def accepted(self, guest: Guest, letter: EmailMessage, name: str, password: str) -> None:
        """Open the link of a letter and answer its form."""
        await guest.page.goto(link_of(letter))
        await guest.fill("Accept and sign in", name=name, password=password)


def link_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    (link,) = LINK.findall(body.get_content())
    return str(link)


@dataclass(frozen=True)
class Place:
    """Where one of the stories plays."""

    databases: Mapping[str, Mapping[str, str]]
    javascript: bool


@pytest.fixture(
    params=[
        pytest.param("sqlite", id="on SQLite, with JavaScript"),
        pytest.param("postgres", id="on PostgreSQL, without JavaScript", marks=pytest.mark.postgres),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of database once, and a browser with and without JavaScript once."""
    if request.param == "sqlite":
        return Place({}, javascript=True)
    admin = {"ADMIN_DATABASE_URL": request.getfixturevalue("other_postgres_url")}
    tenant = {
        "TENANT_DATABASE_URL": request.getfixturevalue("postgres_url"),
        "OUTBOX_KEY_FILE": str(tmp_path / "tenant-outbox.key"),
        "AUDIT_PREDICATE_KEY_FILE": str(tmp_path / "predicate.key"),
    }
    return Place({"admin_service": admin, "tenant_service": tenant}, javascript=False)


@asynccontextmanager
async def town(browser: Browser, place: Place, folder: Path) -> AsyncIterator[Town]:
    behaviour = Behaviour()
    async with mail_server(behaviour) as port:
        mail = {"SMTP_URL": f"smtp+insecure://127.0.0.1:{port}", "MAIL_FROM": MAIL_FROM}
        tenant = {**place.databases.get("tenant_service", {}), **mail}
        environment = {**place.databases, "tenant_service": tenant}
        async with running_stack(folder / "stack", environment, sample_data=False) as stack:
            async with stack.browser(ADA) as ada:
                await ada.enroll(stack.first_token or "")
            yield Town(browser, stack, behaviour, place.javascript)


@pytest_asyncio.fixture(loop_scope="module")
async def here(browser: Browser, place: Place, tmp_path: Path) -> AsyncIterator[Town]:
    assert browser.is_connected()
    async with town(browser, place, tmp_path) as found:
        yield found


async def created_by_an_operator(here: Town) -> None:
    """Ada makes the tenant in the panel."""
    ada = await visit(here.browser, here.stack, ADA, javascript=here.javascript)
    await ada.open("/manage/tenants/new")
    await ada.page.fill('[name="name"]', TENANT)
    await ada.page.fill('[name="slug"]', SLUG)
    await ada.page.fill('[name="primaryAdminEmail"]', OWNER)
    await ada.page.get_by_role("button", name="Create tenant").click()
    assert OWNER in await ada.text()


async def owner_comes_in(here: Town) -> Guest:
    """The owner opens the letter's link elsewhere, is told why a password is weak, and comes in."""
    letter = await here.letter(OWNER)
    assert letter["From"] == MAIL_FROM
    assert ADA.email not in letter.as_string()
    assert link_of(letter).startswith(f"{here.origin}/accept-invite/")
    olga = await here.guest()
    await olga.page.goto(link_of(letter))
    await olga.keep("tenant-t01-accept")
    await olga.fill("Accept and sign in", name="Olga Kite", password="short")
    assert "at least 12 characters" in await olga.page.locator("#failure").inner_text()
    assert await olga.page.locator("[aria-invalid]").get_attribute("id") == "password"
    await olga.keep("tenant-t01-accept-refused")
    await olga.fill("Accept and sign in", name="Olga Kite", password=PASSWORD)
    assert olga.page.url == f"{here.origin}/dashboard"
    assert await olga.heading() == "Welcome, Olga Kite"
    await olga.keep("tenant-t03-dashboard")
    return olga


async def colleague_comes_in(here: Town, olga: Guest) -> None:
    """The owner invites; a colleague accepts by an own letter, and signs in again after signing out."""
    await olga.page.get_by_role("link", name="Invite your team").click()
    await olga.fill("Send the invitation", email=COLLEAGUE)
    assert "The invitation is on its way" in await olga.text()
    assert await olga.page.locator("nav [aria-current]").inner_text() == "Team"
    await olga.keep("tenant-t04-team")
    letter = await here.letter(COLLEAGUE)
    assert "Olga Kite invites you" in str(letter.get_body(("plain",)))
    max_ = await here.guest()
    await here.accepted(max_, letter, "Max Tail", OTHER_PASSWORD)
    assert await max_.heading() == "Welcome, Max Tail"
    assert await max_.page.get_by_role("link", name="Audit log").count() == 0
    assert await max_.open("/audit") == 403
    await max_.open("/dashboard")
    await signs_out_and_in(max_, COLLEAGUE, OTHER_PASSWORD)
    assert await max_.heading() == "Welcome, Max Tail"
    # Chromium writes a line of its own about the page that is not for members.
    assert [line for line in max_.complaints if "403" not in line] == []


async def signs_out_and_in(guest: Guest, email: str, password: str) -> None:
    await guest.page.get_by_role("button", name="Sign out").click()
    assert guest.page.url == f"{guest.origin}/login"
    await guest.open("/dashboard")
    assert guest.page.url == f"{guest.origin}/login"
    await guest.fill("Sign in", email=email, password=password)
    assert guest.page.url == f"{guest.origin}/dashboard"


async def owner_looks_around(olga: Guest) -> None:
    """Every further page of an owner; the audit log names the operator and how they came to act."""
    await olga.page.get_by_role("link", name="Team", exact=True).click()
    await olga.page.get_by_role("link", name="Change Max Tail").click()
    await olga.keep("tenant-t04-member")
    for name, link in (("t05-billing", "Billing"), ("account", "Account"), ("t06-audit", "Audit log")):
        await olga.page.get_by_role("link", name=link, exact=True).click()
        await olga.keep(f"tenant-{name}")
    await olga.page.wait_for_load_state()
    operators = olga.page.locator("tbody tr", has_text=ADA.name)
    assert await operators.count() >= 1
    assert "via system operator" in await operators.last.inner_text()
    assert ADA.email not in await olga.text()


async def suspended_by_the_api(here: Town) -> None:
    async with here.stack.browser(ADA) as ada:
        found = await ada.ask("GET", f"/api/admin/tenants/{SLUG}")
        body = {"reason": REASON}
        await ada.ask("POST", f"/api/admin/tenants/{found['id']}/suspend", body=body)


async def test_from_the_operators_form_to_the_suspended_page(here: Town) -> None:
    """R-104…R-110, R-085: created, invited by mail, accepted, signed in and out, audited, and suspended."""
    await created_by_an_operator(here)
    olga = await owner_comes_in(here)
    await colleague_comes_in(here, olga)
    await olga.page.get_by_role("button", name="Sign out").click()
    await olga.keep("tenant-t02-login")
    await olga.fill("Sign in", email=OWNER, password=OTHER_PASSWORD)
    await olga.keep("tenant-t02-login-refused")
    await olga.fill("Sign in", email=OWNER, password=PASSWORD)
    await owner_looks_around(olga)
    # What the browser says of a refused form is no complaint about a page.
    assert [line for line in olga.complaints if "422" not in line and "401" not in line] == []

    await suspended_by_the_api(here)
    status = await olga.open("/dashboard")
    await olga.keep("tenant-suspended")

    assert status == 403
    assert "suspended" in await olga.heading()
    assert "Nothing was deleted" in await olga.text()
    assert REASON not in await olga.page.content()
