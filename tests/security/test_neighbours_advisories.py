"""Each advisory of a neighbour's product as a test that bears its name (attacks.md section 6)."""

import asyncio
import re
import sys
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
from aiohttp import http_parser

from auth_proxy.transport.listener import require_c_parser
from deploy.demo.people import Person
from service_kit.identity.model import Role
from tests.fakes.admin_service import operator
from tests.fixtures.sidecar import AUD, HOST, STRANGER, person
from tests.fixtures.witnessed import Witnessed, folded, statuses
from tests.integration.admin_service.admin_process import admin_process
from tests.security.forged_tokens import CLASSICS, FORGERIES, PYJWT, resigned
from tests.security.hostile_inputs import corpus, hostile_targets, leads_to

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORBIDDEN = "api/admin/global-admins"
SUPPORT = person(Role.SUPPORT)
ROOT = Path(__file__).resolve().parents[2]


async def ask(
    gate: Witnessed, target: str, *lines: str, who: Person | None = None, method: str = "GET"
) -> list[int]:
    """One request and the one verdict on it."""
    gate.forget()
    return await gate.judge(await gate.exchange(gate.head(target, *lines, who=who, method=method)))


async def without_token(gate: Witnessed, target: str, *lines: str) -> list[int]:
    gate.forget()
    head = (f"GET {target} HTTP/1.1", f"Host: {HOST}", "Connection: close", *lines)
    return await gate.judge(await gate.exchange(("\r\n".join(head) + "\r\n\r\n").encode()))


async def with_token(gate: Witnessed, token: str) -> list[int]:
    """What an operator's request would get with another token in place of theirs."""
    gate.forget()
    gate.tokens[token] = token  # the log is searched for it afterwards
    head = gate.head("/frontend").replace(gate.token().encode(), token.encode("utf-8", "surrogateescape"))
    return await gate.judge(await gate.exchange(head))


async def test_oathkeeper_ghsa_p224_6x5r_fjpm_a_dot_segment_matches_no_milder_rule(gate: Witnessed) -> None:
    """R-011: `/public/../admin/secrets` is not judged by the rule for `/public`."""
    for target in (
        "/static/panel/../../manage",
        "/enrollment/../manage",
        "/static/panel/%2e%2e/%2e%2e/manage",
    ):
        assert await ask(gate, target, who=STRANGER) == [400]


async def test_oauth2_proxy_ghsa_5hvv_m4w4_gf6v_a_health_checker_is_nobody(gate: Witnessed) -> None:
    """R-003: no User-Agent and no health path skips the token on the public listener."""
    for agent in ("GoogleHC/1.0", "kube-probe/1.29", "ELB-HealthChecker/2.0", "GoogleStackdriverMonitoring"):
        for target in ("/manage", "/healthz", "/ping", "/ready"):
            assert await without_token(gate, target, f"User-Agent: {agent}") == [403]


async def test_oauth2_proxy_ghsa_7x63_xv5r_3p2x_the_uri_is_not_read_from_a_header(gate: Witnessed) -> None:
    """R-003: X-Forwarded-Uri, -Method and their kin choose neither the rule nor the handler."""
    for name in ("X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-Url", "X_Forwarded_Uri"):
        assert await ask(gate, f"/{FORBIDDEN}", f"{name}: /enrollment", who=SUPPORT) == [403]
        assert await without_token(gate, "/manage", f"{name}: /static/panel/x.css") == [403]


@pytest.mark.parametrize("fragment", ["#", "#/enrollment", "%23/enrollment", "?#", "/#/../enrollment"])
async def test_oauth2_proxy_ghsa_pxq7_h93f_9jrg_a_fragment_is_no_part_of_a_rule(
    gate: Witnessed, fragment: str
) -> None:
    """R-011: a raw `#` in a target is refused; an encoded one changes no rule."""
    codes = await ask(gate, f"/{FORBIDDEN}{fragment}", who=SUPPORT)

    assert codes == [403 if "%23" in fragment else 400] or (gate.admin.arrivals == [] and codes == [200])
    assert [arrival for arrival in gate.admin.arrivals if leads_to(arrival.target, FORBIDDEN)] == []


