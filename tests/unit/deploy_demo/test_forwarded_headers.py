import re

from multidict import CIMultiDict, CIMultiDictProxy

from deploy.demo.forwarded_headers import Passage, end_to_end, headers_for_sidecar, new_ray
from deploy.demo.people import ADA, Person
from deploy.demo.sessions import Admission


def sent_on(
    *received: tuple[str, str], person: Person | None = ADA, renewed: bool = False
) -> CIMultiDict[str]:
    """What the sidecar gets when a client sends these headers."""
    admission = Admission("the.new.token" if renewed else "the.token", person, 0, renewed)
    passage = Passage(admission, "the.token", "127.0.0.1", "http", "0123456789abcdef-DEV")
    return headers_for_sidecar(CIMultiDictProxy(CIMultiDict(received)), passage)


def test_the_edge_adds_what_cloudflare_adds() -> None:
    """A request without any header arrives with the edge's eight, and no other."""
    assert dict(sent_on()) == {
        "Cf-Access-Jwt-Assertion": "the.token",
        "Cf-Access-Authenticated-User-Email": "ada@example.com",
        "Cf-Ray": "0123456789abcdef-DEV",
        "CF-Connecting-IP": "127.0.0.1",
        "CF-IPCountry": "US",
        "CF-Visitor": '{"scheme":"http"}',
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
    }


def test_a_service_token_has_no_email_header() -> None:
    """Without a person there is no authenticated email."""
    assert "Cf-Access-Authenticated-User-Email" not in sent_on(person=None)


def test_what_a_client_says_in_the_edges_name_is_replaced() -> None:
    """Each header of the edge arrives once, with the edge's value, however often it was sent (R-171)."""
    lies = [
        ("cf-access-jwt-assertion", "lie"),
        ("CF-ACCESS-JWT-ASSERTION", "lie"),
        ("Cf-Access-Authenticated-User-Email", "lie"),
        ("cf-ray", "lie"),
        ("CF-Connecting-IP", "lie"),
        ("CF-IPCountry", "lie"),
        ("CF-Visitor", "lie"),
        ("X-Forwarded-For", "lie"),
        ("X-Forwarded-Proto", "lie"),
        ("X-Forwarded-Host", "lie"),
        ("x-forwarded-user", "lie"),
    ]
    arrived = sent_on(*lies)

    assert "lie" not in arrived.values()
    assert sorted(arrived) == sorted(sent_on())


def test_aliases_and_service_credentials_reach_the_sidecar() -> None:
    """The edge is no shield for the sidecar: what Cloudflare is not known to strip goes through (R-172)."""
    odd = [
        ("Cf_Access_Jwt_Assertion", "alias"),
        ("X-Internal-Identity", "forged"),
        ("CF-Access-Client-Id", "id"),
        ("Forwarded", "for=1.2.3.4"),
    ]
    arrived = sent_on(*odd)

    assert [arrived.getall(name) for name, _ in odd] == [[value] for _, value in odd]


def test_host_cookies_and_duplicates_are_kept() -> None:
    """The host, the cookie with the token in it and each duplicate arrive as sent, in order (R-161)."""
    arrived = sent_on(
        ("Host", "localhost:8000"), ("Cookie", "CF_Authorization=the.token"), ("A", "1"), ("a", "2")
    )

    assert list(arrived.items())[:4] == [
        ("Host", "localhost:8000"),
        ("Cookie", "CF_Authorization=the.token"),
        ("A", "1"),
        ("a", "2"),
    ]


def test_a_renewed_token_replaces_the_old_one_in_the_cookie() -> None:
    """After a silent renewal the cookie and the header hold the same token (R-166)."""
    arrived = sent_on(("Cookie", "a=b; CF_Authorization=the.token; c=d"), renewed=True)

    assert arrived.getall("Cookie") == ["a=b; CF_Authorization=the.new.token; c=d"]
    assert arrived["Cf-Access-Jwt-Assertion"] == "the.new.token"


def test_headers_of_one_connection_end_here() -> None:
    """Hop-by-hop headers, and those that `Connection` names in any of its lines, are not passed on."""
    headers = CIMultiDict([
        ("Connection", "keep-alive, X-Private"),
        ("connection", "x-other"),
        ("Keep-Alive", "5"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("X-Private", "1"),
        ("X-Other", "2"),
        ("X-Public", "3"),
    ])  # fmt: skip

    assert list(end_to_end(CIMultiDictProxy(headers)).items()) == [("X-Public", "3")]


def test_connection_cannot_name_the_assertion_away() -> None:
    """`Connection: Cf-Access-Jwt-Assertion` removes the client's header and never the edge's."""
    assert sent_on(("Connection", "Cf-Access-Jwt-Assertion"))["Cf-Access-Jwt-Assertion"] == "the.token"


def test_each_ray_is_its_own() -> None:
    """A Ray ID has Cloudflare's form and is never the same twice."""
    rays = {new_ray() for _ in range(100)}

    assert len(rays) == 100
    assert all(re.fullmatch("[0-9a-f]{16}-DEV", ray) for ray in rays)
