"""Each refusal through the running sidecar over a raw socket: status, body, code, and nothing upstream."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from auth_proxy.refusals import ANSWERS, Reason
from service_kit.identity.model import Role
from tests.fixtures.sidecar import DEACTIVATED, HOST, ORIGIN, STRANGER, SidecarUnderTest, person

PAST = 1_700_000_000
Token = Callable[[SidecarUnderTest], str | None]


@dataclass(frozen=True)
class Case:
    """A hostile or mistaken request, and the refusal it must get."""

    name: str
    reason: Reason
    error: str
    token: Token = lambda sidecar: sidecar.token()
    method: str = "GET"
    target: str = "/api/admin/tenants"
    host: str = HOST
    headers: tuple[tuple[str, str], ...] = ()


def of(role: Role) -> Token:
    return lambda sidecar: sidecar.token(person(role))


CASES = (
    Case("no token R-042", Reason.TOKEN_MISSING, "Access token required", token=lambda _: None),
    Case(
        "an e-mail header without a token R-170",
        Reason.TOKEN_MISSING,
        "Access token required",
        token=lambda _: None,
        headers=(("Cf-Access-Authenticated-User-Email", "super_admin@example.com"),),
    ),
    Case(
        "no token is a static file either R-160",
        Reason.TOKEN_MISSING,
        "Access token required",
        token=lambda _: None,
        target="/static/panel/panel.css",
    ),
    Case("garbage R-046", Reason.TOKEN_MALFORMED, "Invalid Access token", token=lambda _: "garbage"),
    Case(
        "wrong audience R-014",
        Reason.TOKEN_AUDIENCE,
        "Invalid Access token",
        token=lambda sidecar: sidecar.token(audience="b" * 64),
    ),
    Case(
        "another team R-043",
        Reason.TOKEN_ISSUER,
        "Invalid Access token",
        token=lambda sidecar: sidecar.issuer.mint(
            person(Role.SUPER_ADMIN), audience="a" * 64, iss=sidecar.issuer.team_domain + "/"
        ),
    ),
    Case(
        "expired C-07",
        Reason.TOKEN_EXPIRED,
        "Invalid Access token",
        token=lambda sidecar: sidecar.issuer.mint(
            person(Role.SUPER_ADMIN),
            audience="a" * 64,
            iat=1_700_000_000,
            nbf=1_700_000_000,
            exp=1_700_003_600,
        ),
    ),
    Case(
        "service token R-038",
        Reason.SERVICE_TOKEN,
        "Identity token required",
        token=lambda sidecar: sidecar.issuer.mint_service_token(audience="a" * 64),
    ),
    Case(
        "service token with an e-mail added R-038",
        Reason.SERVICE_TOKEN,
        "Identity token required",
        token=lambda sidecar: sidecar.issuer.mint_service_token(
            audience="a" * 64, email="super_admin@example.com", sub=person(Role.SUPER_ADMIN).sub
        ),
    ),
    Case(
        "unknown type R-038",
        Reason.TOKEN_TYPE,
        "Identity token required",
        token=lambda sidecar: sidecar.issuer.mint(person(Role.SUPER_ADMIN), audience="a" * 64, type="meta"),
    ),
    Case(
        "empty sub R-038",
        Reason.SUB_MISSING,
        "Identity token required",
        token=lambda sidecar: sidecar.issuer.mint(person(Role.SUPER_ADMIN), audience="a" * 64, sub=""),
    ),
    Case(
        "no e-mail R-038",
        Reason.EMAIL_MISSING,
        "Identity token required",
        token=lambda sidecar: sidecar.issuer.mint(
            person(Role.SUPER_ADMIN), audience="a" * 64, without=("email",)
        ),
    ),
    Case(
        "contradicting e-mail header R-171",
        Reason.EMAIL_HEADER_CONTRADICTS,
        "Spoofed identity header",
        headers=(("Cf-Access-Authenticated-User-Email", "somebody@example.com"),),
    ),
    Case(
        "internal identity from a client R-172",
        Reason.IDENTITY_HEADER_SPOOFED,
        "Spoofed identity header",
        headers=(("X_Internal.Identity", "anything"),),
    ),
    Case(
        "a person without a row R-063",
        Reason.ENROLLMENT_REQUIRED,
        "Not authorized",
        token=lambda sidecar: sidecar.token(STRANGER),
    ),
    Case(
        "a known address with another subject R-060",
        Reason.SUBJECT_CHANGED,
        "Not authorized",
        token=lambda sidecar: sidecar.issuer.mint(person(Role.SUPER_ADMIN), audience="a" * 64, sub="another"),
    ),
    Case(
        "a wrong enrollment token R-061",
        Reason.ENROLLMENT_FAILED,
        "Not authorized",
        token=lambda sidecar: sidecar.token(STRANGER),
        headers=(("x-admin-enrollment-token", "enr_wrong"),),
    ),
    Case(
        "deactivated R-064",
        Reason.OPERATOR_DEACTIVATED,
        "Account deactivated",
        token=lambda sidecar: sidecar.token(DEACTIVATED),
    ),
    Case(
        "deactivated on a page for persons R-064",
        Reason.OPERATOR_DEACTIVATED,
        "Account deactivated",
        token=lambda sidecar: sidecar.token(DEACTIVATED),
        target="/enrollment",
    ),
    Case(
        "read_only on a mutation R-074",
        Reason.PERMISSION_DENIED,
        "Permission denied",
        token=of(Role.READ_ONLY),
        method="POST",
        headers=(("Origin", ORIGIN),),
    ),
    Case(
        "security on a tenant view R-075",
        Reason.PERMISSION_DENIED,
        "Permission denied",
        token=of(Role.SECURITY),
    ),
    Case("mutation without Origin R-097", Reason.ORIGIN_REJECTED, "Origin rejected", method="POST"),
    Case(
        "mutation with Origin null R-097",
        Reason.ORIGIN_REJECTED,
        "Origin rejected",
        method="POST",
        headers=(("Origin", "null"),),
    ),
    Case(
        "mutation from elsewhere R-097",
        Reason.ORIGIN_REJECTED,
        "Origin rejected",
        method="DELETE",
        target="/api/admin/tenants/x",
        headers=(("Origin", f"{ORIGIN}.evil.example"),),
    ),
    Case(
        "mutation that the browser calls cross-site",
        Reason.ORIGIN_REJECTED,
        "Origin rejected",
        method="POST",
        headers=(("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")),
    ),
    Case(
        "websocket upgrade",
        Reason.UPGRADE_NOT_ALLOWED,
        "Bad request",
        headers=(("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket"), ("Origin", ORIGIN)),
    ),
    Case(
        "websocket upgrade from another site R-097",
        Reason.ORIGIN_REJECTED,
        "Origin rejected",
        headers=(("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Origin", "https://evil.example")),
    ),
    Case(
        "websocket upgrade without an Origin R-097",
        Reason.ORIGIN_REJECTED,
        "Origin rejected",
        headers=(("Connection", "Upgrade"), ("Upgrade", "websocket")),
    ),
    Case(
        "a method that the path has not",
        Reason.METHOD_NOT_ALLOWED,
        "Method not allowed",
        method="PUT",
        headers=(("Origin", ORIGIN),),
    ),
    Case("TRACE", Reason.METHOD_UNSUPPORTED, "Method not allowed", method="TRACE"),
    Case("foreign host R-040", Reason.HOST_UNKNOWN, "Not Found", host="evil.example"),
    Case("dot segments R-011", Reason.PATH_AMBIGUOUS, "Bad request", target="/manage/../manage"),
    Case("encoded slash R-011", Reason.PATH_AMBIGUOUS, "Bad request", target="/manage%2Faudit"),
    Case("empty segment R-011", Reason.PATH_AMBIGUOUS, "Bad request", target="//manage"),
    Case(
        "two tokens",
        Reason.CREDENTIAL_DUPLICATED,
        "Bad request",
        headers=(("cf-access-jwt-assertion", "eyJ.second.copy"),),
    ),
    Case(
        "a token under an alias",
        Reason.CREDENTIAL_DUPLICATED,
        "Bad request",
        token=lambda _: None,
        headers=(("Cf_Access_Jwt_Assertion", "x"),),
    ),
    Case(
        "two readings of the length",
        Reason.FRAMING_AMBIGUOUS,
        "Bad request",
        headers=(("Transfer_Encoding", "chunked"), ("Content-Length", "0")),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_each_refusal_has_its_status_body_code_and_reaches_nobody(
    sidecar: SidecarUnderTest, case: Case
) -> None:
    """R-003, R-046: a refused request gets the named answer, is counted, and no byte goes upstream."""
    answer = ANSWERS[case.reason]
    got = await sidecar.get(
        case.target, method=case.method, token=case.token(sidecar), headers=case.headers, host=case.host
    )

    assert got.status == answer.status
    if answer.plain:
        assert got.body == answer.error.encode() == case.error.encode()
    else:
        document = json.loads(got.body)
        assert (document["error"], document["code"]) == (case.error, answer.code)
        assert got.header("content-type").startswith("application/problem+json")
    assert sidecar.refusals(case.reason.value) == 1
    assert sidecar.nothing_arrived


async def test_a_granted_request_arrives_with_exactly_our_identity(sidecar: SidecarUnderTest) -> None:
    """R-005: what is forwarded carries one identity header, ours, and no credential of the client."""
    got = await sidecar.get(
        "/api/admin/tenants?limit=5",
        headers=(
            ("Cf-Access-Authenticated-User-Email", " Super_Admin@Example.com"),
            ("Cookie", "CF_Authorization=secret; theme=dark; CF_AppSession=x"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-WEBAUTH-USER", "root"),
            ("CF-Access-Client-Secret", "cfast_secret"),
            ("Accept-Language", "de"),
        ),
    )

    assert (got.status, got.body) == (200, b"upstream")
    (request,) = sidecar.upstream.received
    assert request.line == "GET /api/admin/tenants?limit=5 HTTP/1.1"
    assert request.one("X-Internal-Identity").count(".") == 2
    assert request.one("Host") == HOST
    assert request.one("Cookie") == "theme=dark"
    assert request.one("X-Forwarded-For") == "127.0.0.1"
    assert request.one("X-Request-Id").startswith("req_")
    assert request.one("Accept-Language") == "de"
    names = {name.lower() for name, _ in request.headers}
    assert not [name for name in names if name.startswith("cf-") or name == "x-webauth-user"]
    assert got.header("X-Request-Id") == request.one("X-Request-Id")


async def test_the_email_header_is_dropped_when_it_agrees(sidecar: SidecarUnderTest) -> None:
    """R-171: Cloudflare sends the header on good requests, so an equal one is no offence."""
    got = await sidecar.get(
        "/api/admin/tenants",
        headers=(("Cf-Access-Authenticated-User-Email", "super_admin@example.com"),),
    )

    assert got.status == 200
    assert sidecar.upstream.received[0].all("Cf-Access-Authenticated-User-Email") == []


@pytest.mark.parametrize("header", ["Connection: X-Internal-Identity", "Connection: Host, Content-Length"])
async def test_connection_removes_neither_our_header_nor_the_framing(
    sidecar: SidecarUnderTest, header: str
) -> None:
    """A client's Connection header cannot take away what the sidecar adds or what frames the request."""
    request = (
        f"POST /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\n{header}\r\nOrigin: {ORIGIN}\r\n"
        f"Cf-Access-Jwt-Assertion: {sidecar.token()}\r\nContent-Length: 4\r\n\r\nbody"
    )
    got = await sidecar.send(request.encode())

    assert got.status == 200
    (received,) = sidecar.upstream.received
    assert received.one("X-Internal-Identity")
    assert (received.one("Host"), received.body) == (HOST, b"body")


