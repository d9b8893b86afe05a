"""What every answer of the panel carries: headers, error pages, static files, and no secret."""

import re

import pytest
from yarl import URL

from admin_service.panel.rendering import STATIC
from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, House, Shown

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
PAGES = [
    "/manage",
    "/manage/tenants",
    "/manage/tenants/new",
    "/manage/audit",
    "/manage/operators",
    "/api/admin/docs",
    "/enrollment",
]
FAILURES = ["/manage/nothing", "/manage/tenants/org_nobody", "/manage/audit/aud_x"]


def assert_page_headers(page: Shown) -> None:
    assert {name: page.headers.get(name) for name in HEADERS} == HEADERS
    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'nonce-([A-Za-z0-9_-]{22,})';", policy)
    assert nonce is not None
    for directive in (
        "default-src 'none'",
        "style-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "upgrade-insecure-requests",
    ):
        assert directive in policy
    assert "unsafe" not in policy
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "geolocation=()" in page.headers["Permissions-Policy"]
    scripts = list(page.tree.iter("script"))
    assert [script.get("nonce") for script in scripts] == [nonce[1]]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_carries_the_headers(office: BackOffice, path: str) -> None:
    """CSP with a nonce, no-store and the rest on each page (http-api 3.0)."""
    page = await office.get(path, None if path == "/enrollment" else Role.SUPER_ADMIN)

    assert page.status == 200
    assert_page_headers(page)


@pytest.mark.parametrize("path", FAILURES)
async def test_error_pages_carry_them_too(office: BackOffice, path: str) -> None:
    """An error page is a page: same policy, request id, and a way on."""
    page = await office.get(path)

    assert page.status == 404
    assert_page_headers(page)
    assert "req_panel1" in page.words
    assert page.links & {"/manage", "/manage/tenants", "/manage/audit"}


async def test_each_answer_has_its_own_nonce(office: BackOffice) -> None:
    """A nonce that could be known would be no nonce."""
    first, second = await office.get("/manage"), await office.get("/manage")

    assert first.headers["Content-Security-Policy"] != second.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/manage/nothing", "/manage/tenants/org_nobody", "/manage/audit/aud_x"])
async def test_a_script_gets_the_json_problem(office: BackOffice, path: str) -> None:
    """A fetch of a page path that names no HTML gets JSON when it fails, never a page or redirect."""
    page = await office.get(path, headers={"Accept": "*/*", "Sec-Fetch-Mode": "cors"})

    assert page.status == 404
    assert page.headers["Content-Type"].startswith("application/problem+json")


HOSTILE = [
    "%ff",
    "%ed%a0%80",
    "%00",
    "a%0d%0ab",
    "%F0%9F%92%A9",
    "'%22%3E%3Cscript%3E",
    "{{7*7}}",
    "x" * 3000,
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("path", ["/manage/tenants?q=", "/manage/audit?action=", "/manage/audit?asOf="])
async def test_no_query_breaks_a_page(both: House, path: str, value: str) -> None:
    """Whatever stands in the address, both services answer with a page."""
    page = await both.office.get(URL(path + value, encoded=True))

    assert page.status == 200
    assert_page_headers(page)


@pytest.mark.parametrize("path", ["/api/admin/nothing", "/internal/v1/nothing", "/nothing"])
async def test_what_is_no_page_stays_json(office: BackOffice, path: str) -> None:
    """The API answers problems as JSON, also to a browser."""
    page = await office.get(path)

    assert page.status == 404
    assert page.headers["Content-Type"].startswith("application/problem+json")


async def test_a_script_is_never_redirected_to_enroll(office: BackOffice) -> None:
    """A fetch of somebody without a row gets the JSON refusal (http-api 3.1)."""
    page = await office.get(
        "/manage", Role.SUPPORT, operator_id="adm_x", sub="sub-x", headers={"Accept": "application/json"}
    )

    assert page.status == 403
    assert "ENROLLMENT_REQUIRED" in page.text


async def test_a_wrong_method_is_a_page(office: BackOffice) -> None:
    """405 with `Allow`, as a page."""
    page = await office.post("/manage/audit", {"x": "y"})

    assert page.status == 405
    assert page.headers["Allow"] == "GET, HEAD"
    assert_page_headers(page)


async def test_a_defect_shows_no_trace(
    office: BackOffice, tenants: FakeTenantApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody named is a calm page with the request id; its text stays in the log."""

    async def broken(*_arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(tenants, "get", broken)
    page = await office.get("/manage/tenants/org_acme")

    assert page.status == 500
    assert "secret detail" not in page.text
    assert "Something went wrong on our side" in page.heading


async def test_a_trailing_slash_leads_to_the_dashboard(office: BackOffice) -> None:
    """`/manage/` is not another page (R-011)."""
    page = await office.get("/manage/")

    assert page.status == 303
    assert page.headers["Location"] == "/manage"


class TestStaticFiles:
    async def test_every_file_that_a_page_names_is_served(self, office: BackOffice) -> None:
        """Stylesheet, script and icons exist under the names that the pages use."""
        page = await office.get("/manage")
        named = set(re.findall(r"/static/panel/[A-Za-z0-9_.-]+", page.text))

        assert len(named) == len(list(STATIC.iterdir()))
        for path in named:
            assert (await office.get(path)).status == 200

    async def test_a_file_may_be_kept_for_ever_but_by_nobody_else(self, office: BackOffice) -> None:
        """Immutable for the browser, private to it, of the right type, and for this site only (R-160)."""
        page = await office.get("/manage")
        (stylesheet,) = (
            link.get("href", "") for link in page.tree.iter("link") if link.get("rel") == "stylesheet"
        )
        sent = await office.get(stylesheet, None)

        assert sent.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert sent.headers["Content-Type"] == "text/css; charset=utf-8"
        assert sent.headers["X-Content-Type-Options"] == "nosniff"
        assert sent.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert sent.text == (STATIC / "panel.css").read_text()

    @pytest.mark.parametrize(
        "name",
        ["panel.css", "panel.0000000000000000.css", "..%2f..%2fapp.py", "%2e%2e%2fapp.py", "%00", "x%5cy"],
    )
    async def test_nothing_else_is_served(self, office: BackOffice, name: str) -> None:
        """Only exact hashed names; no path leads out of the folder."""
        assert (await office.get(f"/static/panel/{name}")).status == 404


async def test_files_travel_small_and_pages_as_they_are(office: BackOffice) -> None:
    """Files are compressed for who takes it; a page with form tokens never is (BREACH)."""
    (sheet,) = set(re.findall(r"/static/panel/panel\.[a-z0-9]+\.css", (await office.get("/manage")).text))
    takes = {"Accept-Encoding": "gzip, br"}
    small = await office.get(sheet, headers=takes)
    whole = await office.get(sheet, headers={"Accept-Encoding": "identity"})
    page = await office.get("/manage", headers=takes)

    assert (small.headers["Content-Encoding"], small.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert small.text == whole.text
    assert ("Content-Encoding" in whole.headers, "Content-Encoding" in page.headers) == (False, False)
