"""docs/snippets/access-sso.mjs in a real Chromium, before a real sidecar that serves the page itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import Person
from service_kit.identity.keys import new_signing_key
from tests.fixtures.chromium import chromium
from tests.fixtures.ports import free_port
from tests.fixtures.standalone import ROOT, Standalone, access_team, shell_environment

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90), pytest.mark.asyncio(loop_scope="module")]

AUD = "3" * 64
KNOWN = Person.with_email("known@example.com")
STRANGER = Person.with_email("stranger@example.com")
SNIPPET = ROOT / "docs" / "snippets" / "access-sso.mjs"
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Orders</title><link rel="icon" href="data:,"><h1>Orders</h1>
<p id="who">…</p><p id="later">…</p><button>Load</button>
<script type="module">
import { signedIn } from "/access-sso.mjs";
const say = (place, text) => { document.getElementById(place).textContent = text; };
signedIn().then(
  ({ operator }) => say("who", `${operator.email}, ${operator.role}`),
  (error) => say("who", `refused: ${error.message}`),
);
document.querySelector("button").onclick = async () => {
  const answer = await fetch("/orders.json", { headers: { "X-Requested-With": "XMLHttpRequest" } });
  const body = await answer.json();
  say("later", `${answer.status} ${answer.redirected} ${answer.headers.get("Content-Type")} ${body.code}`);
};
document.title = "Orders, ready";
</script>
"""


@dataclass
class Office:
    """A frontend behind its sidecar, and a browser window on it."""

    sidecar: Standalone
    issuer: AccessIssuer
    roster: Path
    context: BrowserContext
    page: Page

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.sidecar.port}"

    async def carry(self, token: str) -> None:
        """From now on each request brings this token, as Access would add it."""
        await self.context.set_extra_http_headers({"Cf-Access-Jwt-Assertion": token})

    async def sign_in(self, who: Person) -> None:
        await self.carry(self.issuer.mint(who, audience=AUD))

    async def reads(self, place: str) -> str:
        """What the page says there, as soon as it says anything."""
        filled = f"document.getElementById('{place}')?.textContent !== '…'"
        await self.page.wait_for_function(filled)
        return await self.page.locator(f"#{place}").inner_text()


def roster_of(who: Person, *, active: bool = True) -> str:
    return f'[[operators]]\nemail = "{who.email}"\nrole = "support"\nactive = {str(active).lower()}\n'


def make_frontend(site: Path) -> Path:
    site.mkdir()
    (site / "index.html").write_text(PAGE, encoding="utf-8")
    (site / "orders.json").write_text('{"code": "fine"}')
    (site / "access-sso.mjs").write_bytes(SNIPPET.read_bytes())
    return site


@asynccontextmanager
async def office(folder: Path, key: SigningKey, browser: Browser, **more: str) -> AsyncIterator[Office]:
    roster = folder / "roster.toml"
    roster.write_text(roster_of(KNOWN))
    new_signing_key(folder / "identity.pem")
    port, ops_port = free_port(), free_port()
    async with access_team(key) as issuer:
        environment = {
            "APP_ENV": "development",
            "ADMIN_HOST": f"127.0.0.1:{port}",
            "ADMIN_ORIGIN": f"http://127.0.0.1:{port}",
            "CF_ACCESS_TEAM_DOMAIN": issuer.team_domain,
            "CF_ACCESS_AUD": AUD,
            "AUTH_PROXY_LISTEN": f"127.0.0.1:{port}",
            "AUTH_PROXY_OPS_LISTEN": f"127.0.0.1:{ops_port}",
            "AUTH_PROXY_UPSTREAM": f"static:{make_frontend(folder / 'site')}",
            "AUTH_PROXY_ROSTER": f"file:{roster}",
            "INTERNAL_SIGNING_KEY_FILE": str(folder / "identity.pem"),
            **more,
        }
        async with Standalone.running(
            "\nauth-proxy run\n",
            shell_environment(folder, **environment),
            folder / "sidecar.log",
            port=port,
            ops_port=ops_port,
        ) as sidecar:
            context = await browser.new_context()
            context.set_default_timeout(30_000)
            yield Office(sidecar, issuer, roster, context, await context.new_page())
            await context.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def here(tmp_path: Path, access_key: SigningKey, browser: Browser) -> AsyncIterator[Office]:
    async with office(tmp_path, access_key, browser) as office_:
        yield office_


