"""Step 1: one reading of a request, or a named refusal."""

import posixpath
from urllib.parse import unquote

import pytest

from auth_proxy.pipeline.admit import METHODS, AdmitPolicy, admit
from auth_proxy.refusals import Reason, Refusal
from tests.unit.auth_proxy.pipeline.hostile import ALLOWED, FORBIDDEN, HOST, hostile_targets, spelled
from tests.unit.auth_proxy.pipeline.values import POLICY, Header, raw

R = Reason


def refused(target: str = "/", *headers: Header, policy: AdmitPolicy = POLICY, **request: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        admit(raw(target, *headers, **request), policy)  # type: ignore[arg-type]  # a table of changes
    return caught.value.reason


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        f"{HOST}.evil.example",
        f"evil.{HOST}",
        f"{HOST}.",
        f"{HOST}:80",
        f"{HOST}:0",
        f"{HOST}, evil.example",
        f"user@{HOST}",
        f"{HOST}/../x",
        f"{HOST}#x",
        f"{HOST}\x00",
        f"\x0b{HOST}",
        f"\x0c{HOST}\x1f",
        b"\xa0" + HOST.encode(),
        HOST.encode() + b"\x85",
        "admin\u212a.example.com",
        "127.0.0.1",
        "[::1]%eth0",
    ],
    ids=spelled,
)
def test_a_foreign_host_is_not_found_before_anything_else(host: str | bytes | None) -> None:
    """R-040: 404, whatever else is wrong with the request, so that a stranger learns nothing."""
    hostile = ("/../x", ("Transfer_Encoding", "x"), (b"\xff", b"\x00"))

    assert refused(host=host) is R.HOST_UNKNOWN
    assert refused(*hostile, host=host, method="TRACE", version=(9, 9)) is R.HOST_UNKNOWN


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f" {HOST}\t", HOST.title()], ids=spelled)
def test_our_host_in_any_case_is_ours(host: str) -> None:
    """R-040: a host name has no case, and the space around a value is not part of it."""
    assert admit(raw("/", host=host), POLICY).host == HOST


@pytest.mark.parametrize("second", [HOST, "evil.example", ""])
def test_two_hosts_are_refused(second: str) -> None:
    """Two readers could take different ones, also when both look the same."""
    assert refused("/", ("host", second)) is R.HOST_AMBIGUOUS


@pytest.mark.parametrize(
    "target",
    [
        "/manage/../manage",
        "//manage",
        "/manage//audit",
        "/manage%2Faudit",
        "/manage%2faudit",
        "/manage%5caudit",
        "/manage\\audit",
        "/manage;x",
        "/manage%3Bx",
        "/manage%00",
        "/manage%0d%0aX:y",
        "/manage%7f",
        "/%2e/manage",
        "/%2e%2e/manage",
        "/.%2E/manage",
        "/./manage",
        "/manage/.",
        "/manage/..",
        "/%252e%252e/manage",
        "/manage%25",
        "/manage%",
        "/manage%4",
        "/manage%zz",
        "/manage%u002e",
        "/manage% 2",
        "/manage#x",
        "/manage x",
        "/manage|",
        "/manage\n",
        "/manage\x7f",
        "/manage/%c0%ae%c0%ae/x",
        "/manage%c0%afaudit",
        "/%ff",
        "/%ed%a0%80",
        "/mänage",
        "/ⅿanage",
        "",
        "*",
        "manage",
        "?/manage",
        "/manage?a=%",
        "/manage?a=%zz",
        "/manage?a=#x",
        "/manage?a=\x00",
        "/manage?a=é",
        "http:/manage",
        "http:manage",
        "ftp://admin.example.com/manage",
        f"http://{HOST}//manage",
        f"http://{HOST}/../manage",
        f"http://{HOST}/http://{HOST}/%2e",
    ],
    ids=spelled,
)
def test_a_path_with_two_readings_is_refused(target: str) -> None:
    """R-011: refused, never repaired."""
    assert refused(target) is R.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/manage",
        f"http://{HOST}@evil.example/manage",
        f"http://evil.example@{HOST}/manage",
        f"http://{HOST}:80/manage",
        f"http://{HOST}.evil.example/",
        "http:///manage",
        "https://",
        f"http://{HOST}?x",
        f"http://{HOST}\\@evil.example/",
    ],
    ids=spelled,
)
def test_an_absolute_target_must_name_our_host(target: str) -> None:
    """RFC 9112 3.2.2 would let the target override Host; here they must agree (R-040)."""
    assert refused(target) is R.HOST_AMBIGUOUS


