"""Signing in and out at a tenant's own host, and what the session is worth elsewhere."""

import asyncio
from datetime import timedelta

import pytest
import structlog
from argon2 import PasswordHasher
from sqlalchemy import update

from tenant_service.people.passwords import Passwords
from tenant_service.people.sessions import LIFETIME, REST
from tenant_service.tables import schema
from tests.integration.tenant_service.lives import Said, ask, bring_to, events
from tests.integration.tenant_service.public.tenant_site import (
    COOKIE,
    OTHER_PASSWORD,
    PASSWORD,
    Browser,
    TenantSite,
    cookie_of,
    tenant_site,
)

SIGN_IN = "/api/auth/sign-in/email"
SESSION = "/api/auth/get-session"
CHANGE = "/api/auth/change-password"
BOB = "bob@example.com"


async def sign_in(browser: Browser, email: str = BOB, password: str = PASSWORD) -> Said:
    return await browser.ask("POST", SIGN_IN, {"email": email, "password": password})


async def status(browser: Browser) -> int:
    return (await browser.ask("GET", SESSION)).status


async def test_in_and_out(site: TenantSite) -> None:
    """G-15: a member signs in with any spelling of the address, and the session ends with the sign-out."""
    await site.owner()

    said = await sign_in(site.browser(), " BOB@example.com ")
    here = site.browser().with_cookie_of(said)

    assert (said.status, await status(here)) == (200, 200)
    out = await here.ask("POST", "/api/auth/sign-out")
    assert (out.status, await status(here)) == (200, 401)
    assert f"{COOKIE}=" in out.headers["Set-Cookie"]
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    [organization] = await site.process.rows("organizations")
    told = await events(site.process, organization["id"])
    assert told[-2:] == ["org.session.signed_in", "org.session.signed_out"]


