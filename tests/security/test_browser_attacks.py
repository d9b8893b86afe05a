"""What a page in somebody's browser can do with their Access session (attacks.md section 3, "Browser")."""

import re
from pathlib import Path

import pytest
from aiohttp import web

from admin_service.panel.pages.theme import own_page
from service_kit.identity.model import Role
from tests.fixtures.sidecar import DEACTIVATED, HOST, ORIGIN, STRANGER, person
from tests.fixtures.witnessed import Witnessed, statuses
from tests.integration.admin_service.admin_process import AdminProcess, admin_process
from tests.integration.tenant_service.tenant_process import TenantProcess, tenant_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "Content-Type: application/x-www-form-urlencoded"
NAVIGATION = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
ORIGINS = {
    "missing": "",
    "null": "null",
    "empty": " ",
    "another": "https://evil.example",
    "another port": f"{ORIGIN}:8443",
    "our default port": f"{ORIGIN}:443",
    "plain http": f"http://{HOST}",
    "upper case": ORIGIN.upper(),
    "upper-case scheme": f"HTTPS://{HOST}",
    "a slash behind": f"{ORIGIN}/",
    "a dot behind": f"{ORIGIN}.",
    "ours as a prefix": f"{ORIGIN}.evil.example",
    "ours as a suffix": f"https://evil-{HOST}",
    "ours as a user": f"https://{HOST}@evil.example",
    "a list": f"{ORIGIN}, https://evil.example",
    "a list with spaces": f"{ORIGIN} https://evil.example",
    "a sibling": "https://app.example.com",
    "a file": "file://",
    "an extension": "chrome-extension://abcdef",
    "loopback": "http://127.0.0.1",
    "a look-alike": "https://\u0430dmin.example.com",
}


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("name", ORIGINS)
async def test_a_change_needs_our_own_origin(gate: Witnessed, name: str, method: str) -> None:
    """R-097: a cross-site form post, and every Origin that is not byte for byte ours, changes nothing."""
    for target in ("/frontend", "/manage/x", "/enrollment"):
        head = gate.head(target, FORM, "Content-Length: 3", origin=ORIGINS[name], method=method)
        codes = await gate.judge(await gate.exchange(head + b"a=b"))
        assert codes[0] in {403, 405, 400}
        assert gate.nothing_arrived


@pytest.mark.parametrize("second", [ORIGIN, "https://evil.example", "null", ""])
@pytest.mark.parametrize("name", ["Origin", "origin", "ORIGIN"])
async def test_two_origins_are_no_origin(gate: Witnessed, name: str, second: str) -> None:
    """R-097: nothing is chosen from two answers to one question, not even from two equal ones."""
    head = gate.head("/frontend", f"{name}: {second}", "Content-Length: 0", method="POST")
    assert await gate.judge(await gate.exchange(head)) == [400]
    before = gate.head("/frontend", "Content-Length: 0", method="POST").replace(
        b"Origin:", f"{name}: {second}\r\nOrigin:".encode(), 1
    )
    assert await gate.judge(await gate.exchange(before)) == [400]


@pytest.mark.parametrize(
    "site", ["cross-site", "same-site", "none", "Cross-Site", "same-origin, cross-site", "x", ""]
)
async def test_a_change_from_another_site_is_refused_though_the_origin_fits(
    gate: Witnessed, site: str
) -> None:
    """R-097: what the browser itself says of the request counts beside the Origin."""
    head = gate.head("/frontend", f"Sec-Fetch-Site: {site}", "Content-Length: 0", method="POST")
    assert await gate.judge(await gate.exchange(head)) == [403]


async def test_our_own_page_may_change_and_others_may_link(gate: Witnessed) -> None:
    """The control: the panel's own form passes, and a link from elsewhere opens a page."""
    own = gate.head("/frontend", FORM, "Sec-Fetch-Site: same-origin", "Content-Length: 3", method="POST")
    assert await gate.judge(await gate.exchange(own + b"a=b")) == [200]
    gate.forget()
    link = gate.head("/frontend", *NAVIGATION, "Sec-Fetch-Site: cross-site", origin="")
    assert await gate.judge(await gate.exchange(link)) == [200]


REDIRECTS = (
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "///evil.example",
    "/%2f/evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/manage//evil.example",
    "/manage/../..//evil.example",
    "/manage@evil.example",
    "/manage\t//evil.example",
    "/manage\r\nSet-Cookie: evil=1",
    "/managed",
    "http://127.0.0.1:9001/",
    f"https://{HOST}@evil.example",
    "/.evil.example",
    "/manage/\u2025/x",
)


async def test_no_next_leads_anywhere_else(gate: Witnessed) -> None:
    """Open redirect: the gate's one redirect has one target, whatever the request asks for or names."""
    for wish in REDIRECTS:
        encoded = re.sub(r"[^\w./:@-]", lambda match: f"%{ord(match[0]) & 0xFF:02X}", wish)
        for parameter in ("next", "return_to", "redirect_url", "rd", "url"):
            gate.forget()
            head = gate.head(f"/manage?{parameter}={encoded}", *NAVIGATION, who=STRANGER, origin="")
            answer = await gate.exchange(head)
            assert statuses(answer) == [303]
            assert re.findall(rb"Location: (.*)\r\n", answer) == [b"/enrollment"]
            assert b"evil" not in answer
            assert gate.nothing_arrived


@pytest.mark.parametrize("wish", REDIRECTS)
async def test_the_panels_one_next_leads_to_the_panel(wish: str) -> None:
    """Open redirect in `return_to`: what is no page of the panel becomes the dashboard."""
    assert own_page(wish) == "/manage"