async def test_a_refused_navigation_is_a_page_and_the_stranger_is_sent_to_enroll(
    sidecar: SidecarUnderTest,
) -> None:
    """R-066: a person's browser gets a page or the way to enroll; a program never gets a redirect."""
    navigation = (("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html"))
    page = await sidecar.get("/manage", token=None, headers=navigation)
    enroll = await sidecar.get("/manage", token=sidecar.token(STRANGER), headers=navigation)
    program = await sidecar.get(
        "/manage",
        token=sidecar.token(STRANGER),
        headers=(("Sec-Fetch-Mode", "cors"), ("Accept", "text/html")),
    )

    assert page.status == 403
    assert b"Access token required" in page.body
    assert b"/cdn-cgi/access/logout" in page.body
    assert (enroll.status, enroll.header("Location")) == (303, "/enrollment")
    assert (program.status, json.loads(program.body)["code"]) == (403, "ENROLLMENT_REQUIRED")
    assert sidecar.nothing_arrived


async def test_an_enrollment_token_claims_the_row_and_the_request_goes_on(sidecar: SidecarUnderTest) -> None:
    """R-061, R-066: the header enrolls, is consumed, and the same request is answered."""
    sidecar.admin.tokens["enr_right"] = {
        "id": "adm_new",
        "email": STRANGER.email,
        "name": "New",
        "role": "support",
        "active": True,
    }
    header = (("x-admin-enrollment-token", "enr_right"),)
    first = await sidecar.get("/api/admin/tenants", token=sidecar.token(STRANGER), headers=header)
    second = await sidecar.get("/api/admin/tenants", token=sidecar.token(STRANGER))

    assert (first.status, second.status) == (200, 200)
    assert sidecar.upstream.received[0].all("x-admin-enrollment-token") == []


