"""Three readers of the bytes that an upstream gets: h11, llhttp and one written by hand must agree.

Random requests go through the running sidecar. What is refused is no matter here; what arrives must
have one reading, and that reading must be the one that was decided on.
"""

from dataclasses import dataclass
from itertools import pairwise

import h11
import httptools
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.byte_upstream import Arrival
from tests.fixtures.sidecar import HOST
from tests.fixtures.witnessed import Witnessed, folded, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

Fields = tuple[tuple[bytes, bytes], ...]
OURS = {"xforwardedfor", "xforwardedproto", "xforwardedhost", "xrequestid", "host"}
"""Named by the sidecar itself, beside the identities."""
FRAMING = {"contentlength", "transferencoding"}


@dataclass(frozen=True)
class Reading:
    """What a parser makes of the bytes; header names in lower case, as HTTP means them."""

    method: str
    target: str
    headers: Fields
    body: bytes


def by_h11(raw: bytes) -> Reading:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=200_000)
    connection.receive_data(raw)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data[0] == b""
    return Reading(request.method.decode(), request.target.decode(), tuple(request.headers), body)


class _Collector:
    """The callbacks of llhttp."""

    def __init__(self) -> None:
        self.target, self.body, self.ended = b"", b"", 0
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.ended += 1


def by_llhttp(raw: bytes) -> Reading:
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    parser.feed_data(raw)
    assert collector.ended == 1, "one request and no second one"
    return Reading(
        parser.get_method().decode(), collector.target.decode(), tuple(collector.headers), collector.body
    )


def by_hand(arrival: Arrival) -> Reading:
    headers = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in arrival.headers)
    return Reading(arrival.method, arrival.target, headers, arrival.body)


