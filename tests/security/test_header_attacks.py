"""Every section of header_attacks.json about requests, through the running sidecar (attacks.md section 3)."""

import re

import pytest

from service_kit.identity.binding import IDENTITY_HEADER
from service_kit.identity.model import Role
from tests.fakes.byte_upstream import Arrival
from tests.fixtures.sidecar import HOST, ORIGIN, person
from tests.fixtures.witnessed import Witnessed, folded
from tests.security.hostile_inputs import corpus, header_lines, spoof_names

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGETS = ("/api/admin/tenants", "/api/admin/me", "/frontend")
"""One path of each service."""
OURS = {"xinternalidentity", "xinternaldelegation", "xforwardedfor", "xforwardedproto", "xforwardedhost"}
ORDINARY = {"authorization"}
"""Names of the list that a client may send to a frontend: once, and as they are."""
HOP = {"connection", "proxyconnection", "keepalive", "te", "trailer", "upgrade", "http2settings", "expect"}


def cased(name: bytes, number: int) -> bytes:
    return (name, name.swapcase(), name.upper(), name.title())[number % 4]


@pytest.mark.parametrize("copies", corpus("header_attacks")["spoof_copies"])
@pytest.mark.parametrize("target", TARGETS)
async def test_no_spoofed_name_in_any_number_of_copies_reaches_an_upstream(
    gate: Witnessed, target: str, copies: int
) -> None:
    """R-172, R-005: exactly one identity header arrives, ours, and no value that the client chose."""
    for name in spoof_names():
        gate.forget()
        lines = [cased(name, number) + b": evil" for number in range(copies)]
        codes = await gate.judge(await gate.exchange(gate.head(target, *lines)))

        assert codes, name
        for arrival in gate.arrivals:
            names = {folded(key) for key, value in arrival.headers if "evil" in value}
            assert names <= ORDINARY, name
            twice = [key for key, _ in arrival.headers if len(arrival.all(key)) > 1]
            assert twice == [], name


async def test_the_internal_names_are_refused_and_not_only_dropped(gate: Witnessed) -> None:
    """R-172, R-004: who sends our own header is told no, in every spelling that a gateway folds."""
    internal = [name for name in spoof_names() if folded(name.decode("latin-1")) == "xinternalidentity"]
    assert len(internal) > 9
    for name in internal:
        codes = await gate.judge(await gate.exchange(gate.head("/frontend", name + b": evil")))
        assert codes[0] in {400, 403}, name


CGI = (
    "REMOTE_USER",
    "X_FORWARDED_FOR",
    "TRUE_CLIENT_IP",
    "TAILSCALE_USER_LOGIN",
    "PROXY",
    "CONNECTION",
    "TE",
)


@pytest.mark.parametrize("name", CGI)
async def test_a_cgi_prefix_makes_no_other_name(gate: Witnessed, name: str) -> None:
    """R-172: `HTTP_REMOTE_USER` is what a CGI gateway calls Remote-User; it is dropped like it."""
    for spelled in (f"HTTP_{name}", f"http-{name}", f"Http.{name.title()}"):
        gate.forget()
        assert await gate.judge(await gate.exchange(gate.head("/frontend", f"{spelled}: evil"))) == [200]
        assert b"evil" not in gate.arrivals[0].raw


@pytest.mark.parametrize("name", ["HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"])
async def test_a_cgi_prefix_frames_no_body(gate: Witnessed, name: str) -> None:
    """A second reading of the length in the name that a gateway gives it is refused like any other."""
    assert await gate.judge(await gate.exchange(gate.head("/frontend", f"{name}: chunked"))) == [400]