@pytest.mark.parametrize(
    "email", ["super_admin@example.com@evil.example", "a@b@example.com", '"a@b"@example.com', "@example.com"]
)
async def test_oauth2_proxy_ghsa_c5c4_8r6x_56w3_an_address_has_one_at(gate: Witnessed, email: str) -> None:
    """R-048: an address with another `@` is no address, even behind a good signature."""
    token = gate.sidecar.issuer.mint(person(Role.SUPER_ADMIN), audience=AUD, email=email)
    assert await with_token(gate, token) == [403]


async def test_oauth2_proxy_ghsa_f24x_5g9q_753f_no_session_can_be_planted(gate: Witnessed) -> None:
    """R-161: a cookie planted before the sign-in is no identity, beside a token or without one."""
    planted = f"Cookie: CF_Authorization={gate.token()}; ax_token={gate.token()}; session=x"
    assert await without_token(gate, "/manage", planted) == [403]
    assert await ask(gate, f"/{FORBIDDEN}", planted, who=SUPPORT) == [403]
    assert await ask(gate, "/frontend", planted, who=SUPPORT) == [200]
    (arrival,) = gate.arrivals
    assert (await gate.prove(arrival)).email == SUPPORT.email
    assert "CF_Authorization" not in arrival.one("Cookie")


@pytest.mark.parametrize(
    "query", ["path=/static/panel", "/enrollment", "x=/../enrollment", "?/static/panel/x.css"]
)
async def test_oauth2_proxy_ghsa_7rh7_c77v_6434_cve_2025_54576_a_query_is_no_path(
    gate: Witnessed, query: str
) -> None:
    """R-011: rules match the path alone."""
    assert await ask(gate, f"/{FORBIDDEN}?{query}", who=SUPPORT) == [403]
    assert await ask(gate, f"/manage?{query}", who=STRANGER) == [403]


async def test_oauth2_proxy_cve_2025_64484_ghsa_vjrc_mh2v_45x6_spellings_smuggle_nothing(
    gate: Witnessed,
) -> None:
    """R-172: underscores and capitals make no other name of an identity header."""
    for name in (
        "X_Forwarded_Email",
        "x-forwarded_user",
        "X_FORWARDED_GROUPS",
        "X-Auth_Request-Email",
        "Remote_User",
    ):
        assert await ask(gate, "/frontend", f"{name}: evil", f"{name.upper()}: evil") == [200]
        assert b"evil" not in gate.arrivals[0].raw


async def test_traefik_cve_2026_39858_ghsa_5m6w_wvh7_57vm_forwarded_aliases_end_here(gate: Witnessed) -> None:
    """R-172: `X_Forwarded_Proto` is X-Forwarded-Proto to whoever folds names."""
    for name in ("X_Forwarded_Proto", "X.Forwarded.Host", "x_forwarded-for", "X_Forwarded_Port"):
        assert await ask(gate, "/frontend", f"{name}: evil") == [200]
        (arrival,) = gate.arrivals
        assert b"evil" not in arrival.raw
        assert [folded(key) for key, _ in arrival.headers].count("xforwardedproto") == 1


async def test_traefik_ghsa_x677_9fxg_v5c5_and_its_dot_sibling(gate: Witnessed) -> None:
    """R-172: `X_Authenticated_User` and `X.Authenticated.User` reach no upstream."""
    for name in (
        "X_Authenticated_User",
        "X.Authenticated.User",
        "X-Authenticated-User",
        "X~Authenticated!User",
    ):
        assert await ask(gate, "/frontend", f"{name}: evil") == [200]
        assert b"evil" not in gate.arrivals[0].raw


async def test_traefik_cve_2026_35051_ghsa_6384_m2mw_rf54_a_prefix_is_not_passed_on(gate: Witnessed) -> None:
    """R-172: X-Forwarded-Prefix would end in links and redirects of the upstream."""
    assert await ask(gate, "/frontend", "X-Forwarded-Prefix: //evil", "X_Forwarded_Prefix: //evil") == [200]
    assert b"evil" not in gate.arrivals[0].raw