@pytest.mark.parametrize(
    "target, path, forwarded",
    [
        ("/", "/", "/"),
        ("/manage/", "/manage/", "/manage/"),
        ("/MANAGE", "/MANAGE", "/MANAGE"),
        ("/%6danage/%7euser", "/manage/~user", "/manage/~user"),
        ("/a%c3%a9b", "/a%C3%A9b", "/a%C3%A9b"),
        ("/a%20b%3f", "/a%20b%3F", "/a%20b%3F"),
        ("/.../x..y/.z", "/.../x..y/.z", "/.../x..y/.z"),
        ("/a?", "/a", "/a"),
        ("/a?b=%2e%2e/../;%00", "/a", "/a?b=%2e%2e/../;%00"),
        ("/a??x", "/a", "/a??x"),
        (f"http://{HOST}", "/", "/"),
        (f"HTTPS://{HOST.upper()}/a?b", "/a", "/a?b"),
    ],
)
def test_a_plain_path_is_forwarded_in_the_form_that_was_decided_on(
    target: str, path: str, forwarded: str
) -> None:
    """R-011: unreserved escapes are undone once; the query goes on as it came."""
    inbound = admit(raw(target), POLICY)

    assert (inbound.path, inbound.target) == (path, forwarded)


@pytest.mark.parametrize("target", hostile_targets(), ids=lambda target: spelled(target[:60]))
def test_no_hostile_spelling_reaches_a_foreign_path_in_disguise(target: str) -> None:
    """R-011: refused, or the forbidden path is written in the one form that the route table sees."""
    try:
        inbound = admit(raw(target), POLICY)
    except Refusal:
        return

    path = unquote(inbound.target.partition("?")[0])
    assert path == unquote(inbound.path)
    assert posixpath.normpath(path) == (path.rstrip("/") or "/")
    assert path.lower().startswith((f"/{FORBIDDEN}", ALLOWED)) or FORBIDDEN not in path.lower()


def test_the_hostile_list_is_whole_and_mostly_refused() -> None:
    """The test above goes through the whole corpus, and what passes is 23 plain or harmless paths."""
    refusals = sum(_is_refused(target) for target in hostile_targets())

    assert (len(hostile_targets()), refusals) == (104, 81)


def _is_refused(target: str) -> bool:
    try:
        admit(raw(target), POLICY)
    except Refusal as refusal:
        return refusal.reason in {R.PATH_AMBIGUOUS, R.HOST_AMBIGUOUS, R.URI_TOO_LONG}
    return False


@pytest.mark.parametrize("method", sorted(METHODS))
def test_seven_methods_are_known(method: str) -> None:
    """What a frontend needs goes on."""
    assert admit(raw(method=method), POLICY).method == method


