"""No tenant reaches another, the operators' plane proves nobody here, and the closed doors stay closed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from service_kit.identity.binding import DELEGATION_HEADER, IDENTITY_HEADER
from tenant_service.people.scope import TenantScope
from tenant_service.public.addresses import AddressLimit
from tenant_service.public.registry import Door
from tenant_service.public_wiring import public_endpoints
from tests.integration.tenant_service.lives import Said, letters
from tests.integration.tenant_service.public.tenant_site import (
    ACCEPT,
    COOKIE,
    OTHER_PASSWORD,
    PASSWORD,
    TenantSite,
)
from tests.integration.tenant_service.tenant_process import AUDIENCE, TENANTS

INVITE = "/api/auth/organization/invite-member"
CREATE = "/api/auth/organization/create"
OPERATOR_LED = b'{"code":"FORBIDDEN","message":"Tenant creation is operator-led"}'
SCOPED = re.compile(
    r"\b(members|sessions|invitations|connected_accounts|feature_flags|credit_accounts|credit_grants)\b"
)
BODIES = {
    ("PATCH", "/api/tenant/members/{id}"): {"role": "member"},
    ("POST", f"{ACCEPT}/{{id}}"): {"name": "Bob", "password": PASSWORD},
}


def told(said: Said) -> tuple[int, object]:
    """What an answer says, but for the number of the request."""
    body = (
        {**said.body, "requestId": ""} if isinstance(said.body, dict) else re.sub(r"req_\w+", "", said.body)
    )
    return said.status, body


async def test_foreign_ids_do_not_exist(site: TenantSite, database_url: str) -> None:
    """data-model 2.8: at every endpoint a foreign id answers as one that never was: 404, never 403."""
    acme, globex = await site.owner("acme"), await site.owner("globex", "gil@globex.example")
    invited = await globex.ask("POST", INVITE, {"email": "max@example.com", "role": "member"})
    mine = (await globex.ask("GET", "/api/tenant/members")).body["data"][0]["id"]
    links = re.findall(r"inv_[0-9A-Z]{26}_[0-9A-Z]{26}", "".join(await letters(site.process, database_url)))
    [link] = {each for each in links if invited.body["id"] in each}
    foreign = {"members": mine, "invitations": invited.body["id"], "invite": link, "accept": link}
    asked = 0
    for row in public_endpoints():
        if "{id}" not in row.path or row.path == "/assets/{name}":
            continue
        asked += 1
        [kind] = [name for name in ("accept-invite", *foreign) if f"/{name}/{{id}}" in row.path]
        theirs = link if row.access is Door.OPEN else foreign[kind]
        never = theirs[:-1] + ("0" if theirs[-1] != "0" else "1")
        answers = []
        for given in (theirs, never):
            path, body = row.path.replace("{id}", given), BODIES.get((row.method, row.path))
            if row.page and row.method == "POST":
                # Without its own token a form is refused for every id alike.
                said = await acme.form(path, {"csrf_token": "x", "name": "Bob", "password": PASSWORD})
                assert said.status == 403
                continue
            said = await acme.ask(row.method, path, body)
            assert said.status == 404, (row.path, said)
            answers.append(told(said))
        assert len(set(map(str, answers))) <= 1
    assert asked >= 9
    assert (await globex.ask("GET", "/api/tenant/invitations")).body["data"][0]["id"] == invited.body["id"]
    assert len((await globex.ask("GET", "/api/tenant/members")).body["data"]) == 1


async def test_lists_hold_ones_own(site: TenantSite) -> None:
    """data-model 2.8: members, invitations, credit and the log of one tenant say nothing of another."""
    acme, globex = await site.owner("acme"), await site.owner("globex", "gil@globex.example")
    await globex.ask("POST", INVITE, {"email": "max@globex.example", "role": "member"})

    for row in public_endpoints():
        if row.method == "GET" and "{" not in row.path and row.access is not Door.OPEN:
            said = await acme.ask("GET", row.path)
            assert said.status == 200, row.path
            assert "globex" not in str(said.body).lower(), row.path


@contextmanager
def statements(site: TenantSite) -> Iterator[list[tuple[str, str]]]:
    """What is sent to the database meanwhile."""
    seen: list[tuple[str, str]] = []

    def note(
        _connection: object, _cursor: object, statement: str, parameters: object, *_rest: object
    ) -> None:
        seen.append((statement, str(parameters)))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_every_statement_names_the_tenant(site: TenantSite, database_url: str) -> None:
    """data-model 2.8: each statement on a tenant table binds the tenant; PostgreSQL is told first."""
    made = await site.tenant()
    owner_of, dialect = made["orgId"], site.process.database.dialect
    with statements(site) as seen:
        said = await site.accept(made["invitationId"])
        here = site.browser().with_cookie_of(said)
        for row in public_endpoints():
            if row.method == "GET" and "{" not in row.path:
                await here.ask("GET", row.path)
        invited = await here.ask("POST", INVITE, {"email": "max@example.com", "role": "member"})
        await here.ask("DELETE", f"/api/tenant/invitations/{invited.body['id']}")
        await site.browser().ask(
            "POST", "/api/auth/sign-in/email", {"email": "bob@example.com", "password": "x"}
        )
        change = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
        await here.ask("POST", "/api/auth/change-password", change)

    on_tables = [(sql, given) for sql, given in seen if SCOPED.search(sql)]
    assert len(on_tables) > 20
    assert [sql for sql, given in on_tables if "organization_id" not in sql or owner_of not in given] == []
    if dialect == "postgresql":
        declared = [given for sql, given in seen if "set_config" in sql and "app.organization_id" in given]
        assert len(declared) > 10
        assert [given for given in declared if owner_of not in given] == []


async def test_postgres_forgets_whose_transaction_it_was(postgres_url: str) -> None:
    """data-model 2.8: the name of the tenant ends with its transaction, on a connection used again."""
    from tests.integration.tenant_service.public.tenant_site import tenant_site

    async with tenant_site(postgres_url) as site:
        for organization_id in ("org_1", "org_2"):
            async with site.plane.database.write(TenantScope(organization_id)) as at:
                query = text("SELECT current_setting('app.organization_id', true)")
                assert await at.session.scalar(query) == organization_id
        async with site.process.database.read() as session:
            assert not await session.scalar(text("SELECT current_setting('app.organization_id', true)"))


async def test_tenants_are_made_by_operators_alone(sqlite_site: TenantSite) -> None:
    """R-113, R-114: 403 in the seed's bytes for everybody: any method, host, header, cookie and proof."""
    owner = await sqlite_site.owner()
    proof = sqlite_site.process.vouch.headers(audience=AUDIENCE, method="POST", target=CREATE)
    for headers in (
        {},
        {"Cookie": f"{COOKIE}={owner.cookie}", "Origin": "https://acme.app.example.com"},
        {"Host": "nobody.app.example.com"},
        {"Host": "admin.example.com", "X-Admin-Token": "let-me-in", "X-Internal": "1"},
        proof,
        {"Content-Type": "text/plain", "Origin": "https://evil.example"},
    ):
        for method in ("POST", "GET", "PUT"):
            for path in (CREATE, f"{CREATE}/"):
                answer = await sqlite_site.public.request(
                    method,
                    path,
                    data=b'{"name":"Mine","slug":"mine"}',
                    headers={"Host": owner.host, **headers},
                )
                assert (answer.status, await answer.read()) == (403, OPERATOR_LED)
    assert await sqlite_site.count("organizations") == 1


