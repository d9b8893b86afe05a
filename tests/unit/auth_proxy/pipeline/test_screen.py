"""Step 2: credentials are taken out, spoofs refused, and nothing of an identity goes on."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_proxy.header_names import letters
from auth_proxy.pipeline.admit import admit
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.refusals import Reason, Refusal
from tests.unit.auth_proxy.pipeline.hostile import (
    HOST,
    hop_by_hop_lines,
    override_lines,
    spelled,
    spoof_copies,
    spoof_names,
)
from tests.unit.auth_proxy.pipeline.values import POLICY, Header, inbound, raw, screened

R = Reason
COOKIES = ScreenPolicy(allow_cookie=True)
# What no upstream may see from a client, by its letters.
NEVER = (
    "xinternal",
    "cfaccess",
    "xauthrequest",
    "remote",
    "xremote",
    "xwebauth",
    "xforwarded",
    "xadminenroll",
)
MEANS_NOTHING_HERE = {
    "Referer",
    "User-Agent",
    "X-Accel-Redirect",
    "X-Sendfile",
}
"""Headers of the corpus that go on: no server that we know takes them for an address or a method."""


def refused(*headers: Header) -> Reason:
    with pytest.raises(Refusal) as caught:
        screened("/", *headers)
    return caught.value.reason


def names(*headers: Header) -> list[str]:
    return [name for name, _ in screened("/", *headers).forwardable]


@pytest.mark.parametrize("copies", spoof_copies())
@pytest.mark.parametrize("name", spoof_names(), ids=spelled)
def test_no_spelling_of_an_identity_header_goes_on(name: bytes, copies: int) -> None:
    """R-172: each name of the corpus in 1, 2, 3 and 100 copies is refused or does not go on."""
    copied = [(name if index % 2 else name.swapcase(), b"evil") for index in range(copies)]
    try:
        forwarded = screen(admit(raw("/", *copied), POLICY), ScreenPolicy()).forwardable
    except Refusal:
        return

    kept = [letters(header) for header, value in forwarded if value == "evil"]
    assert kept in ([], ["authorization"])


@pytest.mark.parametrize(
    "name",
    [
        "X-Internal-Identity",
        "x-internal-identity",
        "X_Internal_Identity",
        "X.Internal.Identity",
        "X--Internal-Identity",
        "XInternalIdentity",
        "HTTP_X_INTERNAL_IDENTITY",
        "X-Internal-Delegation",
        "X-Internal-Anything",
        "X-Internal",
    ],
)
def test_an_internal_header_from_a_client_is_an_attack(name: str) -> None:
    """R-172: refused with 403, also when its value is empty or Connection names it."""
    for headers in (((name, "x"),), ((name, ""),), (("Connection", name), (name, "x"))):
        assert refused(*headers) is R.IDENTITY_HEADER_SPOOFED


@pytest.mark.parametrize(
    "name",
    [
        "X-Auth-Request-User",
        "X-Forwarded-Email",
        "x_forwarded_user",
        "Remote-User",
        "REMOTE_USER",
        "X-WEBAUTH-ROLE",
    ],
)
def test_another_systems_identity_header_is_dropped_and_counted(name: str) -> None:
    """R-172: a frontend behind us may believe it, so it never goes on."""
    found = screened("/", (name, "root"), (name.lower(), "root"), ("Accept", "x"))

    assert [header for header, _ in found.forwardable] == ["Host", "Accept"]
    assert found.dropped == 2


def test_a_header_that_a_route_sets_is_never_the_clients() -> None:
    """The names a route fills for its upstream are stripped in every spelling."""
    policy = ScreenPolicy(reserved=frozenset({"xgrafanauser"}))
    found = screen(inbound("/", ("X-Grafana_User", "root"), ("X-Grafana", "1")), policy)

    assert [name for name, _ in found.forwardable] == ["Host", "X-Grafana"]
    assert found.dropped == 1


@pytest.mark.parametrize(
    "headers, reason",
    [
        ((("Cf-Access-Jwt-Assertion", "a"), ("Cf-Access-Jwt-Assertion", "a")), R.CREDENTIAL_DUPLICATED),
        ((("Cf-Access-Jwt-Assertion", ""), ("cf-access-jwt-assertion", "a")), R.CREDENTIAL_DUPLICATED),
        ((("Cf_Access_Jwt_Assertion", "a"),), R.CREDENTIAL_DUPLICATED),
        ((("HTTP_CF_ACCESS_JWT_ASSERTION", "a"),), R.CREDENTIAL_DUPLICATED),
        ((("x-admin-enrollment-token", "a"), ("X-Admin-Enrollment-Token", "b")), R.CREDENTIAL_DUPLICATED),
        ((("x_admin_enrollment_token", "a"),), R.CREDENTIAL_DUPLICATED),
        ((("Cf-Access-Authenticated-User-Email", "a@b"),) * 2, R.IDENTITY_HEADER_SPOOFED),
        ((("Cf_Access_Authenticated_User_Email", "a@b"),), R.IDENTITY_HEADER_SPOOFED),
        ((("Origin", "a"), ("origin", "a")), R.CREDENTIAL_DUPLICATED),
        ((("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")), R.CREDENTIAL_DUPLICATED),
        ((("Content-Type", "a"), ("Content-Type", "b")), R.CREDENTIAL_DUPLICATED),
        ((("Authorization", "a"), ("Authorization", "b")), R.CREDENTIAL_DUPLICATED),
    ],
    ids=spelled,
)
def test_of_two_credentials_none_is_chosen(headers: tuple[Header, ...], reason: Reason) -> None:
    """A duplicate, or the name in an alias spelling, is refused and never merged."""
    assert refused(*headers) is reason


@pytest.mark.parametrize(
    "headers",
    [
        (("Cookie", "CF_Authorization=a; cf_authorization=b"),),
        (("Cookie", "CF_Authorization="), ("Cookie", "CF_Authorization=a")),
    ],
    ids=spelled,
)
def test_two_access_cookies_are_ambiguous_only_where_cookies_count(headers: tuple[Header, ...]) -> None:
    """C-05: where the cookie is a credential, two are refused; elsewhere both are simply dropped."""
    ignored = screened("/", *headers)
    with pytest.raises(Refusal) as caught:
        screen(inbound("/", *headers), COOKIES)

    assert caught.value.reason is R.CREDENTIAL_DUPLICATED
    assert (ignored.token, dict(ignored.forwardable).get("Cookie")) == (None, None)


def test_the_credentials_are_taken_out() -> None:
    """R-012, R-061: token and enrollment token come out; no credential of Access goes on."""
    found = screened(
        "/",
        ("CF-Access-Jwt-Assertion", "token"),
        ("Cf-Access-Authenticated-User-Email", "ada@example.com"),
        ("x-admin-enrollment-token", "enr_x"),
        ("CF-Access-Client-Id", "id"),
        ("CF-Access-Client-Secret", "secret"),
        ("Cf-Access-Token", "token"),
        ("Cf-Access-Something-New", "x"),
        ("Proxy-Authorization", "Basic x"),
        ("Authorization", "Bearer of-the-frontend"),
    )

    assert (found.token, found.claimed_email, found.enrollment_token) == ("token", "ada@example.com", "enr_x")
    assert [name for name, _ in found.forwardable] == ["Host", "Authorization"]


@pytest.mark.parametrize(
    "cookie, kept",
    [
        ("CF_Authorization=t; theme=dark", "theme=dark"),
        ("theme=dark;CF_AppSession=x ;  CF_Binding=y", "theme=dark"),
        ("cf_authorization = t ;a=1;b=2", "a=1; b=2"),
        ("xCF_Authorization=t", "xCF_Authorization=t"),
        ("a=CF_Authorization=t", "a=CF_Authorization=t"),
        ("CF_Authorization=t", None),
        ("CF_Authorization", None),
        ("__Host-tenant_session=t; theme=dark", "theme=dark"),
        ("; ;", None),
    ],
)
def test_the_cookies_of_access_and_of_tenants_stay_here(cookie: str, kept: str | None) -> None:
    """C-05, R-037: an upstream could replay Access's, and a tenant's is not read here; others go on."""
    found = screened("/", ("Cookie", cookie))

    assert [value for name, value in found.forwardable if name == "Cookie"] == ([kept] if kept else [])
    assert found.token is None


@pytest.mark.parametrize(
    "headers, token",
    [
        ((("Cookie", "a=1; CF_Authorization= cookie "),), "cookie"),
        ((("Cookie", "CF_Authorization=cookie"), ("Cf-Access-Jwt-Assertion", "header")), "header"),
        ((("Cookie", "CF_Authorization=a=b=="),), "a=b=="),
        ((("Cookie", "a=1"),), None),
        ((("Connection", "Cookie"), ("Cookie", "CF_Authorization=cookie")), "cookie"),
    ],
)
def test_the_cookie_counts_only_where_configuration_says_so(
    headers: tuple[Header, ...], token: str | None
) -> None:
    """C-05: opt-in, and the header decides when both are there."""
    assert screen(inbound("/", *headers), COOKIES).token == token


def test_connection_takes_away_its_own_names_and_nothing_that_matters() -> None:
    """A client may name headers for this hop only, except those that frame or judge the request."""
    listed = (
        "Accept, Host, Content-Type, Cookie, Origin, Authorization, Sec-Fetch-Site, Cf-Access-Jwt-Assertion"
    )
    headers = [(name.strip(), "x=1") for name in listed.split(",") if name not in {"Accept", " Host"}]
    found = screened("/", ("Connection", listed), ("Accept", "x"), *headers)

    assert [name for name, _ in found.forwardable] == [
        "Host",
        "Content-Type",
        "Cookie",
        "Origin",
        "Authorization",
        "Sec-Fetch-Site",
    ]
    assert (found.token, found.origin, found.fetch_site) == ("x=1", "x=1", "x=1")


@pytest.mark.parametrize("name", ["Connection", "Proxy-Connection", "proxy_connection"])
@pytest.mark.parametrize("listed", ["Accept,X-One", "close,Accept , X-One", " , accept,\tx_one,"])
def test_a_list_of_names_needs_no_spaces(name: str, listed: str) -> None:
    """RFC 9110 5.6.1: a comma alone separates, and old proxies say Proxy-Connection."""
    found = names((name, listed), ("Accept", "x"), ("X-One", "1"), ("X-Two", "2"))

    assert found == ["Host", "X-Two"]


@pytest.mark.parametrize("lines", hop_by_hop_lines(), ids=spelled)
def test_hop_by_hop_lines_end_here(lines: str) -> None:
    """Each line of the corpus: not forwarded, and the token is still found."""
    headers: list[Header] = []
    for line in lines.split("\r\n"):
        name, _, value = line.partition(":")
        headers.append((name, value))
    found = screened("/", ("Cf-Access-Jwt-Assertion", "token"), ("Accept", "x"), *headers)

    assert [name for name, _ in found.forwardable] == ["Host", "Accept"]
    assert found.token == "token"


@pytest.mark.parametrize("line", override_lines())
def test_no_header_changes_method_address_or_path(line: str) -> None:
    """What claims another method, client or URL does not go on, and moves nothing of the decision."""
    name, _, value = line.partition(": ")
    found = screened("/manage", (name, value))

    assert (found.inbound.method, found.inbound.path) == ("GET", "/manage")
    assert (name in dict(found.forwardable)) == (name in MEANS_NOTHING_HERE)


@pytest.mark.parametrize(
    "headers, upgrade",
    [
        ((("Connection", "Upgrade"), ("Upgrade", "WebSocket")), "websocket"),
        ((("Connection", "keep-alive"), ("Connection", "close, UPGRADE"), ("Upgrade", "h2c")), "h2c"),
        ((("Connection", "keep-alive,upgrade"), ("Upgrade", "h2c")), "h2c"),
        ((("Connection", "upgrade"), ("Upgrade", "")), ""),
        ((("Connection", "upgrade"), ("Upgrade", ""), ("Upgrade", "websocket")), ""),
        ((("Connection", "upgrade"),), None),
        ((("Upgrade", "websocket"),), None),
        ((), None),
    ],
    ids=spelled,
)
def test_an_upgrade_is_seen_wherever_the_parser_sees_one(
    headers: tuple[Header, ...], upgrade: str | None
) -> None:
    """The parser stops reading a body for any Upgrade that Connection names, also for an empty one."""
    assert screened("/", *headers).upgrade == upgrade


@pytest.mark.parametrize(
    "trusted, said",
    [("127.0.0.0/8", ("203.0.113.9", "http")), ("10.0.0.0/8", ("127.0.0.1", "wss"))],
    ids=["our proxy", "anybody"],
)
def test_who_the_client_is_comes_from_the_peer_or_from_our_proxy(trusted: str, said: tuple[str, str]) -> None:
    """Address, scheme and host of the client: from a peer that is no proxy of ours nothing is believed."""
    policy = ScreenPolicy(scheme="wss", trusted=(IPv4Network(trusted),))
    claimed = (("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "x"))
    found = screen(inbound("/", *claimed), policy)

    address, scheme = said
    assert found.forwarding == (
        ("X-Forwarded-For", address),
        ("X-Forwarded-Proto", scheme),
        ("X-Forwarded-Host", HOST),
    )


HEADERS = st.lists(
    st.tuples(
        st.one_of(
            st.text(st.sampled_from("xXiInNtTeErRaAlLdDyYcCfFsS-_.~"), min_size=1, max_size=24),
            st.sampled_from(
                ["Connection", "Cookie", "X-Internal-Identity", "Cf-Access-Jwt-Assertion", "Remote-User"]
            ),
        ),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(HEADERS)
def test_whatever_is_sent_no_identity_or_credential_goes_on(headers: list[Header]) -> None:
    """R-172: any names in any number, refused by name or without a trace of ours in what goes on."""
    try:
        found = screen(admit(raw("/", *headers), POLICY), COOKIES)
    except Refusal:
        return

    folded = [letters(name) for name, _ in found.forwardable]
    assert not [name for name in folded if name.startswith(NEVER)]
    assert "connection" not in folded
    assert folded.count("host") == 1
    assert "cf_authorization=" not in str(found.forwardable).lower().replace(" ", "")