async def test_nobody_learns_who_has_an_account(
    sqlite_site: TenantSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """http-api 3.3: unknown, wrong, and of another tenant: one answer, one proof, the same transactions."""
    await sqlite_site.owner("acme")
    await sqlite_site.owner("globex", "gil@globex.example")
    proofs: list[str] = []
    plain = Passwords._verify

    def counted(self: Passwords, stored: str, password: str) -> bool:
        proofs.append(stored.split("$")[3])
        return plain(self, stored, password)

    monkeypatch.setattr(Passwords, "_verify", counted)
    answers = []
    for email, password in (
        ("nobody@example.com", PASSWORD),
        (BOB, OTHER_PASSWORD),
        ("gil@globex.example", PASSWORD),
        ("no address", PASSWORD),
        (BOB, "x" * 4000),
    ):
        before = await sqlite_site.count("audit_events")
        said = await sign_in(sqlite_site.browser(), email, password)
        answers.append((said.status, {**said.body, "requestId": ""}))
        assert await sqlite_site.count("audit_events") == before + 1

    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 401
    assert answers[0][1]["code"] == "INVALID_CREDENTIALS"
    assert proofs == ["m=19456,t=2,p=1"] * 5
    failed = [
        row for row in await sqlite_site.process.rows("audit_events") if row["event"] == "org.session.failed"
    ]
    [bob] = [row["id"] for row in await sqlite_site.process.rows("users") if row["email"] == BOB]
    assert [row["resource_id"] for row in failed] == ["unknown", bob, "unknown", "unknown", bob]


async def test_an_account_has_ten_tries(site: TenantSite) -> None:
    """http-api 3.3: the eleventh try in a quarter of an hour is 429, for accounts that exist and others."""
    await site.owner()
    for email in (BOB, "nobody@example.com"):
        tried = await asyncio.gather(*(sign_in(site.browser(), email, OTHER_PASSWORD) for _ in range(12)))
        assert sorted(said.status for said in tried) == [401] * 10 + [429] * 2
        right = await sign_in(site.browser(), email)
        assert (right.status, right.code) == (429, "RATE_LIMITED")
        assert int(right.headers["Retry-After"]) > 0
    [credential] = await site.process.rows("user_credentials")
    assert (credential["failed_count"], credential["locked_until"] is not None) == (10, True)

    site.process.clock.advance(15 * 60)

    assert (await sign_in(site.browser())).status == 200
    [credential] = await site.process.rows("user_credentials")
    assert (credential["failed_count"], credential["locked_until"]) == (0, None)


async def test_a_network_has_a_hundred_tries(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """http-api 3.3: all addresses of one customer's IPv6 network are one address, another's are not."""
    monkeypatch.setattr(Passwords, "_verify", lambda *_: False)
    async with tenant_site(sqlite_url, TENANT_PUBLIC_TRUSTED_PROXIES="127.0.0.0/8") as site:
        await site.tenant()

        async def tried(address: str, number: int) -> int:
            body = {"email": f"p{number}@example.com", "password": OTHER_PASSWORD}
            headers = {"X-Forwarded-For": address}
            return (await site.browser().ask("POST", SIGN_IN, body, headers=headers)).status

        statuses = [await tried(f"2001:db8::{number:x}", number) for number in range(1, 101)]

        assert statuses == [401] * 100
        assert await tried("2001:db8::ffff", 101) == 429
        assert await tried("2001:db8:0:1::1", 102) == 401


async def test_a_right_password_clears_the_count(sqlite_site: TenantSite) -> None:
    """Nine mistakes, then the right one: the next mistakes count from the beginning."""
    await sqlite_site.owner()
    for _ in range(2):
        for _ in range(9):
            assert (await sign_in(sqlite_site.browser(), password=OTHER_PASSWORD)).status == 401
        assert (await sign_in(sqlite_site.browser())).status == 200


async def test_a_hash_is_made_anew(sqlite_site: TenantSite) -> None:
    """data-model 2.5: a hash of weaker parameters is replaced by the sign-in that proves it."""
    await sqlite_site.owner()
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with sqlite_site.process.database.write() as session:
        await session.execute(update(schema().people.credentials).values(password_hash=weak))

    assert (await sign_in(sqlite_site.browser())).status == 200

    [credential] = await sqlite_site.process.rows("user_credentials")
    assert "m=19456,t=2,p=1" in credential["password_hash"]
    assert (await sign_in(sqlite_site.browser())).status == 200


async def test_a_session_ends_by_itself(sqlite_site: TenantSite) -> None:
    """data-model 2.5: after a day of rest, and after a week whatever happens."""
    here = await sqlite_site.owner()
    clock = sqlite_site.process.clock
    clock.advance((REST - timedelta(seconds=1)).total_seconds())
    assert await status(here) == 200
    clock.advance(REST.total_seconds())
    assert await status(here) == 401

    here = here.with_cookie_of(await sign_in(sqlite_site.browser()))
    half = REST.total_seconds() / 2
    for _ in range(int(LIFETIME.total_seconds() / half) - 1):
        clock.advance(half)
        assert await status(here) == 200
    clock.advance(half)
    assert await status(here) == 401


async def test_a_session_counts_in_one_tenant(site: TenantSite) -> None:
    """data-model 2.8: the cookie of one tenant proves nobody at another, though the person is a member."""
    acme = await site.owner("acme")
    second = await site.tenant("globex", primaryAdminEmail=BOB)
    globex = site.browser("globex").with_cookie_of(await site.accept(second["invitationId"], slug="globex"))

    assert (await status(acme), await status(globex)) == (200, 200)
    assert (await status(acme.at("globex")), await status(globex.at("acme"))) == (401, 401)


async def test_a_new_password_ends_the_others(site: TenantSite) -> None:
    """G-15: a changed password ends every other session, in every tenant, and this browser goes on."""
    acme = await site.owner("acme")
    second = await site.tenant("globex", primaryAdminEmail=BOB)
    globex = site.browser("globex").with_cookie_of(await site.accept(second["invitationId"], slug="globex"))
    other = site.browser().with_cookie_of(await sign_in(site.browser()))
    site.process.clock.advance(1)
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}

    wrong = await acme.ask("POST", CHANGE, {**body, "currentPassword": OTHER_PASSWORD})
    weak = await acme.ask("POST", CHANGE, {**body, "newPassword": "Password2026!"})
    said = await acme.ask("POST", CHANGE, body)

    assert (wrong.status, weak.status, said.status) == (401, 422, 200)
    assert weak.body["errors"][0]["pointer"] == "/newPassword"
    assert await status(acme.with_cookie_of(said)) == 200
    assert [await status(each) for each in (acme, other, globex)] == [401, 401, 401]
    assert (await sign_in(site.browser())).status == 401
    assert (await sign_in(site.browser("globex"), password=OTHER_PASSWORD)).status == 200


async def test_a_suspended_tenant_lets_nobody_in(sqlite_site: TenantSite) -> None:
    """data-model 2.7: suspended is 403 for sign-in, session and pages, with a page that says so."""
    here = await sqlite_site.owner()
    [organization] = await sqlite_site.process.rows("organizations")
    await bring_to(sqlite_site.process, organization["id"], "suspended")

    for said in (await sign_in(sqlite_site.browser()), await here.ask("GET", SESSION)):
        assert (said.status, said.code) == (403, "TENANT_SUSPENDED")
    page = await here.ask("GET", "/dashboard")
    assert page.status == 403
    assert "suspended" in page.body
    assert (await ask(sqlite_site.process, "POST", f"/{organization['id']}/restore", {})).status == 200
    assert await status(here) == 401


async def test_hashes_and_secrets_are_told_nobody(sqlite_site: TenantSite) -> None:
    """data-model 2.5: no answer and no log line holds a hash, a password, a token or a link's secret."""
    paths = (SESSION, "/api/tenant", "/api/tenant/members", "/api/tenant/audit-logs", "/team", "/audit")
    with structlog.testing.capture_logs() as lines:
        made = await sqlite_site.tenant()
        said = await sqlite_site.accept(made["invitationId"])
        here = sqlite_site.browser().with_cookie_of(said)
        answers = [said, *[await here.ask("GET", path) for path in paths]]
        answers.append(await sign_in(sqlite_site.browser(), password=OTHER_PASSWORD))
        answers.append(await sqlite_site.accept(made["invitationId"]))
        whole = sqlite_site.plane.accepting
        sqlite_site.replace_plane(accepting=None)
        answers.append(await sqlite_site.accept(made["invitationId"]))
        sqlite_site.replace_plane(accepting=whole)
    assert answers[-1].status == 500
    assert lines
    told = str(lines) + "".join(str(answer.body) for answer in answers)

    secrets = ("argon2", PASSWORD, OTHER_PASSWORD, cookie_of(said), made["invitationId"].rpartition("_")[2])
    assert [secret for secret in secrets if secret in told] == []