async def boot_again(here: Office) -> None:
    """Let the page that is open ask once more, and wait for where it is sent.

    Not for the script's answer: the script may be gone with its page before it gives one.
    """
    async with here.page.expect_navigation():
        await here.page.evaluate(
            "void import('/access-sso.mjs').then(({ signedIn }) => signedIn()).catch(() => {})"
        )


async def test_signed_in(here: Office) -> None:
    """R-161, R-164: the page asks before anything else, is told who it has, and shows it without a login."""
    await here.sign_in(KNOWN)
    await here.page.goto(here.origin)

    assert await here.reads("who") == f"{KNOWN.email}, support"


async def test_a_stranger_is_sent_to_the_page_that_says_why(here: Office) -> None:
    """R-165: who is no operator any more gets a reason and a place, and the browser shows it."""
    await here.sign_in(KNOWN)
    await here.page.goto(here.origin + "/index.html")
    await here.reads("who")
    await here.sign_in(STRANGER)
    await boot_again(here)

    assert here.page.url == here.origin + "/"
    assert await here.page.locator("h1").inner_text() == "Not authorized"
    assert "ENROLLMENT_REQUIRED" in await here.page.locator("main").inner_text()


async def test_an_expired_token(here: Office) -> None:
    """R-162, R-165: an expired token is sent to the fallback too, where Access would renew it."""
    await here.sign_in(KNOWN)
    await here.page.goto(here.origin + "/index.html")
    await here.reads("who")
    await here.carry(here.issuer.mint(KNOWN, audience=AUD, lifetime=timedelta(hours=-1), iat=1_700_000_000))
    await boot_again(here)

    assert here.page.url == here.origin + "/"
    assert "INVALID_ACCESS_TOKEN" in await here.page.locator("main").inner_text()
    await here.sidecar.until_log_says("token_expired")


async def test_deactivated_while_the_page_is_open(here: Office) -> None:
    """R-064, R-165: the next fetch is told so, as JSON and without a redirect."""
    await here.sign_in(KNOWN)
    await here.page.goto(here.origin)
    await here.reads("who")
    await here.page.get_by_role("button").click()
    before = await here.reads("later")
    await here.page.evaluate("document.getElementById('later').textContent = '…'")
    here.roster.write_text(roster_of(KNOWN, active=False))
    await here.sidecar.until_log_says('"reloaded"')
    await here.page.get_by_role("button").click()

    assert before == "200 false application/json fine"
    assert await here.reads("later") == "403 false application/problem+json ACCOUNT_DEACTIVATED"
    await boot_again(here)
    assert await here.page.locator("h1").inner_text() == "Account deactivated"


async def test_a_wrong_origin_does_not_load_the_page_for_ever(
    tmp_path: Path, access_key: SigningKey, browser: Browser
) -> None:
    """R-097, R-165: where only the exchange is refused, the page stays and says so."""
    port = free_port()
    wrong = {
        "ADMIN_HOST": f"127.0.0.1:{port}",
        "ADMIN_ORIGIN": f"https://127.0.0.1:{port}",
        "AUTH_PROXY_LISTEN": f"127.0.0.1:{port}",
    }
    async with office(tmp_path, access_key, browser, **wrong) as here:
        here.sidecar.port = port
        await here.sign_in(KNOWN)
        loads: list[str] = []
        here.page.on("framenavigated", lambda frame: loads.append(frame.url))
        await here.page.goto(here.origin)
        said = await here.reads("who")
        await asyncio.sleep(0.3)

        assert said == "refused: ORIGIN_REJECTED"
        assert loads == [here.origin + "/"]
