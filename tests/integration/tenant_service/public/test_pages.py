"""The pages of a tenant's own host (T-01 … T-06): valid, without a script, and their forms are proven."""

import re

import html5lib
import pytest

from tenant_service.people.models import MemberRole
from tests.integration.tenant_service.lives import Said, ask, letters
from tests.integration.tenant_service.public.tenant_site import (
    OTHER_PASSWORD,
    PASSWORD,
    Browser,
    TenantSite,
    cookie_of,
    tenant_site,
)

PAGES = ("/dashboard", "/team", "/billing", "/audit", "/account", "/team/invited")
TOKEN = re.compile(r'action="([^"]+)"[^>]*>\s*<input type="hidden" name="csrf_token" value="([^"]+)"')
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; upgrade-insecure-requests"
)


async def token_of(browser: Browser, page: str, action: str) -> str:
    """The hidden token of the form that is sent to an address."""
    said = await browser.ask("GET", page)
    assert said.status == 200, said
    return {str(form): str(token) for form, token in TOKEN.findall(said.body)}[action]


async def send(browser: Browser, page: str, action: str, **fields: str) -> Said:
    return await browser.form(action, {"csrf_token": await token_of(browser, page, action), **fields})


def must_be_valid(said: Said) -> None:
    """Valid HTML, in a strict frame, without a script or a style of its own."""
    parser = html5lib.HTMLParser(strict=True)
    parser.parse(said.body)
    assert said.headers["Content-Security-Policy"] == POLICY
    assert said.headers["Cache-Control"] == "no-store"
    assert said.headers["Referrer-Policy"] == "strict-origin"
    assert said.headers["X-Frame-Options"] == "DENY"
    assert re.search(r"<script|<style| style=| on\w+=", said.body) is None
    assert said.body.count("<h1") == 1
    ids = re.findall(r' id="([^"]+)"', said.body)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<label for="([^"]+)"', said.body)) <= set(ids)


async def test_a_person_comes_in_by_the_pages(site: TenantSite) -> None:
    """R-106, R-109: the link's form makes the member, sets the cookie and leads to the dashboard."""
    made = await site.tenant()
    path = f"/accept-invite/{made['invitationId']}"
    must_be_valid(await site.browser().ask("GET", path))

    weak = await send(site.browser(), path, path, name="Bob <b>", password="Password2026!")
    said = await send(site.browser(), path, path, name="Bob <b>", password=PASSWORD)

    assert weak.status == 422
    must_be_valid(weak)
    assert 'value="Bob &lt;b&gt;"' in weak.body
    assert PASSWORD not in weak.body
    assert (said.status, said.headers["Location"]) == (303, "/dashboard")
    here = site.browser().with_cookie_of(said)
    for page in PAGES:
        seen = await here.ask("GET", page)
        assert seen.status == 200, page
        must_be_valid(seen)
    assert "Bob &lt;b&gt;" in (await here.ask("GET", "/team")).body


async def test_in_and_out_by_the_pages(sqlite_site: TenantSite) -> None:
    """G-15: sign-in and sign-out are forms; a page without a session leads to the sign-in."""
    await sqlite_site.owner()
    nobody = sqlite_site.browser()
    must_be_valid(await nobody.ask("GET", "/login"))
    for page in PAGES[:-1]:
        said = await nobody.ask("GET", page)
        assert (said.status, said.headers["Location"]) == (303, "/login")

    wrong = await send(nobody, "/login", "/login", email="bob@example.com", password=OTHER_PASSWORD)
    said = await send(nobody, "/login", "/login", email="bob@example.com", password=PASSWORD)

    assert wrong.status == 401
    must_be_valid(wrong)
    here = nobody.with_cookie_of(said)
    assert (await here.ask("GET", "/")).headers["Location"] == "/dashboard"
    out = await send(here, "/dashboard", "/logout")
    assert (out.status, out.headers["Location"]) == (303, "/login")
    assert (await here.ask("GET", "/dashboard")).status == 303


async def test_a_form_without_its_proofs_is_refused(sqlite_site: TenantSite) -> None:
    """http-api 3.0: another's token, another form's, none, and a foreign Origin are refused."""
    owner = await sqlite_site.owner()
    other = await sqlite_site.owner("globex", "gil@globex.example")
    fields = {"email": "max@example.com", "role": "member"}
    foreign = await token_of(other, "/team", "/team/invite")
    another = await token_of(owner, "/account", "/account/password")
    mine = await token_of(owner, "/team", "/team/invite")

    for token in (foreign, another, ""):
        assert (await owner.form("/team/invite", {**fields, "csrf_token": token})).status == 403
    for origin in ("https://evil.example", "null"):
        said = await owner.form("/team/invite", {**fields, "csrf_token": mine}, Origin=origin)
        assert said.status == 403
    sqlite_site.process.clock.advance(12 * 3600 + 1)
    assert (await owner.form("/team/invite", {**fields, "csrf_token": mine})).status == 403
    assert await sqlite_site.count("invitations") == 2