async def test_traefik_cve_2026_54764_ghsa_3q9r_p662_5j8m_no_port_is_made_from_a_claim(
    gate: Witnessed,
) -> None:
    """R-172: protocol, port and host are said by us alone, whatever the client claims of them."""
    assert await ask(gate, "/frontend", "X-Forwarded-Proto: http", "X-Forwarded-Port: 80") == [200]
    (arrival,) = gate.arrivals
    assert arrival.all("X-Forwarded-Port") == []
    assert (arrival.one("X-Forwarded-Proto"), arrival.one("X-Forwarded-Host")) == ("https", HOST)


OUR_NAMES = ("X-Internal-Identity", "X-Internal-Delegation", "X-Forwarded-For", "X-Request-Id", "Host")


async def test_traefik_cve_2021_32813_ghsa_m697_4v8f_55qg_connection_drops_nothing_of_ours(
    gate: Witnessed,
) -> None:
    """R-005: what the gate adds is added after Connection was obeyed."""
    for name in OUR_NAMES:
        for line in (
            f"Connection: {name}",
            f"Connection: close, {name.lower()}",
            f"Proxy-Connection: {name}",
        ):
            assert await ask(gate, "/frontend", line) == [200]
            assert gate.arrivals[0].one("X-Internal-Identity")
            assert gate.arrivals[0].one("Host") == HOST


async def test_capsule_proxy_cve_2022_23652_without_identity_nobody_is_system(
    gate: Witnessed, tmp_path: Path
) -> None:
    """R-005: the header cannot be dropped, and were it dropped, the service would answer 401."""
    assert await ask(gate, "/manage", "Connection: X-Internal-Identity, X-Internal-Delegation") == [200]
    assert gate.admin.arrivals[0].one("X-Internal-Identity")
    async with admin_process(f"sqlite+aiosqlite:///{tmp_path / 'admin.db'}") as service:
        for target in ("/manage", "/api/admin/me", "/internal/v1/roster/feed"):
            assert (await service.client.get(target)).status == 401


async def test_go_golang_go_50580_cve_2021_33197_cve_2022_2880_order_and_queries(gate: Witnessed) -> None:
    """R-011: an empty first Connection hides no second one; a query is equal at both hops or refused."""
    assert await ask(gate, "/frontend", "Connection:", "Connection: X-Mine", "X-Mine: 1") == [200]
    assert gate.arrivals[0].all("X-Mine") == []
    for query in ("a=1;b=2", "a=1&a=2;c", "a=%41%3B", "a[]=1&a[]=2"):
        assert await ask(gate, f"/frontend?{query}") == [200]
        assert gate.arrivals[0].target == f"/frontend?{query}"
    for query in ("%zz", "a=%", "a=%4"):
        assert await ask(gate, f"/frontend?{query}") == [400]


async def test_pomerium_cve_2023_33189_one_reading_decides_and_arrives(gate: Witnessed) -> None:
    """R-011: for every hostile path, the target that was signed for is the target that arrived."""
    for target in hostile_targets("/api/admin/tenants", FORBIDDEN)[::3]:
        await ask(gate, target, who=SUPPORT)  # judge() proves the binding of whatever arrived


async def test_pomerium_cve_2021_39206_cve_2021_32777_cve_2021_32779_values_and_fragments(
    gate: Witnessed,
) -> None:
    """R-011: a header in two copies has no last value to be missed, and a fragment does not pass."""
    for name in ("Authorization", "Origin", "Content-Type", "Cf-Access-Jwt-Assertion", "Sec-Fetch-Site"):
        assert (await ask(gate, "/frontend", f"{name}: a", f"{name}: b"))[0] == 400
    assert await ask(gate, "/frontend#/x") == [400]


