"""The sections `websocket` and `response_side` of header_attacks.json: bytes that leave HTTP's order.

The paths asked for are the API's, which never relays an upgrade, whatever another route may do.
"""

import asyncio
import re

import pytest

from service_kit.identity.binding import IDENTITY_HEADER
from tests.fakes.byte_upstream import Arrival
from tests.fixtures.sidecar import HOST, ORIGIN
from tests.fixtures.witnessed import Witnessed, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
UPGRADES: dict[str, tuple[str, tuple[str, ...]]] = {
    "no Origin": ("", WEBSOCKET),
    "Origin null": ("null", WEBSOCKET),
    "Origin of a subdomain of another": (f"https://{HOST}.evil.example", WEBSOCKET),
    "another Origin": ("https://evil.example", WEBSOCKET),
    "Origin in upper case": (ORIGIN.upper(), WEBSOCKET),
    "Origin twice": (ORIGIN, (*WEBSOCKET, f"Origin: {ORIGIN}")),
    "our Origin, on a route without an upgrade": (ORIGIN, WEBSOCKET),
    "version 777": (ORIGIN, (*WEBSOCKET[:2], "Sec-WebSocket-Version: 777", WEBSOCKET[3])),
    "no key": (ORIGIN, WEBSOCKET[:3]),
    "h2c": (
        ORIGIN,
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    ),
    "websocket, h2c": (ORIGIN, ("Connection: upgrade", "Upgrade: websocket, h2c", *WEBSOCKET[2:])),
    "h2c, websocket": (
        ORIGIN,
        ("Connection: keep-alive, UPGRADE", "Upgrade: h2c, websocket", *WEBSOCKET[2:]),
    ),
    "two Upgrade headers": (ORIGIN, (*WEBSOCKET, "Upgrade: h2c")),
    "the JWT as a subprotocol": (ORIGIN, (*WEBSOCKET, "Sec-WebSocket-Protocol: jwt, x")),
    "an unknown extension": (ORIGIN, (*WEBSOCKET, "Sec-WebSocket-Extensions: x-evil; a=b")),
    "a TLS upgrade": (ORIGIN, ("Connection: Upgrade", "Upgrade: TLS/1.2, HTTP/1.1")),
}


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("pause", [0, 0.02])
async def test_a_refused_upgrade_ends_the_connection(gate: Witnessed, name: str, pause: float) -> None:
    """R-003: refused, closed, and what follows on the connection is never read as a request."""
    origin, lines = UPGRADES[name]
    upgrade = gate.head("/api/admin/tenants", *lines, origin=origin, close=False)
    hidden = gate.head("/api/admin/tenants?hidden")
    answer = await gate.exchange(upgrade, hidden, pause=pause)
    codes = await gate.judge(answer)

    assert codes[0] in {400, 403}
    assert gate.nothing_arrived


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
async def test_an_upgrade_with_a_body_is_refused(gate: Witnessed, method: str) -> None:
    """The parser stops at an upgrade's head: neither the body nor what follows it goes anywhere."""
    head = gate.head("/api/admin/tenants", *WEBSOCKET, "Content-Length: 4", method=method, close=False)
    codes = await gate.judge(await gate.exchange(head + b"body" + gate.head("/api/admin/tenants?hidden")))

    assert codes[0] in {400, 405}
    assert gate.nothing_arrived


async def test_an_upgrade_without_a_token_is_no_upgrade(gate: Witnessed) -> None:
    """R-042: the token decides first, here as everywhere; a subprotocol or a query carries none."""
    for target in ("/frontend", f"/frontend?token={gate.token()}", "/api/admin/tenants"):
        lines = (*WEBSOCKET, f"Sec-WebSocket-Protocol: {gate.token()}", f"Origin: {ORIGIN}")
        head = "\r\n".join((f"GET {target} HTTP/1.1", f"Host: {HOST}", *lines)) + "\r\n\r\n"
        codes = await gate.judge(await gate.exchange(head.encode() + gate.head("/frontend?hidden")))
        assert codes == [403]
        assert gate.nothing_arrived


OK = b"HTTP/1.1 200 OK\r\n"
LEAKS = (b"Traceback", IDENTITY_HEADER.encode(), b"X-Powered-By", b"nginx", b"127.0.0.1")


async def relayed(gate: Witnessed, answer: bytes, *, method: str = "GET", target: str = "/frontend") -> bytes:
    async def say(_arrival: Arrival) -> bytes:
        return answer

    gate.upstream.answer = say
    got = await gate.exchange(gate.head(target, method=method))
    assert [leak for leak in LEAKS if leak in got] == []
    return got