REFUSED = ("no token", "garbage", "deactivated", "not permitted", "path", "method")


def refused_head(gate: Witnessed, name: str) -> str:
    """The head of a request that is refused, without its end."""
    if name == "no token":
        return f"GET /manage HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
    heads = {
        "garbage": gate.head("/manage", origin="").replace(b"eyJ", b"fyJ"),
        "deactivated": gate.head("/manage", who=DEACTIVATED, origin=""),
        "not permitted": gate.head("/api/admin/global-admins", who=person(Role.SUPPORT), origin=""),
        "path": gate.head("/manage/../manage", origin=""),
        "method": gate.head("/api/admin/tenants", method="PUT", origin=""),
    }
    return heads[name].decode().removesuffix("\r\n")


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_page_is_not_framed_not_cached_and_repeats_nothing(
    gate: Witnessed, name: str
) -> None:
    """Clickjacking, and the back button after a sign-out: each refusal page forbids both."""
    marker = "Referer: https://reflected.example/"
    request = refused_head(gate, name) + "\r\n".join((*NAVIGATION, marker)) + "\r\n\r\n"
    answer = (await gate.exchange(request.encode())).decode()
    head = answer.partition("\r\n\r\n")[0]

    assert re.search(r"^Content-Type: text/html", head, re.MULTILINE)
    assert "frame-ancestors 'none'" in head
    assert "X-Frame-Options: DENY" in head
    assert "Cache-Control: no-store" in head
    assert "X-Content-Type-Options: nosniff" in head
    assert re.search(r"script-src|default-src 'none'", head)
    assert "Access-Control-Allow-" not in head
    assert "reflected" not in answer
    assert gate.nothing_arrived


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_for_a_program_is_not_cached_and_opens_nothing_cross_origin(
    gate: Witnessed, name: str
) -> None:
    """CORS: no refusal invites another origin to read it, and none is stored."""
    request = refused_head(gate, name) + "Accept: application/json\r\nOrigin: https://evil.example\r\n\r\n"
    answer = (await gate.exchange(request.encode())).decode()

    assert "Cache-Control: no-store" in answer
    assert "Access-Control-Allow-" not in answer
    assert "Set-Cookie" not in answer
    assert gate.nothing_arrived


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST"])
async def test_a_preflight_of_another_origin_is_answered_by_no_invitation(
    gate: Witnessed, method: str
) -> None:
    """R-003: a preflight carries no token, and the gate makes no exemption for it."""
    lines = (
        f"{method} /api/admin/tenants HTTP/1.1",
        f"Host: {HOST}",
        "Origin: https://evil.example",
        "Access-Control-Request-Method: DELETE",
        "Access-Control-Request-Headers: content-type",
        "Connection: close",
    )
    answer = await gate.exchange(("\r\n".join(lines) + "\r\n\r\n").encode())

    assert statuses(answer) == [403]
    assert b"Access-Control-Allow-" not in answer
    assert gate.nothing_arrived


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "evil.example", "[::1]", "0.0.0.0", "127.0.0.1:PORT"]
)
async def test_dns_rebinding_to_the_gate_finds_nothing(gate: Witnessed, host: str) -> None:
    """R-040: a page whose name was turned to our address asks with its own Host, and is told nothing."""
    named = host.replace("PORT", str(gate.sidecar.port))
    request = gate.head("/manage").replace(f"Host: {HOST}".encode(), f"Host: {named}".encode())
    answer = await gate.exchange(request)

    assert statuses(answer) == [404]
    assert answer.endswith(b"\r\n\r\nNot Found")
    assert gate.nothing_arrived


REBOUND = (
    {"Host": "127.0.0.1"},
    {"Host": "evil.example"},
    {"Host": "localhost", "Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Host": HOST, "Origin": ORIGIN, "Cf-Access-Jwt-Assertion": "eyJ.e.e"},
    {"Host": HOST, "X-Internal-Identity": "", "X-Forwarded-For": "127.0.0.1"},
    {"Host": HOST, "X-Internal-Identity": "eyJhbGciOiJub25lIn0.e30.", "X-Internal-Delegation": "e30"},
)


def routes_of(app: web.Application) -> set[tuple[str, str]]:
    """Each route of a service with a path that it answers, and one that it does not."""
    found = {("GET", "/no/such/path"), ("POST", "/"), ("GET", "/healthz")}
    for route in app.router.routes():
        if route.resource is not None:
            path = re.sub(r"\{[^}]*\}", "x", route.resource.canonical)
            found.add(("GET" if route.method == "*" else route.method, path))
    return found


async def refuses_on_every_route(service: AdminProcess | TenantProcess) -> int:
    routes = routes_of(service.apps.internal)
    for method, path in sorted(routes):
        for headers in REBOUND:
            response = await service.client.request(method, path, headers=headers, allow_redirects=False)
            text = await response.text()
            assert response.status == 401, (method, path, headers, text)
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Set-Cookie" not in response.headers
    return len(routes)


async def test_dns_rebinding_to_the_admin_service_is_refused_on_every_route(tmp_path: Path) -> None:
    """R-005, R-136: without an identity of the sidecar there is nothing, whatever the Host or the Origin."""
    async with admin_process(f"sqlite+aiosqlite:///{tmp_path / 'admin.db'}") as service:
        await service.add(Role.SUPER_ADMIN)
        assert await refuses_on_every_route(service) > 15


async def test_dns_rebinding_to_the_tenant_service_is_refused_on_every_route(tmp_path: Path) -> None:
    """R-005, R-136: the same for the service that owns the tenants."""
    async with tenant_process(f"sqlite+aiosqlite:///{tmp_path / 'tenant.db'}") as service:
        assert await refuses_on_every_route(service) > 5