async def test_pomerium_cve_2021_41230_a_changed_role_counts_from_the_next_request(gate: Witnessed) -> None:
    """R-064: the roster is asked each time; no earlier decision is remembered."""
    who = Person.with_email("changing@example.com")
    for role, active, expected in (
        (Role.SUPER_ADMIN, True, 200),
        (Role.SUPPORT, True, 403),
        (Role.SUPER_ADMIN, True, 200),
        (Role.SUPER_ADMIN, False, 403),
    ):
        gate.admin.put(operator(who.sub, who.email, role, active=active))
        async with asyncio.timeout(20):  # the feed needs a moment
            while await ask(gate, f"/{FORBIDDEN}", who=who) != [expected]:
                await asyncio.sleep(0.002)


async def test_pomerium_cve_2024_39315_no_page_returns_a_token(gate: Witnessed) -> None:
    """R-005: neither an answer of the gate nor a page of its operations listener holds a JWT."""
    for target in ("/frontend", "/manage", "/.pomerium/", "/oauth2/userinfo", f"/{FORBIDDEN}", "/x/../y"):
        answer = await gate.exchange(gate.head(target, "Accept: text/html", who=SUPPORT))
        assert b"eyJ" not in answer
    async with aiohttp.ClientSession() as session:
        for path in ("/metrics", "/healthz", "/readyz", "/.well-known/jwks.json", "/x"):
            async with session.get(f"http://127.0.0.1:{gate.sidecar.ops_port}{path}") as response:
                text = await response.text()
                assert "eyJ" not in text
                assert '"d"' not in text


async def test_pomerium_cve_2021_29652_the_gate_has_no_endpoint_of_its_own(gate: Witnessed) -> None:
    """R-003: no path of the public listener is answered without a token, whatever parameters it bears."""
    for target in (
        "/.pomerium/sign_out?redirect_uri=//evil",
        "/oauth2/sign_in?rd=//evil",
        "/.well-known/jwks.json",
        "/metrics",
        "/healthz",
        "/cdn-cgi/access/certs",
        "/cdn-cgi/access/logout",
        "/api/access-sso",
        "/enrollment",
        "/favicon.ico",
        "/robots.txt",
        "/static/panel/panel.css",
    ):
        assert await without_token(gate, target) == [403]


async def test_hono_ghsa_m732_5p4w_x69g_honojs_middleware_1805_the_audience_counts(gate: Witnessed) -> None:
    """R-014: a token for another application of the same team is no token here."""
    mint = gate.sidecar.issuer.mint
    for audience in ("b" * 64, AUD[:-1], AUD + "a", AUD.upper(), ""):
        assert await with_token(gate, mint(person(Role.SUPER_ADMIN), audience=audience)) == [403]
    for aud in ([], None, {}, 5, [AUD, 5], {"aud": AUD}):
        assert await with_token(gate, mint(person(Role.SUPER_ADMIN), audience=AUD, aud=aud)) == [403]


@pytest.mark.parametrize(
    "email",
    [
        "\u017fuper_admin@example.com",
        "super_adm\u0131n@example.com",
        "SUPER_ADM\u0130N@EXAMPLE.COM",
        "\uff53uper_admin@example.com",
    ],
)
async def test_django_cve_2019_19844_a_look_alike_is_another_address(gate: Witnessed, email: str) -> None:
    """R-048, R-061: no case folding of Unicode turns a stranger's address into an operator's."""
    token = gate.sidecar.issuer.mint(STRANGER, audience=AUD, email=email)
    assert await with_token(gate, token) == [403]


@pytest.mark.parametrize("advisory", PYJWT)
async def test_pyjwt(gate: Witnessed, advisory: str) -> None:
    """R-013: the library is new enough, and what the advisory lets in is refused by our own reading too."""
    assert tuple(int(part) for part in version("PyJWT").split(".")) >= (2, 15, 1)
    for name in PYJWT[advisory]:
        assert await with_token(gate, FORGERIES[name](gate)) == [403], name


@pytest.mark.parametrize("advisory", CLASSICS)
async def test_jwt_classics(gate: Witnessed, advisory: str) -> None:
    """R-013: the forgeries that every JWT library fell for once."""
    for name in CLASSICS[advisory]:
        assert await with_token(gate, FORGERIES[name](gate)) == [403], name