async def test_nobody_signs_up(sqlite_site: TenantSite) -> None:
    """R-036: every path below sign-up is refused, signed in or not, and no user is made."""
    owner = await sqlite_site.owner()
    for browser in (owner, sqlite_site.browser(), sqlite_site.browser("nobody")):
        for path in ("/api/auth/sign-up/email", "/api/auth/sign-up", "/api/auth/SIGN-UP/social/x"):
            said = await browser.ask("POST", path, {"email": "x@example.com", "password": PASSWORD})
            assert (said.status, said.code) == (403, "SIGN_UP_DISABLED")
    assert await sqlite_site.count("users") == 1


async def test_an_unknown_host_says_nothing(sqlite_site: TenantSite) -> None:
    """http-api 3.3: an unknown host is `Not Found` on every path; no other header names a tenant."""
    await sqlite_site.tenant()
    for host in ("nobody.app.example.com", "app.example.com", "localhost", "acme.app.example.com:8083"):
        for method, path in (("GET", "/"), ("GET", "/login"), ("POST", "/login"), ("GET", "/nowhere")):
            answer = await sqlite_site.public.request(
                method,
                path,
                headers={"Host": host, "X-Forwarded-Host": "acme.app.example.com", "Forwarded": "host=acme"},
            )
            assert (answer.status, await answer.text()) == (404, "Not Found")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_another_site_sends_nothing(sqlite_site: TenantSite) -> None:
    """http-api 3.0: a change that another origin has a browser send is refused, with and without a cookie."""
    owner = await sqlite_site.owner()
    body = {"email": "max@example.com", "role": "member"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "https://globex.app.example.com"},
        {"Origin": "http://acme.app.example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        for browser in (owner, sqlite_site.browser()):
            said = await browser.ask("POST", INVITE, body, headers=headers)
            assert (said.status, said.code) == (403, "ORIGIN_REJECTED")
    bare = await sqlite_site.public.post(
        INVITE, json=body, headers={"Host": owner.host, "Cookie": f"{COOKIE}={owner.cookie}"}
    )
    assert bare.status == 403
    assert await sqlite_site.count("invitations") == 1


async def test_the_planes_prove_nothing_to_each_other(sqlite_site: TenantSite) -> None:
    """R-035, R-037: an operator's proof is nothing at a tenant's host, a tenant's session nothing inside."""
    owner = await sqlite_site.owner()
    vouch = sqlite_site.process.vouch
    proof = vouch.headers(audience=AUDIENCE, target="/api/tenant")
    nobody = sqlite_site.browser()
    for headers in (
        proof,
        {DELEGATION_HEADER: proof[IDENTITY_HEADER]},
        {"Cf-Access-Jwt-Assertion": proof[IDENTITY_HEADER]},
        {"Cookie": f"ax_token={owner.cookie}; __Host-ax_token={owner.cookie}"},
        {"Cookie": f"tenant_session={owner.cookie}; tenant_session_on_localhost={owner.cookie}"},
        {"Authorization": f"Bearer {owner.cookie}"},
    ):
        assert (await nobody.ask("GET", "/api/tenant", headers=headers)).status == 401
    inside = await sqlite_site.process.client.get(
        TENANTS, headers={"Cookie": f"{COOKIE}={owner.cookie}", "Host": owner.host}
    )
    assert inside.status == 401
    answer = await sqlite_site.process.get(TENANTS)
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers
    for path in (TENANTS, "/internal/v1/audit-events", "/metrics", "/livez"):
        assert (await owner.ask("GET", path)).status == 404


async def test_one_address_may_ask_so_often(sqlite_site: TenantSite) -> None:
    """http-api 3.3: the public listener has a limit of its own for each address, whatever they ask."""
    await sqlite_site.tenant()
    browser = sqlite_site.browser()
    assert (await browser.ask("GET", "/login")).status == 200
    sqlite_site.replace_plane(limit=AddressLimit(5, sqlite_site.process.clock))
    statuses = [(await browser.ask("GET", "/login")).status for _ in range(7)]

    assert statuses == [200] * 5 + [429] * 2
    assert (await browser.ask("GET", "/login", headers={"X-Forwarded-For": "203.0.113.7"})).status == 429
    sqlite_site.process.clock.advance(60)
    assert (await browser.ask("GET", "/login")).status == 200


async def test_a_large_body_is_refused(sqlite_site: TenantSite) -> None:
    """attacks.md section 5: a password of a megabyte is no work for argon2."""
    await sqlite_site.tenant()
    body = b'{"email":"bob@example.com","password":"' + b"x" * 1024 * 1024 + b'"}'

    answer = await sqlite_site.public.post(
        "/api/auth/sign-in/email",
        data=BytesIO(body),
        headers={"Host": "acme.app.example.com", "Content-Type": "application/json"},
    )

    assert answer.status == 413
