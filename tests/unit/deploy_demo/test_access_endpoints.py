import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from deploy.demo.edge import create_edge, start_edge
from deploy.demo.issuer import AccessIssuer
from deploy.demo.key_store import KeyStore
from deploy.demo.people import ADA, CAST, EXPIRED_TOKEN, SERVICE_TOKEN, TOKEN_KINDS, Person, TokenKind
from deploy.demo.settings import EdgeSettings
from tests.fakes.clock import FrozenClock
from tests.unit.deploy_demo.conftest import AUDIENCE, TEAM_DOMAIN, Browser
from tests.unit.deploy_demo.recording_sidecar import RecordingSidecar

LOGIN = "/cdn-cgi/access/login"
LOGOUT = "/cdn-cgi/access/logout"
CERTS = "/cdn-cgi/access/certs"
IDENTITY = "/cdn-cgi/access/get-identity"
ROTATE = "/cdn-cgi/access/rotate-keys"
PERSON = {"Accept": "text/html"}


class Markup(HTMLParser):
    """What of a page the content policy would judge."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


async def test_the_whole_way_in(browser: Browser, sidecar: RecordingSidecar) -> None:
    """Without a cookie a page leads to the chooser, the choice back to it, and then to the sidecar."""
    async with browser.get("/manage/tenants?status=active", headers=PERSON) as asked:
        assert asked.status == 302
        chooser = asked.headers["Location"]
    async with browser.get(chooser, headers=PERSON) as page:
        assert 'value="/manage/tenants?status=active"' in await page.text()
    form = {"choice": "ada", "redirect_url": "/manage/tenants?status=active"}
    async with browser.request("POST", LOGIN, data=form) as chosen:
        assert chosen.status == 303
        assert chosen.headers["Location"] == "/manage/tenants?status=active"
        cookie = chosen.headers["Set-Cookie"]
    assert sidecar.requests == []
    token = cookie.partition("=")[2].partition(";")[0]
    async with browser.get("/manage/tenants?status=active", token=token) as passed:
        assert await passed.text() == "ok"

    assert re.fullmatch(r"CF_Authorization=[\w.-]+; Path=/; HttpOnly; SameSite=Lax", cookie)
    assert sidecar.last.headers["Cf-Access-Authenticated-User-Email"] == ADA.email


async def test_a_script_without_a_cookie_gets_401(browser: Browser, sidecar: RecordingSidecar) -> None:
    """`X-Requested-With` turns the redirect into a 401; nothing reaches the sidecar either way (R-003)."""
    async with browser.get("/api/admin/me", headers={"X-Requested-With": "XMLHttpRequest"}) as answer:
        assert answer.status == 401
        assert (await answer.json())["login"] == f"{LOGIN}?redirect_url=%2Fapi%2Fadmin%2Fme"

    assert sidecar.requests == []


async def test_the_chooser_offers_everybody_and_warns(browser: Browser) -> None:
    """The page has a button for each choice with its sentence, and says that it must never be exposed."""
    async with browser.get(LOGIN) as answer:
        html = await answer.text()

    choices: tuple[Person | TokenKind, ...] = (*CAST, *TOKEN_KINDS)
    for choice in choices:
        assert f'name="choice" value="{choice.key}"' in html
        assert choice.description in html
    assert "Development stand-in, not Cloudflare Access." in html
    assert "Never expose it." in html


async def test_the_chooser_needs_no_script_and_nothing_from_elsewhere(browser: Browser) -> None:
    """The policy allows one inline style sheet by nonce and forms to this host; the page needs no more."""
    async with browser.get(LOGIN) as first, browser.get(LOGIN) as second:
        policies = [answer.headers["Content-Security-Policy"] for answer in (first, second)]
        assert first.headers["Referrer-Policy"] == "same-origin"  # never no-referrer: Origin would be null
        page = Markup()
        page.feed(await first.text())

    nonce = re.search("'nonce-([^']+)'", policies[0])
    assert nonce is not None
    assert ("nonce", nonce[1]) in page.attributes
    assert policies[0] != policies[1]
    assert policies[0].startswith("default-src 'none'; style-src 'nonce-")
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]
    assert not [value for name, value in page.attributes if name == "src"]


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", LOGOUT])
async def test_a_login_leads_to_no_other_host(browser: Browser, target: str) -> None:
    """A redirect_url to elsewhere becomes `/`, on the chooser page and after the choice."""
    async with browser.request("GET", LOGIN, params={"redirect_url": target}) as page:
        assert 'name="redirect_url" value="/"' in await page.text()
    async with browser.request("POST", LOGIN, data={"choice": "ada", "redirect_url": target}) as chosen:
        assert chosen.headers["Location"] == "/"


async def test_the_return_path_is_text_and_not_markup(browser: Browser) -> None:
    """A return path with quotes and tags in it is shown, not run."""
    async with browser.request("GET", LOGIN, params={"redirect_url": '/"><script>alert(1)</script>'}) as page:
        html = await page.text()

    assert "<script" not in html
    assert "/&#34;&gt;&lt;script&gt;" in html


async def test_nobody_chosen_is_an_error(browser: Browser) -> None:
    """A form without a known choice is answered 400 and sets no cookie."""
    for form in ({}, {"choice": "root"}):
        async with browser.request("POST", LOGIN, data=form) as answer:
            assert answer.status == 400
            assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", [LOGIN, ROTATE])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_another_sites_form_is_refused(
    browser: Browser, issuer: AccessIssuer, path: str, headers: dict[str, str]
) -> None:
    """Nobody is signed in, and no key rotated, by a page of another origin."""
    before = issuer.keys
    async with browser.request("POST", path, data={"choice": "ada"}, headers=headers) as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
    assert issuer.keys == before


async def test_the_edges_own_form_is_accepted(browser: Browser) -> None:
    """The headers that a browser sends with the chooser's form are those of the same origin."""
    headers = {"Origin": TEAM_DOMAIN, "Sec-Fetch-Site": "same-origin"}
    async with browser.request("POST", LOGIN, data={"choice": "ada"}, headers=headers) as answer:
        assert answer.status == 303


