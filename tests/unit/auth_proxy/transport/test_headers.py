"""What an upstream is told of the client, and what the client gets of the upstream's headers."""

import ipaddress

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from auth_proxy.forwarding import forwarding_headers
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.transport.headers import client_headers, upstream_headers
from auth_proxy.transport.request_head import request_head
from tests.unit.auth_proxy.pipeline.values import grant

OURS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
HOST = "admin.example.com"


def forwarded(peer: str, *headers: tuple[str, str]) -> tuple[str, str]:
    found = dict(forwarding_headers(headers, peer, HOST, scheme="https", trusted=OURS))
    assert found["X-Forwarded-Host"] == HOST
    return found["X-Forwarded-For"], found["X-Forwarded-Proto"]


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1", "11.0.0.1", "::1", "", "unix"])
def test_a_strangers_word_about_itself_counts_for_nothing(peer: str) -> None:
    """Only the peer's own address is told, whatever it sends."""
    lies = (("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "http"), ("CF-Connecting-IP", "6.6.6.6"))

    assert forwarded(peer, *lies) == (peer, "https")


@pytest.mark.parametrize(
    "headers, client",
    [
        ((), "10.0.0.1"),
        ((("CF-Connecting-IP", "6.6.6.6"),), "6.6.6.6"),
        ((("CF-Connecting-IP", "<script>"), ("X-Forwarded-For", "7.7.7.7")), "7.7.7.7"),
        ((("X-Forwarded-For", "6.6.6.6, 7.7.7.7"),), "7.7.7.7"),
        ((("X-Forwarded-For", "6.6.6.6, 7.7.7.7, 10.1.1.1, fd00::5"),), "7.7.7.7"),
        ((("X-Forwarded-For", "10.1.1.1"),), "10.0.0.1"),
        ((("X-Forwarded-For", "6.6.6.6, nonsense"),), "10.0.0.1"),
        ((("X-Forwarded-For", "6.6.6.6\tx"),), "10.0.0.1"),
        ((("x-forwarded-for", " 2001:DB8::1 "),), "2001:db8::1"),
    ],
)
def test_a_proxy_of_ours_may_say_who_asked(headers: tuple[tuple[str, str], ...], client: str) -> None:
    """The last address that none of ours added: everything left of it can be invented."""
    assert forwarded("10.0.0.1", *headers)[0] == client


@pytest.mark.parametrize(
    "sent, told", [("http", "http"), ("https", "https"), ("ftp", "https"), ("", "https")]
)
def test_the_scheme_is_one_of_two(sent: str, told: str) -> None:
    """Also from a trusted proxy."""
    assert forwarded("10.0.0.1", ("X-Forwarded-Proto", sent))[1] == told


def test_what_only_we_may_say_replaces_every_copy() -> None:
    """attacks.md section 1: `pop` and `add` of a multidict keep the attacker's first value; this does not."""
    lies = (("x-request-id", "evil"), ("X-Internal-Identity", "evil"), ("x-forwarded-for", "6.6.6.6"))
    honest = grant("/x")
    screened = honest.person.screened._replace(forwardable=lies)
    lied = honest._replace(person=honest.person._replace(screened=screened))
    signed = SignedGrant(lied, (("X-Internal-Identity", "ours"),))
    headers = upstream_headers(signed, "req_1")
    head = request_head(signed, "req_1")

    assert b"evil" not in head
    assert b"6.6.6.6" not in head
    assert head.count(b"\r\nX-Internal-Identity: ours\r\n") == 1

    assert headers.getall("X-Internal-Identity") == ["ours"]
    assert headers.getall("X-Request-Id") == ["req_1"]
    assert headers.getall("X-Forwarded-For") == ["127.0.0.1"]


def test_the_client_sees_no_hop_no_identity_and_no_server() -> None:
    """Two cookies stay two; what Connection names stays here."""
    upstream = CIMultiDict(
        [
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Connection", "close, X-Hop"),
            ("Connection", "X-Other"),
            ("X-Hop", "1"),
            ("x_other", "1"),
            ("Transfer-Encoding", "chunked"),
            ("X-Internal-Identity", "eyJ"),
            ("Cf-Access-Jwt-Assertion", "eyJ"),
            ("Server", "x"),
            ("Date", "x"),
            ("X-Powered-By", "x"),
            ("Set-Cookie", "CF_Authorization=evil; Path=/"),
            ("ETag", '"a"'),
        ]
    )
    headers = client_headers(CIMultiDictProxy(upstream), ("http://127.0.0.1:3000",))

    assert list(headers.items()) == [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Date", "x"),
        ("ETag", '"a"'),
        ("Server", "sallyport"),
    ]


@pytest.mark.parametrize(
    "location, told",
    [
        ("http://127.0.0.1:3000/login?next=/", "/login?next=/"),
        ("http://127.0.0.1:3000", "/"),
        ("http://127.0.0.1:30001/x", "http://127.0.0.1:30001/x"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("/x", "/x"),
        ("http://127.0.0.1:3000//evil.example/", "/.//evil.example/"),
        ("http://127.0.0.1:3000/\\evil.example/", "/./\\evil.example/"),
        ("http://127.0.0.1:3000/\t/evil.example/", "/.//evil.example/"),
        ("http://127.0.0.1:3000/\t\\evil.example/", "/./\\evil.example/"),
        ("http://127.0.0.1:3000/a//b", "/a//b"),
    ],
)
def test_a_redirect_to_the_upstream_itself_stays_on_this_host(location: str, told: str) -> None:
    """The inner address means nothing to a browser, and is nobody's business."""
    upstream = CIMultiDictProxy(CIMultiDict(Location=location))

    assert client_headers(upstream, ("http://127.0.0.1:3000",))["Location"] == told


@pytest.mark.parametrize(
    "value, passes",
    [
        ("CF_Authorization=x", False),
        ("cf_authorization =x", False),
        ("CF_Auth\udce9orization=x", False),
        ("\udca0CF_Authorization=x", False),
        ("\xa0CF_Authorization=x", False),
        ("__Host-tenant_session\udca0=x", False),
        ("__Host-tenant_session=x", False),
        ("=CF_Authorization=evil", False),
        ("= CF_AppSession=evil", False),
        ("CF_Binding", False),
        ("session=CF_Authorization=x", True),
        ("xCF_Authorization=x", True),
        ("caf\udce9=1", True),
    ],
)
def test_no_spelling_of_a_held_cookie_reaches_the_browser(value: str, passes: bool) -> None:
    """R-037: judged as it will be sent; aiohttp leaves out bytes that are no UTF-8."""
    upstream = CIMultiDictProxy(CIMultiDict([("Set-Cookie", value)]))
    headers = client_headers(upstream, ("http://127.0.0.1:3000",))

    assert ("Set-Cookie" in headers) is passes
