"""What a proxy asks about, out of its own words and nothing else."""

import pytest

from auth_proxy.forward_auth.dialects import CADDY, DIALECTS, ENVOY, NGINX, TRAEFIK, Dialect
from auth_proxy.forward_auth.question import original_request
from auth_proxy.pipeline.exchange import RawRequest
from auth_proxy.refusals import Reason, Refusal

NGINX_WORDS = (
    (b"X-Original-Method", b"POST"),
    (b"X-Original-URI", b"/a?x=1"),
    (b"X-Original-Host", b"admin.example.com"),
)
FORWARDED_WORDS = (
    (b"X-Forwarded-Method", b"POST"),
    (b"X-Forwarded-Uri", b"/a?x=1"),
    (b"X-Forwarded-Host", b"admin.example.com"),
)
WORDS = {"nginx": NGINX_WORDS, "traefik": FORWARDED_WORDS, "caddy": FORWARDED_WORDS}


def question(
    dialect: Dialect, *headers: tuple[bytes, bytes], method: str = "GET", target: str = ""
) -> RawRequest:
    if dialect is ENVOY:
        given = ((b"host", b"admin.example.com"), *headers)
        return RawRequest(method, target or "/authz/envoy/a?x=1", (1, 1), given, "127.0.0.1", "req_1")
    given = ((b"Host", b"sallyport"), *WORDS[dialect.name], *headers)
    return RawRequest(method, target or dialect.path, (1, 1), given, "127.0.0.1", "req_1")


def refused(asked: RawRequest, dialect: Dialect) -> Reason:
    with pytest.raises(Refusal) as caught:
        original_request(asked, dialect)
    return caught.value.reason


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: str(dialect.name))
def test_the_request_is_the_one_that_the_client_sent(dialect: Dialect) -> None:
    """R-003: method, target and host are the original ones; the rest of the head goes along."""
    asked = question(dialect, (b"Origin", b"https://admin.example.com"), method="POST")
    found = original_request(asked, dialect)

    assert (found.method, found.target, found.version) == ("POST", "/a?x=1", (1, 1))
    assert found.headers == ((b"Host", b"admin.example.com"), (b"Origin", b"https://admin.example.com"))
    assert (found.peer, found.request_id) == ("127.0.0.1", "req_1")


def test_what_frames_the_question_is_not_the_requests() -> None:
    """A length, a coding or a connection of the proxy's own says nothing of its client."""
    own = ((b"Connection", b"close"), (b"Content-Length", b"0"), (b"Keep-Alive", b"5"))

    assert original_request(question(ENVOY, *own), ENVOY).headers == ((b"Host", b"admin.example.com"),)


@pytest.mark.parametrize("dialect", [NGINX, TRAEFIK, CADDY], ids=lambda dialect: str(dialect.name))
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_word_that_is_missing_is_refused(dialect: Dialect, index: int) -> None:
    """Mistake M-13 of others: nothing is guessed; a missing host is no host of ours."""
    given = question(dialect)
    words = WORDS[dialect.name]
    left = tuple(header for header in given.headers if header != words[index])
    asked = RawRequest(given.method, given.target, given.version, left, given.peer)

    if index == 2:
        assert original_request(asked, dialect).headers[0] == (b"Host", b"")
    else:
        assert refused(asked, dialect) is Reason.PROXY_WORDS_AMBIGUOUS


@pytest.mark.parametrize(
    "dialect, name",
    [
        (NGINX, b"X-Original-URI"),
        (NGINX, b"x-original-uri"),
        (NGINX, b"X_Original_URI"),
        (NGINX, b"X.Original.Method"),
        (NGINX, b"XOriginal-Host"),
        (NGINX, b"HTTP_X_ORIGINAL_HOST"),
        (NGINX, b"X_Original_Upgrade"),
        (TRAEFIK, b"X-Forwarded-Uri"),
        (TRAEFIK, b"X_Forwarded_Method"),
        (CADDY, b"X.Forwarded.Host"),
        (ENVOY, b"Host"),
    ],
)
def test_a_word_that_comes_twice_is_refused(dialect: Dialect, name: bytes) -> None:
    """CVE-2026-39858: the second one, in whatever spelling, would be the client's."""
    assert refused(question(dialect, (name, b"/b")), dialect) is Reason.PROXY_WORDS_AMBIGUOUS


@pytest.mark.parametrize(
    "target",
    [b"http://admin.example.com/a", b"*", b"a", b"?x", b"admin.example.com:443", b"\xff"],
)
def test_a_target_without_a_path_is_refused(target: bytes) -> None:
    """What a proxy forwards begins with a slash: an absolute form would be another spelling."""
    given = question(NGINX)
    words = (NGINX_WORDS[0], (b"X-Original-URI", target), NGINX_WORDS[2])

    assert (
        refused(RawRequest("GET", given.target, (1, 1), words, given.peer), NGINX)
        is Reason.TARGET_NOT_CANONICAL
    )


@pytest.mark.parametrize("target", ["/authz/envoy", "/authz/envoy?x=1"])
def test_a_question_without_a_path_behind_the_prefix_is_refused(target: str) -> None:
    """Envoy's path is our prefix and the path of the request; an empty one is none."""
    assert refused(question(ENVOY, target=target), ENVOY) is Reason.TARGET_NOT_CANONICAL


@pytest.mark.parametrize(
    "headers",
    [
        ((b"X-Original-Upgrade", b"websocket"),),
        ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")),
        ((b"X-Original-Upgrade", b"WebSocket"), (b"upgrade", b"websocket"), (b"Connection", b"Upgrade")),
    ],
)
def test_an_upgrade_that_is_told_is_asked_for(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """R-097: by the proxy's word, or by the header itself where the proxy passes it on."""
    found = original_request(question(CADDY, *headers, (b"Sec-WebSocket-Key", b"x")), CADDY)

    assert found.headers[-2:] == ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


def test_no_upgrade_is_an_empty_word() -> None:
    """Caddy sets the header on every question."""
    found = original_request(question(CADDY, (b"X-Original-Upgrade", b"")), CADDY)

    assert found.headers == ((b"Host", b"admin.example.com"),)


def test_two_protocols_are_refused() -> None:
    """Which of them the proxy would switch to is not known."""
    headers = ((b"X-Original-Upgrade", b"websocket"), (b"Upgrade", b"h2c"))

    assert refused(question(CADDY, *headers), CADDY) is Reason.PROXY_WORDS_AMBIGUOUS


@pytest.mark.parametrize("name", [b"Sec-WebSocket-Key", b"Sec_WebSocket_Key"])
def test_a_handshake_that_the_proxy_does_not_tell_of_is_refused(name: bytes) -> None:
    """R-097: a configuration that forgets the word opens no websocket to other sites."""
    assert refused(question(TRAEFIK, (name, b"x")), TRAEFIK) is Reason.PROXY_WORDS_AMBIGUOUS


def test_each_dialect_knows_its_own_path() -> None:
    """A question is for one proxy; only Envoy's path goes on behind the prefix."""
    assert NGINX.is_asked_at("/authz/nginx")
    assert not NGINX.is_asked_at("/authz/nginx/x")
    assert not NGINX.is_asked_at("/authz/traefik")
    assert ENVOY.is_asked_at("/authz/envoy")
    assert ENVOY.is_asked_at("/authz/envoy/../livez")
    assert not ENVOY.is_asked_at("/authz/envoyx")