async def test_the_keys_are_public_and_verify_the_cookies_token(browser: Browser) -> None:
    """Anybody reads the certs document; PyJWT verifies the token of the cookie with it (R-044)."""
    token = await browser.choose(ADA)
    async with browser.get(CERTS) as answer:
        published = jwt.PyJWKSet.from_dict(await answer.json())

    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["RS256"], audience=AUDIENCE, issuer=TEAM_DOMAIN, options=options)
    assert claims["email"] == ADA.email


async def test_a_rotation_is_published_at_once_and_keeps_the_session(
    browser: Browser, issuer: AccessIssuer
) -> None:
    """After a rotation the new key leads the document; the cookie from before is still accepted."""
    token = await browser.choose(ADA)
    old = issuer.current.kid
    async with browser.request("POST", ROTATE) as rotated:
        kids = await rotated.json()
    async with browser.get(CERTS) as answer:
        published = [key["kid"] for key in (await answer.json())["keys"]]
    async with browser.get("/", token=token) as passed:
        assert passed.status == 200

    assert kids == {"current": issuer.current.kid, "previous": old}
    assert published == [issuer.current.kid, old]
    new = await browser.choose(ADA)
    assert jwt.get_unverified_header(new)["kid"] == issuer.current.kid != old


async def test_the_chooser_rotates_and_comes_back(browser: Browser, issuer: AccessIssuer) -> None:
    """Pressed on the page, the button leads back to the page, which shows the new key."""
    async with browser.request("POST", ROTATE, data={"redirect_url": "/manage"}, headers=PERSON) as rotated:
        assert rotated.status == 303
        assert rotated.headers["Location"] == f"{LOGIN}?redirect_url=%2Fmanage"
    async with browser.get(LOGIN) as page:
        assert issuer.current.kid[:12] in await page.text()