@pytest.mark.parametrize("line", header_lines("hop_by_hop"))
@pytest.mark.parametrize("alone", [True, False])
async def test_connection_takes_nothing_away(gate: Witnessed, line: str, alone: bool) -> None:
    """R-005: our headers, the framing, the cookie and the type all arrive, whatever Connection names."""
    lines = (
        line,
        "Content-Length: 4",
        "Content-Type: text/plain",
        "Cookie: theme=dark",
        "Authorization: Basic eDp5",
    )
    head = gate.head("/frontend", *lines, method="POST", close=not alone)
    answer = (await gate.sidecar.send(head + b"body")).raw
    codes = await gate.judge(answer)

    assert codes == [200]
    (arrival,) = gate.arrivals
    assert (arrival.body, arrival.one("Content-Type"), arrival.one("Cookie")) == (
        b"body",
        "text/plain",
        "theme=dark",
    )
    assert (arrival.one("Host"), arrival.one("Origin")) == (HOST, ORIGIN)
    assert arrival.one("Authorization") == "Basic eDp5"
    assert arrival.one("X-Forwarded-For") == "127.0.0.1"
    assert arrival.one("X-Request-Id").startswith("req_")
    assert {folded(name) for name, _ in arrival.headers}.isdisjoint(HOP)


TRAILERS = (
    ("", b"X-Internal-Identity: evil\r\n"),
    ("Trailer: X-Internal-Identity", b"X-Internal-Identity: evil\r\n"),
    ("", b"Content-Length: 5\r\n"),
    ("", b"Authorization: Basic eDp5\r\n"),
    ("Trailer: Cf-Access-Jwt-Assertion", b"Cf-Access-Jwt-Assertion: x\r\nTransfer-Encoding: chunked\r\n"),
    ("", b"X: y\r\n" * 170_000),
    ("", b"X: " + b"y" * 1_000_000 + b"\r\n"),
)


@pytest.mark.parametrize("line, trailer", TRAILERS, ids=range(len(TRAILERS)))
async def test_a_trailer_is_dropped_or_refused(gate: Witnessed, line: str, trailer: bytes) -> None:
    """R-172: no field behind a body becomes a header, and a megabyte of them is not collected."""
    lines = ("Transfer-Encoding: chunked", *([line] if line else []))
    head = gate.head("/frontend", *lines, method="POST")
    codes = await gate.judge(
        await gate.exchange(head + b"4\r\nbody\r\n0\r\n" + trailer + b"\r\n"), streamed=True
    )

    assert codes in ([200], [400], [431], [])
    for arrival in gate.arrivals:
        assert arrival.body == b"body"
        assert b"evil" not in arrival.raw
        assert b"railer" not in arrival.raw


@pytest.mark.parametrize("line", [line for line in header_lines("method_override") if line.startswith("X-")])
async def test_a_method_in_a_header_is_not_the_method(gate: Witnessed, line: str) -> None:
    """R-074: read_only stays read_only; the header itself does not go on."""
    await gate.judge(await gate.exchange(gate.head("/frontend", line, who=person(Role.READ_ONLY))))

    (arrival,) = gate.arrivals
    assert arrival.method == "GET"
    assert b"DELETE" not in arrival.raw