async def test_the_team_by_its_pages(site: TenantSite, database_url: str) -> None:
    """R-110: inviting, taking back, changing a role and removing lead back with a word about it."""
    owner = await site.owner()
    said = await send(owner, "/team", "/team/invite", email="max@example.com", role="member")
    assert (said.status, said.headers["Location"]) == (303, "/team/invited")
    bad = await send(owner, "/team", "/team/invite", email="no address", role="member")
    assert bad.status == 422
    must_be_valid(bad)
    link = re.findall(r"inv_\w{26}_\w{26}", "".join(await letters(site.process, database_url)))[-1]
    assert (await site.accept(link, OTHER_PASSWORD, name="Max")).status == 200
    [member] = [row["id"] for row in await site.process.rows("members") if row["role"] == "member"]
    page = f"/team/members/{member}"
    must_be_valid(await owner.ask("GET", page))

    changed = await send(owner, page, f"{page}/role", role="admin")
    assert changed.headers["Location"] == "/team/role"
    removed = await send(owner, page, f"{page}/remove")
    assert removed.headers["Location"] == "/team/removed"
    assert [row["role"] for row in await site.process.rows("members")] == [MemberRole.OWNER.value]
    await send(owner, "/team", "/team/invite", email="max@example.com", role="member")
    [pending] = [row["id"] for row in await site.process.rows("invitations") if row["status"] == "pending"]
    canceled = await send(owner, "/team", f"/team/invitations/{pending}/cancel")
    assert canceled.headers["Location"] == "/team/canceled"


async def test_the_log_names_the_operator(site: TenantSite) -> None:
    """R-127: an operator's row has their name, "via system operator" and why; never their address."""
    owner = await site.owner()
    [organization] = await site.process.rows("organizations")
    body = {"reason": "Asked for by telephone"}
    target = f"/{organization['id']}/sessions/revoke"
    assert (await ask(site.process, "POST", target, body)).status == 200
    signed_in = await site.browser().ask(
        "POST", "/api/auth/sign-in/email", {"email": "bob@example.com", "password": PASSWORD}
    )
    owner = owner.with_cookie_of(signed_in)

    said = await owner.ask("GET", "/audit")
    rows = (await owner.ask("GET", "/api/tenant/audit-logs")).body["data"]
    csv = await owner.ask("GET", "/api/tenant/audit-logs/export")

    must_be_valid(said)
    assert "via system operator" in said.body
    assert "Asked for by telephone" in said.body
    [operators] = [row for row in rows if row["event"] == "tenant.sessions.revoked"]
    assert operators["via"] == "system operator"
    assert operators["actorName"]
    assert operators["actorName"] in said.body
    assert operators["justification"] == "Asked for by telephone"
    assert (operators["actorType"], operators["actorEmail"]) == ("operator", None)
    [own] = [row for row in rows if row["event"] == "org.invitation.accepted"]
    assert (own["via"], own["actorEmail"], own["actorType"]) == (None, "bob@example.com", "user")
    assert csv.headers["Content-Type"].startswith("text/csv")
    assert csv.body.count("\r\n") == len(rows) + 1
    for told in (said.body, str(rows), csv.body):
        assert "adm_" not in told
        assert "super_admin@" not in told


async def test_a_formula_is_no_formula_in_the_csv(sqlite_site: TenantSite) -> None:
    """panel.md rule 5: a name that a spreadsheet would run is written as text."""
    made = await sqlite_site.tenant()
    said = await sqlite_site.accept(made["invitationId"], name="=HYPERLINK(1)")
    owner = sqlite_site.browser().with_cookie_of(said)

    csv = await owner.ask("GET", "/api/tenant/audit-logs/export")

    assert "'=HYPERLINK(1)" in csv.body
    assert ",=HYPERLINK" not in csv.body


async def test_errors_are_pages(sqlite_site: TenantSite) -> None:
    """panel.md rule 12: a person reads what happened and the number of the request; nothing is blank."""
    owner = await sqlite_site.owner()
    for page, status in (("/nowhere", 404), ("/accept-invite/x", 404), ("/audit?cursor=x", 400)):
        said = await owner.ask("GET", page)
        assert said.status == status
        must_be_valid(said)
        assert "req_" in said.body


async def test_the_stylesheet_is_there(sqlite_site: TenantSite) -> None:
    """The one file of the pages has its digest in its name, and stays in the browser."""
    await sqlite_site.tenant()
    page = (await sqlite_site.browser().ask("GET", "/login")).body
    [name] = re.findall(r'href="(/assets/[^"]+)"', page)

    said = await sqlite_site.browser().ask("GET", name)

    assert (said.status, said.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in said.headers["Cache-Control"]
    assert (await sqlite_site.browser().ask("GET", "/assets/tenant.css")).status == 404


async def test_the_demo_has_a_cookie_of_its_own(sqlite_url: str) -> None:
    """architecture.md 8: over http on localhost, and only there, the cookie is another one and not Secure."""
    environ = {"APP_ENV": "development", "TENANT_BASE_DOMAIN": "localhost:8003"}
    async with tenant_site(sqlite_url, **environ) as site:
        made = await site.tenant()
        answer = await site.public.post(
            f"/api/invitations/accept/{made['invitationId']}",
            json={"name": "Bob", "password": PASSWORD},
            headers={"Host": "acme.localhost:8003", "Origin": "http://acme.localhost:8003"},
        )
        [cookie] = answer.headers.getall("Set-Cookie")

    assert cookie.startswith("tenant_session_on_localhost=")
    assert "Secure" not in cookie
    assert "Domain" not in cookie
    assert "HttpOnly; Max-Age=604800; Path=/; SameSite=Lax" in cookie
    with pytest.raises(KeyError):
        cookie_of(Said(200, "", {"Set-Cookie": cookie}))
