"""The list of operators, enrollment, and the theme."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from admin_service.enrollment.models import MOST_TRIES
from admin_service.operators.tokens import token_digest
from admin_service.panel.pages.theme import own_page
from admin_service.tables import AUDIT
from service_kit.identity.model import Role
from tests.integration.panel.back_office import ORIGIN, BackOffice, Shown, back_office

TOKEN = "enr_" + "t" * 43
NEWCOMER: dict[str, Any] = {"sub": "sub-new", "email": "new@example.com"}


async def provision(office: BackOffice) -> None:
    """A row that waits for the newcomer."""
    await office.add_operator(
        Role.SUPPORT,
        sub=None,
        name="new",
        enrollment_token_hash=token_digest(TOKEN),
        enrollment_token_expires_at=office.clock.now() + timedelta(hours=24),
    )


async def enroll(office: BackOffice, token: str, **changes: str) -> Shown:
    fields = (await office.get("/enrollment", None, **NEWCOMER)).fields()
    return await office.post("/enrollment", {**fields, "token": token, **changes}, None, **NEWCOMER)


class TestOperators:
    async def test_the_list_shows_everybody(self, office: BackOffice) -> None:
        """Name, address, role, state, and which one is you (P-19)."""
        await provision(office)
        page = await office.get("/manage/operators")

        assert "4 active, 1 pending, 0 deactivated" in page.words
        assert "security@example.com" in page.words
        assert "Test super_admin you" in page.words
        assert "token: 24 h left" in page.words

    async def test_a_token_is_nowhere(self, office: BackOffice) -> None:
        """Neither a token nor its digest can be read on the page (R-068)."""
        await provision(office)
        page = await office.get("/manage/operators")

        assert TOKEN not in page.text
        assert token_digest(TOKEN) not in page.text

    async def test_a_dead_token_is_not_promised(self, office: BackOffice) -> None:
        """After its day the list does not say that the token still works."""
        await provision(office)
        office.clock.advance(24 * 3600 + 1)
        page = await office.get("/manage/operators")

        assert "1 pending" in page.words
        assert "left" not in page.words
        assert "no token that works" in page.words


class TestEnrollment:
    async def test_a_form_that_is_sent_twice_enrolls_once(self, office: BackOffice) -> None:
        """R-066: whose first answer was lost is not told that the token is wrong; another person is."""
        await provision(office)
        fields = {**(await office.get("/enrollment", None, **NEWCOMER)).fields(), "token": TOKEN}
        first = await office.post("/enrollment", fields, None, **NEWCOMER)
        second = await office.post("/enrollment", fields, None, **NEWCOMER)
        thief: dict[str, Any] = {"sub": "sub-thief", "email": "thief@example.com"}
        fields = {**(await office.get("/enrollment", None, **thief)).fields(), "token": TOKEN}
        stolen = await office.post("/enrollment", fields, None, **thief)

        assert (first.status, first.headers["Location"]) == (303, "/manage")
        assert (second.status, second.headers["Location"]) == (303, "/enrollment")
        assert stolen.status == 403
        async with office.database.read() as session:
            rows = await session.rows(select(AUDIT.events).where(AUDIT.events.c.outcome == "denied"))
        assert [(row["event"], row["actor_id"]) for row in rows] == [("admin.enrollment.failed", "sub-thief")]

    async def test_the_form_says_who_access_says_you_are(self, office: BackOffice) -> None:
        """The page names the address and asks for the token, masked (P-28)."""
        page = await office.get("/enrollment", None, **NEWCOMER)

        assert page.status == 200
        assert "new@example.com" in page.words
        (field,) = (one for one in page.tree.iter("input") if one.get("name") == "token")
        assert field.get("type") == "password"
        assert field.get("autocomplete") == "off"
        assert not page.tree.findall(".//nav")

    async def test_the_right_token_opens_the_panel(self, office: BackOffice) -> None:
        """After the claim the browser goes to the dashboard, which opens (R-061, R-066)."""
        await provision(office)
        page = await enroll(office, f"  {TOKEN} ")

        assert page.status == 303
        assert page.headers["Location"] == "/manage"
        opened = await office.get("/manage", Role.SUPPORT, operator_id="adm_new", **NEWCOMER)
        assert opened.status == 200

    @pytest.mark.parametrize("token", ["enr_wrong", "", "x" * 5000, "é", "a\tb"])
    async def test_a_wrong_token_has_one_answer(self, office: BackOffice, token: str) -> None:
        """One message for every wrong token, and the token does not come back (R-061)."""
        await provision(office)
        page = await enroll(office, token)

        assert page.status == 403
        assert "The token was not accepted" in page.words
        if token:
            assert f'value="{token}"' not in page.text

    async def test_a_token_for_another_address_has_the_same_answer(self, office: BackOffice) -> None:
        """A right token of somebody else looks like a wrong one (R-135)."""
        await provision(office)
        other: dict[str, Any] = {"sub": "sub-other", "email": "other@example.com"}
        fields = (await office.get("/enrollment", None, **other)).fields()
        page = await office.post("/enrollment", {**fields, "token": TOKEN}, None, **other)

        wrong = await enroll(office, "enr_wrong")
        assert (page.status, page.heading) == (wrong.status, wrong.heading)
        assert page.words.replace("other@", "new@") == wrong.words

    async def test_too_many_tries_are_stopped(self, office: BackOffice) -> None:
        """After five failures even the right token waits (G-18)."""
        await provision(office)
        for _ in range(MOST_TRIES):
            await enroll(office, "enr_wrong")
        page = await enroll(office, TOKEN)

        assert page.status == 429
        assert "Too many attempts" in page.words
        assert int(page.headers["Retry-After"]) > 0

    @pytest.mark.parametrize("token", ["", "1.x"])
    async def test_a_foreign_form_claims_nothing(self, office: BackOffice, token: str) -> None:
        """Without the form's token the enrollment is not even tried."""
        await provision(office)
        page = await enroll(office, TOKEN, csrf_token=token)

        assert page.status == 403
        assert page.heading == "This form is no longer valid"
        assert "/enrollment" in page.links
        assert (await enroll(office, TOKEN)).status == 303

    async def test_a_foreign_origin_claims_nothing(self, office: BackOffice) -> None:
        """The form must come from our own page (R-097)."""
        await provision(office)
        fields = (await office.get("/enrollment", None, **NEWCOMER)).fields()
        page = await office.post(
            "/enrollment",
            {**fields, "token": TOKEN},
            None,
            headers={"Origin": "https://evil.example"},
            **NEWCOMER,
        )

        assert page.status == 403
        assert (await enroll(office, TOKEN)).status == 303

    async def test_a_user_agent_of_broken_bytes_is_no_defect(self, office: BackOffice) -> None:
        """A byte that is no UTF-8 in a header is recorded as a question mark, not answered with a 500."""
        fields = (await office.get("/enrollment", None, **NEWCOMER)).fields()
        body = urlencode({**fields, "token": "enr_wrong"})
        proof = office.proof("POST", "/enrollment", None, delegated=False, **NEWCOMER)
        lines = {**proof, "Host": "x", "Origin": ORIGIN, "Content-Length": str(len(body))}
        lines["Content-Type"] = "application/x-www-form-urlencoded"
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        server = office.client.server
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(
            b"POST /enrollment HTTP/1.1\r\nUser-Agent: Fire\xfffox\r\n" + f"{head}\r\n{body}".encode()
        )
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 403 ")

    async def test_an_operator_has_no_use_for_it(self, office: BackOffice) -> None:
        """Somebody who is enrolled goes on to the dashboard."""
        page = await office.get("/enrollment", Role.SUPPORT)

        assert page.status == 303
        assert page.headers["Location"] == "/manage"