async def test_bytes_that_are_no_request_are_refused_by_name_and_not_echoed(
    sidecar: SidecarUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    """The parser's own error text quotes the line, which may hold a token: neither client nor log gets it."""
    secret = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2VjcmV0"
    request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nCf-Access-Jwt-Assertion: {secret}\x01\r\n\r\n"
    got = await sidecar.send(request.encode())

    assert got.status == 400
    assert json.loads(got.body)["code"] == "BAD_REQUEST_SHAPE"
    said = "".join(capfd.readouterr())
    assert "request_malformed" in said  # the refusal was logged, and this is where its line is
    assert "c2VjcmV0" not in got.raw.decode() + said
    assert sidecar.nothing_arrived


async def test_a_refused_upload_is_not_swallowed(sidecar: SidecarUnderTest) -> None:
    """A refused body is read for 64 KiB at most, then the connection ends."""
    head = f"POST /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 50000000\r\n\r\n"
    got = await sidecar.send(head.encode() + b"x" * 200_000)

    assert got.status == 403
    assert got.header("Connection") == "close"
    assert sidecar.nothing_arrived


async def test_expect_continue_is_answered_only_after_the_decision(sidecar: SidecarUnderTest) -> None:
    """A client that waits for 100 Continue sends no body that would be refused."""
    head = (
        f"POST /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
    )
    refused = await sidecar.send((head + "\r\n").encode())
    granted = await sidecar.send(
        f"{head}Origin: {ORIGIN}\r\nCf-Access-Jwt-Assertion: {sidecar.token()}\r\n\r\nbody".encode()
    )

    assert refused.status == 403
    assert granted.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_every_reason_is_explained() -> None:
    """The table of refusals is closed: each reason has an answer, a why and a fix (R-046)."""
    assert set(ANSWERS) == set(Reason)
    for answer in ANSWERS.values():
        assert answer.why.endswith((".", ")."))
        assert answer.fix.endswith(".")