@pytest.mark.parametrize(
    "method",
    ["TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "GeT", "PRI", "GET\t", "", "X" * 8192],
    ids=lambda method: spelled(method[:20]),
)
def test_every_other_method_is_refused_with_the_list(method: str) -> None:
    """TRACE reveals, CONNECT tunnels, and a method in another case is another method."""
    with pytest.raises(Refusal) as caught:
        admit(raw(method=method), POLICY)

    assert caught.value.reason is R.METHOD_UNSUPPORTED
    assert caught.value.headers == {"Allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (9, 9)])
def test_only_http_1_is_spoken(version: tuple[int, int]) -> None:
    """The parser would let HTTP/9.9 pass."""
    assert refused(version=version) is R.REQUEST_MALFORMED


def test_the_limits_hold_to_the_byte() -> None:
    """Target, header count, header bytes and body: the last allowed size passes, one more does not."""
    policy = AdmitPolicy(
        hosts=POLICY.hosts, most_target_bytes=10, most_headers=2, most_header_bytes=60, most_body_bytes=5
    )
    spare = 60 - len("Host") - len(HOST) - 4 - len("A") - 4

    assert admit(raw("/" * 0 + "/123456789", ("A", "x" * spare)), policy).target == "/123456789"
    assert admit(raw("/", ("Content-Length", "5")), policy).content_length == 5
    assert refused("/1234567890", policy=policy) is R.URI_TOO_LONG
    assert refused("/", ("A", "x" * (spare + 1)), policy=policy) is R.HEADERS_TOO_LARGE
    assert refused("/", ("A", ""), ("B", ""), policy=policy) is R.HEADERS_TOO_LARGE
    assert refused("/", ("Content-Length", "6"), policy=policy) is R.BODY_TOO_LARGE
    assert refused("/", ("Content-Length", "9" * 18)) is R.BODY_TOO_LARGE


@pytest.mark.parametrize(
    "name, value",
    [
        (b"", b"x"),
        (b"A B", b"x"),
        (b"A\x00", b"x"),
        (b"A:", b"x"),
        (b"A ", b"x"),
        (b"\xc4A", b"x"),
        ("X-Internal-Ident\u0131ty".encode(), b"x"),
        (b"A(", b"x"),
        (b"A", b"x\x00"),
        (b"A", b"x\r\n y"),
        (b"A", b"x\ny"),
        (b"A", b"x\x7f"),
        (b"A", b"x\x1b[31m"),
        (b"A", b"\xff"),
        (b"A", b"\xed\xa0\x80"),
        (b"A", b"\xc0\xaf"),
    ],
    ids=spelled,
)
def test_a_header_that_no_client_sends_in_good_faith_is_refused(name: bytes, value: bytes) -> None:
    """Control bytes, foreign letters in a name, text that is not UTF-8."""
    assert refused("/", (name, value)) is R.HEADER_MALFORMED


@pytest.mark.parametrize(
    "given, kept",
    [(" Zoë\t", "Zoë"), ("\u00a0Zoë\u2003", "\u00a0Zoë\u2003"), ("XaX", "XaX")],
    ids=spelled,
)
def test_honest_text_beyond_ascii_is_kept(given: str, kept: str) -> None:
    """A UTF-8 value is a value; space and tab around it are not, and nothing else is taken for space.

    What only looks like space stays: an upstream that keeps it would read another value than we did.
    """
    assert admit(raw("/", ("X-Name", given)), POLICY).headers[-1] == ("X-Name", kept)


@pytest.mark.parametrize(
    "headers",
    [
        (("Content-Length", "5"), ("Content-Length", "5")),
        (("Content-Length", "5"), ("content-length", "6")),
        (("Content-Length", "5"), ("Transfer-Encoding", "chunked")),
        (("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")),
        (("Transfer-Encoding", "chunked, identity"),),
        (("Transfer-Encoding", "gzip, chunked"),),
        (("Transfer-Encoding", "xchunked"),),
        (("Transfer-Encoding", ""),),
        (("Transfer_Encoding", "chunked"),),
        (("Transfer.Encoding", "chunked"),),
        (("TransferEncoding", "chunked"),),
        (("Transfer--Encoding", "chunked"),),
        (("Content_Length", "5"),),
        (("ContentLength", "5"),),
        (("Content-Length", "+5"),),
        (("Content-Length", "-1"),),
        (("Content-Length", "0x5"),),
        (("Content-Length", "5, 5"),),
        (("Content-Length", "5.0"),),
        (("Content-Length", "1_000"),),
        (("Content-Length", "٥"),),
        (("Content-Length", ""),),
        (("Content-Length", "9" * 19),),
        (("Expect", "y 100-continue"),),
        (("Expect", "100-continue"), ("Expect", "100-continue")),
        (("Expect", "200-ok"),),
        (("Expect", ""),),
    ],
    ids=spelled,
)
def test_framing_that_two_parsers_could_read_differently_is_refused(headers: tuple[Header, ...]) -> None:
    """Request smuggling begins where two readers disagree about the end of a body."""
    assert refused("/", *headers, method="POST") is R.FRAMING_AMBIGUOUS


def test_chunked_on_http_1_0_is_refused() -> None:
    """HTTP/1.0 knows no chunks: the next hop would read the rest as a request."""
    chunked = ("Transfer-Encoding", "chunked")

    assert refused("/", chunked, method="POST", version=(1, 0)) is R.FRAMING_AMBIGUOUS


@pytest.mark.parametrize(
    "headers, has_body, length",
    [
        ((), False, None),
        ((("Content-Length", "0"),), False, 0),
        ((("Content-Length", "007"),), True, 7),
        ((("Transfer-Encoding", "Chunked"),), True, None),
    ],
)
def test_a_plain_body_is_read_in_one_way(
    headers: tuple[Header, ...], has_body: bool, length: int | None
) -> None:
    """A length, chunks, or nothing."""
    inbound = admit(raw("/", *headers, method="POST"), POLICY)

    assert (inbound.has_body, inbound.content_length) == (has_body, length)


@pytest.mark.parametrize("version, expects", [((1, 1), True), ((1, 0), False)])
def test_only_http_1_1_waits_for_continue(version: tuple[int, int], expects: bool) -> None:
    """A 1.0 client would take the interim answer for the answer."""
    request = raw("/", ("Expect", "100-Continue"), ("Content-Length", "5"), method="POST", version=version)

    assert admit(request, POLICY).expects_continue is expects