class TestTheme:
    async def choose(
        self, office: BackOffice, theme: str, return_to: str = "/manage/audit?range=7d"
    ) -> Shown:
        page = await office.get("/manage")
        form = next(one for one in page.tree.iter("form") if one.get("action") == "/manage/theme")
        fields = {c.get("name", ""): c.get("value", "") for c in form.iter("input")}
        return await office.post("/manage/theme", {**fields, "theme": theme, "return_to": return_to})

    async def test_a_theme_is_remembered(self, office: BackOffice) -> None:
        """A cookie that no script reads, and back to the page it was chosen on."""
        answer = await self.choose(office, "dark")

        assert answer.status == 303
        assert answer.headers["Location"] == "/manage/audit?range=7d"
        cookie = {part.strip().lower() for part in answer.headers["Set-Cookie"].split(";")}
        assert {"panel_theme=dark", "path=/", "samesite=lax", "httponly", "secure"} <= cookie
        page = await office.get("/manage", headers={"Cookie": "panel_theme=dark"})
        assert page.tree.get("data-theme") == "dark"

    @pytest.mark.parametrize("cookie", ['dark"><script>', "unknown", ""])
    async def test_a_foreign_cookie_changes_nothing(self, office: BackOffice, cookie: str) -> None:
        """What is no theme of ours is the system's."""
        page = await office.get("/manage", headers={"Cookie": f"panel_theme={cookie}"})

        assert page.tree.get("data-theme") == "system"

    async def test_an_unknown_theme_is_refused(self, office: BackOffice) -> None:
        """Only what the form offers can be chosen."""
        answer = await self.choose(office, "blink")

        assert answer.status == 400
        assert "Set-Cookie" not in answer.headers

    async def test_a_foreign_form_chooses_nothing(self, office: BackOffice) -> None:
        """Without the token there is no cookie, but a page."""
        answer = await office.post("/manage/theme", {"theme": "dark", "csrf_token": "1.x"})

        assert answer.status == 403
        assert answer.heading == "This form is no longer valid"
        assert "Set-Cookie" not in answer.headers

    async def test_over_plain_http_the_cookie_is_not_secure(self, sqlite_url: str) -> None:
        """In the demo on loopback the cookie would otherwise be lost."""
        origin = "http://localhost:8000"
        async with back_office(sqlite_url, ADMIN_ORIGIN=origin, APP_ENV="development") as office:
            page = await office.get("/manage")
            assert "upgrade-insecure-requests" not in page.headers["Content-Security-Policy"]
            assert "Strict-Transport-Security" not in page.headers
            form = next(one for one in page.tree.iter("form") if one.get("action") == "/manage/theme")
            fields = {c.get("name", ""): c.get("value", "") for c in form.iter("input")}
            answer = await office.post(
                "/manage/theme", {**fields, "theme": "light"}, headers={"Origin": origin}
            )

        assert answer.status == 303
        assert "secure" not in answer.headers["Set-Cookie"].lower()

    @pytest.mark.parametrize(
        "path",
        [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/manage//evil.example",
            "/manage/../cdn-cgi/access/logout",
            "/manage/%2e%2e/x",
            "/managed",
            "/api/admin/docsevil",
            "/api/admin/docs/../tenants",
            "/api/admin/openapi.json",
            "/manage@evil.example",
            "/manage\r\nSet-Cookie: x=y",
            "javascript:alert(1)",
            "",
            "/manage/" + "x" * 2000,
        ],
    )
    def test_no_open_redirect(self, path: str) -> None:
        """Whatever is no page of the panel leads to the dashboard."""
        assert own_page(path) == "/manage"

    @pytest.mark.parametrize(
        "path",
        [
            "/manage",
            "/manage/tenants?q=a%26b+c&status=active",
            "/manage/audit?actorEmail=ada%40example.com&from=2026-01-01",
            "/manage/tenants/org_01ABC",
            "/api/admin/docs?q=grant",
        ],
    )
    def test_our_own_pages_are_found_again(self, path: str) -> None:
        """A page with its filters is where the choice leads back to."""
        assert own_page(path) == path


def test_the_origin_of_the_tests_is_the_settings() -> None:
    """The forms of these tests come from where the settings say."""
    assert ORIGIN == "https://admin.example.com"