async def test_the_forgers_tools_can_make_a_good_token(gate: Witnessed) -> None:
    """The control: the same hand that forges can sign, and then it is let in."""
    assert await with_token(gate, resigned(gate)) == [200]
    assert await with_token(gate, resigned(gate, kid="0" * 64)) == [403]


async def test_pyjwt_its_key_client_is_not_used(gate: Witnessed) -> None:
    """R-044: the advisories of PyJWKClient do not reach us: no module of ours names it."""
    sources = [path for name in ("auth_proxy", "service_kit") for path in (ROOT / name).rglob("*.py")]
    assert len(sources) > 40
    assert [
        path for path in sources if re.search(r"PyJWKClient|PyJWKSet|jwt\.decode\(", path.read_text())
    ] == []


async def two_hosts(gate: Witnessed) -> None:
    assert await ask(gate, "/frontend", f"Host: {HOST}") == [400]


async def many_pipelined(gate: Witnessed) -> None:
    """Far more requests than anyone answers at once: each is answered, in order, or the connection ends."""
    gate.forget()
    one = gate.head("/frontend", close=False)
    answer = await gate.exchange(one * 300 + gate.head("/frontend?last"))
    assert set(statuses(answer)) <= {200, 400}
    assert statuses(answer).count(200) == len(gate.arrivals)


async def a_fragmented_line(gate: Witnessed) -> None:
    """A line beyond the limit is beyond it in pieces too."""
    gate.forget()
    pieces = [gate.head("/frontend").removesuffix(b"\r\n") + b"X: ", *[b"y" * 4000] * 40]
    answer = await gate.exchange(*pieces, pause=0.001)
    # The refusal may be lost when the sender goes on sending: then the connection was broken.
    codes = await gate.judge(answer)
    assert codes in ([400], [431]) or (codes == [] and answer.endswith(b"<broken>"))
    assert gate.nothing_arrived


async def the_c_parser(_gate: Witnessed) -> None:
    require_c_parser()
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
    assert "aiohttp._http_parser" in sys.modules


AIOHTTP = {
    "CVE-2026-34525": two_hosts,
    "CVE-2026-54273": many_pipelined,
    "CVE-2026-54277": a_fragmented_line,
    "CVE-2026-69244": the_c_parser,
}


@pytest.mark.parametrize("advisory", AIOHTTP)
async def test_aiohttp(gate: Witnessed, advisory: str) -> None:
    """R-002: the framework is new enough, parses in C, and behaves as the advisory's repair says."""
    assert tuple(int(part) for part in version("aiohttp").split(".")) >= (3, 14, 5)
    await the_c_parser(gate)
    await AIOHTTP[advisory](gate)


def ids_of(text: str) -> set[str]:
    """Every advisory that an entry names, also those of a range or behind a slash."""
    found = set(re.findall(r"GHSA(?:-[0-9a-z]{4}){3}|CVE-\d{4}-\d{4,6}|[a-z]+/[a-z]+#\d+", text))
    for year, first, last in re.findall(r"CVE-(\d{4})-(\d+)\.\.(\d+)", text):
        found |= {f"CVE-{year}-{number}" for number in range(int(first), int(last) + 1)}
    return found | {f"CVE-{year}-{second}" for year, second in re.findall(r"CVE-(\d{4})-\d+/(\d+)", text)}


async def test_each_advisory_of_the_list_has_its_test() -> None:
    """None of the list is left out, and a new entry fails here until its test is written."""
    tables = {*PYJWT, *CLASSICS, *AIOHTTP}
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    entries = corpus("peer_advisories")["advisories"]
    assert len(entries) >= 25
    for product, name, *_ in entries:
        wanted = ids_of(f"{product} {name}")
        slugs = {advisory: re.sub(r"[^a-z0-9]+", "_", advisory.lower()) for advisory in wanted}
        missing = [one for one in wanted if one not in tables and slugs[one] not in tests]
        assert wanted, name
        assert missing == [], product