async def test_logout_ends_the_session_at_the_edge(browser: Browser, sidecar: RecordingSidecar) -> None:
    """Logout clears the cookie, says so with a way back, and its tokens are not accepted any more (R-139)."""
    token = await browser.choose(ADA)
    async with browser.get(LOGOUT, token=token) as answer:
        assert answer.status == 200
        assert answer.headers["Set-Cookie"] == "CF_Authorization=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        html = await answer.text()
    async with browser.get("/", token=token, headers=PERSON) as after:
        assert after.status == 302

    assert "You are signed out" in html
    assert f'href="{LOGIN}?redirect_url=%2F"' in html
    assert sidecar.requests == []


async def test_get_identity_tells_who_and_since_when(browser: Browser, clock: FrozenClock) -> None:
    """The identity has the documented fields; `iat` is the time of the login, not of the token (R-137)."""
    started = int(clock.now().timestamp())
    token = await browser.choose(ADA)
    clock.advance(60 * 60)
    async with browser.get(IDENTITY, token=token) as answer:
        identity = await answer.json()

    assert identity["email"] == ADA.email
    assert identity["name"] == ADA.name
    assert identity["user_uuid"] == ADA.sub
    assert identity["iat"] == started
    assert identity["ip"] == "127.0.0.1"
    assert identity["service_token_status"] is False
    assert {
        "idp", "geo", "devicePosture", "account_id", "auth_status", "common_name", "service_token_id",
        "is_warp", "is_gateway", "gateway_account_id", "device_id", "version", "device_sessions",
    } < set(identity)  # fmt: skip


async def test_get_identity_without_a_person(browser: Browser) -> None:
    """Without a session it is 401, for a service token 404."""
    async with browser.get(IDENTITY) as nobody:
        assert nobody.status == 401
    async with browser.get(IDENTITY, token=await browser.choose(SERVICE_TOKEN)) as machine:
        assert machine.status == 404
    expired = await browser.choose(EXPIRED_TOKEN)
    async with browser.get(LOGOUT, token=expired), browser.get(IDENTITY, token=expired) as gone:
        assert gone.status == 401


@pytest.mark.parametrize(
    "target", ["/cdn-cgi/", "/cdn-cgi/access/unknown", "/cdn-cgi/access/certs/", "/cdn-cgi/trace"]
)
async def test_no_path_of_the_edge_reaches_the_sidecar(
    browser: Browser, sidecar: RecordingSidecar, target: str
) -> None:
    """Everything below `/cdn-cgi/` is the edge's own, known or not."""
    async with browser.get(target, token=await browser.choose(ADA)) as answer:
        assert answer.status == 404

    assert sidecar.requests == []


@pytest.mark.parametrize(
    ("method", "path", "allow"), [("GET", ROTATE, "POST"), ("DELETE", LOGIN, "GET, POST")]
)
async def test_another_method_is_refused(browser: Browser, method: str, path: str, allow: str) -> None:
    """A method that an endpoint does not have is 405, with those that it has."""
    async with browser.request(method, path) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == allow


async def test_a_rotation_survives_a_restart(
    sidecar: RecordingSidecar, clock: FrozenClock, tmp_path: Path
) -> None:
    """With a data folder the rotated keys and the tag are found again, and so is a session."""
    settings = EdgeSettings("127.0.0.1:0", sidecar.url, tmp_path / "demo", team_domain=TEAM_DOMAIN)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        runner = await start_edge(create_edge(settings, clock=clock, environment={}))
        browser = Browser(http, runner.addresses[0][1])
        token = await browser.choose(ADA)
        async with browser.request("POST", ROTATE) as rotated:
            kids = await rotated.json()
        await runner.cleanup()

        runner = await start_edge(create_edge(settings, clock=clock, environment={}))
        async with Browser(http, runner.addresses[0][1]).get("/", token=token) as answer:
            assert answer.status == 200
        await runner.cleanup()

    kept = KeyStore(tmp_path / "demo").load_or_create_keys()
    assert [key.kid for key in kept] == [kids["current"], kids["previous"]]