@pytest.mark.parametrize(
    "method, target, codes",
    [
        ("GET", "/api/admin/tenants?_method=DELETE", [200]),
        ("HEAD", "/api/admin/tenants", [200]),
        ("OPTIONS", "/api/admin/tenants", [405]),
        ("OPTIONS", "/frontend", [200]),
        ("TRACE", "/frontend", [405]),
        ("CONNECT", "x:1", [404]),
        ("CONNECT", f"{HOST}:443", [405]),
        ("PROPFIND", "/frontend", [405]),
        ("QUERY", "/frontend", [405]),
        ("get", "/frontend", [400]),
        ("GeT", "/frontend", [400]),
        ("PRI", "*", [400]),
        ("GET\t", "/frontend", [400]),
        ("G" * 8192, "/frontend", [400]),
        ("GET\x00", "/frontend", [400]),
        (" GET", "/frontend", [400]),
        ("DELETE", "/api/admin/global-admins", [403]),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_method_is_what_it_says_or_refused(
    gate: Witnessed, method: str, target: str, codes: list[int]
) -> None:
    """R-074: the identity is signed for the method that arrives; no method escapes its route."""
    got = await gate.judge(await gate.exchange(gate.head(target, method=method, who=person(Role.READ_ONLY))))

    assert got == codes or (codes != [200] and got and got[0] in {400, 404, 405})
    assert [arrival.method for arrival in gate.arrivals] == ([method] if codes == [200] else [])


@pytest.mark.parametrize("body", [b"_method=DELETE", b"body"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST"])
async def test_a_body_goes_with_its_method(gate: Witnessed, method: str, body: bytes) -> None:
    """A body on a safe method is part of that request and never the next one (0.CL)."""
    head = gate.head("/frontend", f"Content-Length: {len(body)}", method=method)
    await gate.judge(await gate.exchange(head + body))

    (arrival,) = gate.arrivals
    assert (arrival.method, arrival.body) == (method, body)


@pytest.mark.parametrize("line", header_lines("url_override"))
async def test_an_address_in_a_header_is_not_the_address(gate: Witnessed, line: str) -> None:
    """R-003, R-172: routing is read from the request line alone, and the claim does not go on."""
    claim = b": " + line.partition(": ")[2].encode()
    for target, who in (("/api/admin/global-admins", person(Role.SUPPORT)), ("/frontend", None)):
        codes = await gate.judge(await gate.exchange(gate.head(target, line, who=who)))
        assert codes == [403 if who else 200]

    (arrival,) = gate.arrivals
    harmless = ("Referer", "User-Agent", "X-Accel-Redirect", "X-Sendfile", "X-Custom-IP-Authorization")
    assert arrival.target == "/frontend"
    assert line.startswith(harmless) or claim not in arrival.raw
    assert line.startswith(harmless) or folded(line.partition(":")[0]) not in {
        folded(name) for name, _ in arrival.headers if folded(name) not in OURS
    }


@pytest.mark.parametrize(
    "line",
    [line for line in header_lines("url_override") if line.startswith(("User-Agent", "X-Cust", "X-Forw"))],
)
async def test_no_header_stands_in_for_a_token(gate: Witnessed, line: str) -> None:
    """R-042, R-170: a health checker's User-Agent and an inner address open nothing."""
    for target in (
        "/",
        "/healthz",
        "/readyz",
        "/livez",
        "/metrics",
        "/manage",
        "/api/admin/tenants",
        "/robots.txt",
    ):
        request = f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{line}\r\n\r\n"
        assert await gate.judge(await gate.exchange(request.encode())) == [403]


HOSTS = (
    "admin.internal",
    "evil.example",
    f"{HOST}, evil.example",
    "localhost:0",
    f"user@{HOST}",
    f"{HOST}/../x",
    f"{HOST}#x",
    f"{HOST}\x00",
    f"{HOST}:443",
    f"{HOST}.",
    f"{HOST}:80@evil.example",
    "[::1]%eth0",
    "127.0.0.1",
    "",
    f"{HOST}\x0b",
    f"{HOST}\xa0",
)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("host", [*HOSTS, None])
async def test_a_foreign_host_is_not_found(gate: Witnessed, host: str | None, version: str) -> None:
    """R-040: any Host but ours is 404 before the token is looked at, also a missing one."""
    named = f"Host: {host}\r\n" if host is not None else ""
    lines = f"{named}Cf-Access-Jwt-Assertion: {gate.token()}\r\nConnection: close\r\n"
    request = f"GET /frontend HTTP/{version}\r\n{lines}\r\n"
    codes = await gate.judge(await gate.exchange(request.encode("latin-1")))

    assert codes in ([404], [400])
    assert gate.nothing_arrived


@pytest.mark.parametrize("second", ["evil.example", HOST, ""])
async def test_two_hosts_are_none(gate: Witnessed, second: str) -> None:
    """R-040, CVE-2026-34525: two Host headers are refused, also two equal ones and in any order."""
    for line in (f"Host: {second}", f"host: {second}", f"HOST:{second}"):
        assert (await gate.judge(await gate.exchange(gate.head("/frontend", line))))[0] in {400, 404}
    first = gate.head("/frontend").replace(b"Host: ", b"Host: " + second.encode() + b"\r\nHost: ", 1)
    assert (await gate.judge(await gate.exchange(first)))[0] in {400, 404}


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-Host: evil.example",
        "Forwarded: host=evil.example;proto=https",
        "X-Forwarded-Proto: gopher",
        "X_Forwarded_Host: evil.example",
        "X-Host: evil.example",
        "X-Original-Host: evil.example",
        "X-Forwarded-Server: evil.example",
        "X-Forwarded-Port: 31337",
    ],
)
async def test_nobody_but_us_names_the_host(gate: Witnessed, line: str) -> None:
    """R-172: a link that an upstream builds from these headers names our host."""
    assert await gate.judge(await gate.exchange(gate.head("/frontend", line))) == [200]

    (arrival,) = gate.arrivals
    assert (arrival.one("X-Forwarded-Host"), arrival.one("X-Forwarded-Proto")) == (HOST, "https")
    assert not re.search(rb"evil|gopher|31337", arrival.raw)


CLIENT_IP = (
    *[line for line in header_lines("client_ip") if "\\n" not in line],
    "CF-Connecting-IP: 127.0.0.2\r\nCF-Connecting-IP: 127.0.0.3",
    "True-Client-IP: 127.0.0.2",
    "X-Client-IP: 127.0.0.2",
    "X-Originating-IP: 127.0.0.2",
    "X-Remote-IP: 127.0.0.2",
    "X-Remote-Addr: 127.0.0.2",
    "X-ProxyUser-Ip: 127.0.0.2",
    "Fastly-Client-IP: 127.0.0.2",
    "WL-Proxy-Client-IP: 127.0.0.2",
    "Proxy-Client-IP: 127.0.0.2",
    "X-Envoy-External-Address: 127.0.0.2",
    "X-Azure-ClientIP: 127.0.0.2",
    "X-Appengine-User-IP: 127.0.0.2",
    "X_Forwarded_For: 127.0.0.2",
)


@pytest.mark.parametrize("line", CLIENT_IP)
async def test_nobody_but_us_names_the_client(gate: Witnessed, line: str) -> None:
    """R-172: what an audit row or an address rule of an upstream reads is the peer of this connection."""
    claim = line.replace("127.0.0.1", "10.9.9.9").replace("127.0.0.2", "10.9.9.9")
    assert await gate.judge(await gate.exchange(gate.head("/frontend", claim))) == [200]

    (arrival,) = gate.arrivals
    assert arrival.one("X-Forwarded-For") == "127.0.0.1"
    assert not re.search(rb"10\.9\.9\.9|1\.1\.1\.1|script", arrival.raw)


async def test_the_proxy_header_of_httpoxy_is_dropped(gate: Witnessed) -> None:
    """CVE-2016-5385: CGI turns `Proxy: x` into HTTP_PROXY, and the program behind it asks there."""
    for name in ("Proxy", "proxy", "PROXY"):
        gate.forget()
        assert await gate.judge(await gate.exchange(gate.head("/frontend", f"{name}: http://evil/"))) == [200]
        assert b"evil" not in gate.arrivals[0].raw


@pytest.mark.parametrize("pair", ["Origin", "Sec-Fetch-Site", "Content-Type", "Authorization"])
@pytest.mark.parametrize("joint", ["-", "_", "."])
async def test_what_may_come_once_comes_once_in_every_spelling(
    gate: Witnessed, pair: str, joint: str
) -> None:
    """R-097: an alias beside the real header would show an upstream another value than we decided on."""
    alias = pair.replace("-", joint) if "-" in pair else pair + ("" if joint == "-" else joint)
    lines = () if pair == "Origin" else (f"{pair}: same-origin",)
    codes = await gate.judge(await gate.exchange(gate.head("/frontend", *lines, f"{alias}: other")))

    assert codes == [400]


def _arrived_once(gate: Witnessed) -> Arrival:
    (arrival,) = gate.arrivals
    return arrival


async def test_what_this_module_calls_ours_is_ours(gate: Witnessed) -> None:
    """The control: a plain request arrives, with the headers that the other tests look for."""
    assert await gate.judge(await gate.exchange(gate.head("/frontend", "X-Mine: 1"))) == [200]
    arrival = _arrived_once(gate)
    assert arrival.one("X-Mine") == "1"
    assert arrival.one(IDENTITY_HEADER)