SEGMENTS = st.sampled_from(
    [
        "a",
        "api",
        "admin",
        "tenants",
        "org_1",
        "~",
        "%41",
        "%7e",
        "%c3%a9",
        "caf\u00e9",
        "..",
        ".",
        "",
        "%2e",
        "%2F",
        "a;b",
        "%3b",
        "a:b@c",
        "(x)",
        "[1]",
        "*",
        "'",
        "%20",
        "+",
        "%",
        "%zz",
        "\\",
        "$&,=",
    ]
)
QUERIES = st.text(st.sampled_from("ab=&;?/:@!$'()*+,-._~%20[]{}|^\"<>`\\#\u00e9 "), max_size=12)
NAMES = st.one_of(
    st.sampled_from(
        [
            "X-A",
            "x-a",
            "X_A",
            "X.A",
            "Accept",
            "Cookie",
            "TE",
            "Trailer",
            "Connection",
            "Transfer_Encoding",
            "Content_Length",
            "X-Forwarded-For",
            "X-Internal-Thing",
            "Authorization",
            "If-None-Match",
            "Keep-Alive",
            "Upgrade",
            "Range",
            "Content-Type",
            "Content-Encoding",
            "!#$%&'*+-.^_`|~",
            "Host_",
            "Expect",
            "Date",
        ]
    ),
    st.text(st.sampled_from("abcXYZ019-_.!~ :\t\x00\u00ff"), min_size=1, max_size=8),
)
VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "a",
            "a, b",
            "close",
            "keep-alive",
            "x-a",
            "chunked",
            "5",
            "a\tb",
            '"q"',
            "caf\u00e9",
            "\u212a",
            "=?x?=",
            "a=b; CF_Authorization=c",
            "\t a \t",
        ]
    ),
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=10),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, tuple[tuple[str, str], ...], bytes, tuple[int, ...] | None]:
    """Method, target, headers, body, and the cuts between its chunks (None: a Content-Length)."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    path = "/frontend/" + "/".join(draw(st.lists(SEGMENTS, max_size=4)))
    target = path + draw(st.sampled_from(["", "?", "?"])) + draw(QUERIES)
    headers = tuple(draw(st.lists(st.tuples(NAMES, VALUES), max_size=4)))
    body = draw(st.binary(max_size=40))
    cuts = draw(st.one_of(st.none(), st.tuples(st.integers(1, 40), st.integers(1, 40))))
    return method, target, headers, body, cuts


def body_bytes(body: bytes, cuts: tuple[int, ...] | None) -> tuple[str, bytes]:
    if cuts is None:
        return f"Content-Length: {len(body)}", body
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    parts = [body[low:high] for low, high in pairwise(edges)]
    chunks = b"".join(b"%x;n=%d\r\n%b\r\n" % (len(part), number, part) for number, part in enumerate(parts))
    return "Transfer-Encoding: chunked", chunks + b"0\r\nX-Trailer: y\r\n\r\n"


def explained(arrival: Arrival, sent: tuple[tuple[str, str], ...]) -> list[str]:
    """Headers that arrived and that neither the client sent so nor the sidecar says itself."""
    lines = (f"{name}: {value}".partition(":") for name, value in sent)  # a name may hold a colon
    told = {(name.lower(), value.strip(" \t")) for name, _, value in lines}
    told |= {("origin", f"https://{HOST}")}
    return [
        name
        for name, value in arrival.headers
        if folded(name) not in OURS | FRAMING
        and not folded(name).startswith("xinternal")
        and (name.lower(), value.encode("latin-1").decode("utf-8")) not in told
        and name.lower() != "cookie"  # may lose a crumb
    ]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(request=requests())
async def test_three_parsers_read_what_was_decided(
    gate: Witnessed,
    request: tuple[str, str, tuple[tuple[str, str], ...], bytes, tuple[int, ...] | None],
) -> None:
    """R-005, R-011: h11, llhttp and a third reader agree on every byte that an upstream gets."""
    gate.forget()
    method, target, headers, body, cuts = request
    framing, sent = body_bytes(body, cuts)
    lines = [f"{name}: {value}" for name, value in headers]
    head = gate.head(target, *lines, framing, method=method)
    answer = await gate.exchange(head + sent)

    codes = statuses(answer)
    assert set(codes) <= {200, 400, 403, 404, 405, 431}, answer
    assert gate.upstream.garbage == []
    assert codes.count(200) == len(gate.arrivals)
    for arrival in gate.arrivals:
        hand = by_hand(arrival)
        assert by_h11(arrival.raw) == hand
        assert by_llhttp(arrival.raw) == hand
        await gate.prove(arrival)  # the signature binds the method and target that we decided on
        assert arrival.method == method
        assert arrival.body == body
        assert explained(arrival, headers) == []


async def test_enough_of_them_arrive(gate: Witnessed) -> None:
    """The control: an ordinary request is among those that pass, in both framings."""
    for cuts in (None, (2, 3)):
        gate.forget()
        framing, sent = body_bytes(b"hello", cuts)
        answer = await gate.exchange(gate.head("/frontend/%7Ea?x", "X-A: b", framing, method="POST") + sent)
        assert statuses(answer) == [200]
        (arrival,) = gate.arrivals
        assert by_h11(arrival.raw) == by_llhttp(arrival.raw) == by_hand(arrival)
        assert (arrival.target, arrival.body) == ("/frontend/~a?x", b"hello")


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nab",
        b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_a_second_request_would_be_seen(raw: bytes) -> None:
    """A verdict that could not see a smuggled request would be worth nothing."""
    with pytest.raises((AssertionError, httptools.HttpParserError)):
        by_llhttp(raw)
    with pytest.raises(AssertionError):
        by_h11(raw)


DAMAGE = st.tuples(
    st.sampled_from(["replace", "insert", "delete", "double"]),
    st.integers(0, 400),
    st.one_of(
        st.binary(min_size=1, max_size=2),
        st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b":", b"\x00", b"\t", b"0", b"5\r\n"]),
    ),
)


def damaged(raw: bytes, damages: list[tuple[str, int, bytes]]) -> bytes:
    for kind, where, text in damages:
        at = where % len(raw)
        match kind:
            case "replace":
                raw = raw[:at] + text + raw[at + len(text) :]
            case "insert":
                raw = raw[:at] + text + raw[at:]
            case "delete":
                raw = raw[:at] + raw[at + 1 :]
            case _:
                raw = raw[:at] + raw[at : at + 16] + raw[at:]
    return raw


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=3), cuts=st.one_of(st.none(), st.just((2, 5))))
async def test_a_damaged_request_is_refused_or_has_one_reading(
    gate: Witnessed, damages: list[tuple[str, int, bytes]], cuts: tuple[int, ...] | None
) -> None:
    """R-011, R-046: bytes changed anywhere: never a 5xx, never two readings behind the gate."""
    gate.forget()
    framing, sent = body_bytes(b"hello body", cuts)
    token = f"Cf-Access-Jwt-Assertion: {gate.token()}\r\n".encode()
    lines = ("X-A: b", "Cookie: c=d", "Accept: text/plain", "TE: trailers", framing)
    whole = gate.head("/frontend/a/b?c=d", *lines, method="POST").replace(token, b"") + sent
    first, rest = whole.split(b"\r\n", 1)
    raw = damaged(first + b"\r\n" + rest, damages).replace(b"\r\n", b"\r\n" + token, 1)
    answer = await gate.exchange(raw, patience=0.1)

    codes = [status for status in statuses(answer) if status != 100]
    assert [code for code in codes if code >= 500] == [], (raw, answer)
    assert b"eyJ" not in answer
    assert gate.upstream.garbage == []
    assert codes.count(200) <= len(gate.arrivals)
    for arrival in gate.arrivals:
        assert by_h11(arrival.raw) == by_llhttp(arrival.raw) == by_hand(arrival)
        await gate.prove(arrival)