BROKEN = {
    "both lengths": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "101 without an accept": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "bare CR": OK + b"X: a\rSet-Cookie: evil=1\r\n\r\n",
    "NUL": OK + b"X: a\x00b\r\n\r\n",
    "CR in the reason": b"HTTP/1.1 200 O\rSet-Cookie: evil=1\r\n\r\n",
    "bad length": OK + b"Content-Length: 0x5\r\n\r\nhello",
    "plus length": OK + b"Content-Length: +5\r\n\r\nhello",
    "status 099": b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
    "status 999": b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n",
    "a million headers": OK + b"X: y\r\n" * 20_000 + b"\r\n",
    "a huge header": OK + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_an_answer_with_two_readings_is_a_bad_gateway(gate: Witnessed, name: str) -> None:
    """What an upstream says must have one reading too: 502, and nothing of it comes through."""
    got = await relayed(gate, BROKEN[name])

    assert statuses(got) == [502]
    assert b"evil" not in got


async def test_a_flood_of_interim_answers_is_not_passed_on(gate: Witnessed) -> None:
    """A few announcements may come before an answer (RFC 9110 section 15.2); a flood of them is none."""
    flood = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 500
    got = await relayed(gate, flood + OK + b"Content-Length: 2\r\n\r\nok")

    assert statuses(got) == [103] * 8 + [502]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK"])
async def test_a_body_where_none_may_be_poisons_nothing(gate: Witnessed, status: bytes) -> None:
    """Response queue poisoning: a second answer on the connection is nobody's answer."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    method = "HEAD" if status.startswith(b"200") else "GET"
    await relayed(gate, b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n" + poison, method=method)
    await relayed(gate, OK + b"Content-Length: 4\r\n\r\nmine" + poison)
    gate.forget()
    for number in range(8):
        answer = await gate.exchange(gate.head(f"/frontend?{number}"))
        assert b"poison" not in answer
        assert statuses(answer) == [200]
        assert answer.endswith(f"/frontend?{number}".encode())


@pytest.mark.parametrize(
    "line, comes",
    [
        (b"Server: nginx/1.2", False),
        (b"X-Powered-By: PHP/5", False),
        (b"X-Internal-Identity: eyJx.y.z", False),
        (b"X_Internal_Identity: eyJx.y.z", False),
        (b"Cf-Access-Jwt-Assertion: eyJx.y.z", False),
        (b"Set-Cookie: CF_Authorization=evil", False),
        (b"Keep-Alive: timeout=9", False),
        (b"Connection: X-Mine\r\nX-Mine: 1", False),
        (b"Set-Cookie: a=1\r\nSet-Cookie: b=2", True),
        (b"Content-Security-Policy: default-src 'none'", True),
    ],
)
async def test_an_upstreams_header_comes_through_or_ends_here(
    gate: Witnessed, line: bytes, comes: bool
) -> None:
    """R-161, R-037: no identity, no Access cookie, no header of this hop and no product name comes back."""
    got = await relayed(gate, OK + line + b"\r\nContent-Length: 2\r\n\r\nok")

    assert statuses(got) == [200]
    assert all((part in got) is comes for part in line.split(b"\r\n") if not part.startswith(b"Connection"))


@pytest.mark.parametrize("path", ["", "/", "/login?next=/x"])
async def test_a_redirect_names_no_inner_address(gate: Witnessed, path: str) -> None:
    """An upstream that knows only its own address sends the client to ours."""
    location = f"Location: {gate.upstream.url}{path}\r\n".encode()
    got = await relayed(gate, b"HTTP/1.1 302 Found\r\n" + location + b"Content-Length: 0\r\n\r\n")

    assert statuses(got) == [302]
    assert f"Location: {path or '/'}\r\n".encode() in got


async def test_a_packed_answer_keeps_its_description(gate: Witnessed) -> None:
    """The body is not inflated: Content-Encoding and Content-Length stay true."""
    got = await relayed(gate, OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00")

    assert got.endswith(b"\r\n\r\n\x1f\x8b\x08\x00")
    assert re.search(rb"Content-Encoding: gzip\r\n", got)


@pytest.mark.parametrize(
    "answer",
    [OK + b"Content-Length: 100\r\n\r\nhalf", OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ids=["length", "chunks"],
)
async def test_half_an_answer_is_never_a_whole_one(gate: Witnessed, answer: bytes) -> None:
    """An upstream that dies in the middle breaks the client's transfer too."""

    async def dies(_arrival: Arrival) -> bytes:
        for writer in tuple(gate.upstream.open):
            writer.write(answer)
            await writer.drain()
        await asyncio.sleep(0.02)
        return b""

    gate.upstream.answer = dies
    got = await gate.exchange(gate.head("/frontend"))
    assert b"\r\n0\r\n\r\n" not in got
    assert len(got.partition(b"\r\n\r\n")[2].replace(b"<broken>", b"")) < 100
