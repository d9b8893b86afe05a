import asyncio
import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from deploy.demo.edge import create_edge, start_edge
from deploy.demo.forwarding import is_websocket_upgrade
from deploy.demo.issuer import AccessIssuer
from deploy.demo.people import ADA, EXPIRED_TOKEN, NOEL, SERVICE_TOKEN, Person, TokenKind
from deploy.demo.settings import EdgeSettings
from tests.fakes.clock import FrozenClock
from tests.unit.deploy_demo.conftest import AUDIENCE, TEAM_DOMAIN, Browser
from tests.unit.deploy_demo.recording_sidecar import ANSWER, RecordingSidecar

MEGABYTE = 1024 * 1024


@pytest.fixture
def token(issuer: AccessIssuer) -> str:
    """Ada's."""
    return issuer.mint(ADA, audience=AUDIENCE)


def raw_request(line: str, token: str, more: bytes = b"") -> bytes:
    """A request of a few headers, byte by byte."""
    head = f"{line} HTTP/1.1\r\nHost: localhost:8000\r\nCookie: CF_Authorization={token}\r\n"
    return head.encode() + b"Connection: close\r\n" + more + b"\r\n"


async def raw_exchange(port: int, request: bytes) -> bytes:
    """Send bytes as they are; everything that comes back until the edge closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("choice", [ADA, NOEL, SERVICE_TOKEN, EXPIRED_TOKEN], ids=lambda choice: choice.key)
async def test_each_choice_reaches_the_sidecar(
    browser: Browser, sidecar: RecordingSidecar, choice: Person | TokenKind
) -> None:
    """Whoever one chose to be, the cookie's token is the assertion that the sidecar judges (R-161)."""
    token = await browser.choose(choice)
    async with browser.get("/manage", token=token) as answer:
        assert answer.status == 200
    seen = sidecar.last.headers

    assert seen.getall("Cf-Access-Jwt-Assertion") == [token]
    assert seen["Cookie"] == f"theme=dark; CF_Authorization={token}"
    assert seen["Host"] == "localhost:8000"
    email = {ADA: ADA.email, NOEL: NOEL.email, EXPIRED_TOKEN: ADA.email}.get(choice)
    assert seen.get("Cf-Access-Authenticated-User-Email") == email


async def test_a_spoofed_header_is_replaced_on_the_wire(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """A client's own assertion, email, address and Ray ID do not survive the edge (R-171)."""
    lies = {
        "Cf-Access-Jwt-Assertion": "a.b.c",
        "Cf-Access-Authenticated-User-Email": "root@example.com",
        "CF-Connecting-IP": "203.0.113.9",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "Cf-Ray": "mine",
    }
    async with browser.get("/", token=token, headers=lies) as answer:
        ray = answer.headers["Cf-Ray"]
    seen = sidecar.last.headers

    assert seen.getall("Cf-Access-Jwt-Assertion") == [token]
    assert seen.getall("Cf-Access-Authenticated-User-Email") == [ADA.email]
    assert seen.getall("CF-Connecting-IP") == seen.getall("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.getall("X-Forwarded-Proto") == ["http"]
    assert seen.getall("Cf-Ray") == [ray] != ["mine"]


async def test_two_requests_have_two_rays(browser: Browser, sidecar: RecordingSidecar, token: str) -> None:
    """No Ray ID is used twice."""
    for _ in range(2):
        async with browser.get("/", token=token):
            pass

    assert len({request.headers["Cf-Ray"] for request in sidecar.requests}) == 2


async def test_nothing_is_added_that_the_browser_did_not_send(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """The edge invents no User-Agent, Accept or encoding of its own."""
    await raw_exchange(browser.port, raw_request("GET /", token))

    assert {name.lower() for name in sidecar.last.headers} == {
        "host", "cookie", "cf-access-jwt-assertion", "cf-access-authenticated-user-email", "cf-ray",
        "cf-connecting-ip", "cf-ipcountry", "cf-visitor", "x-forwarded-for", "x-forwarded-proto",
    }  # fmt: skip


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb%20c?x=%2B+&y=1%262",
        "//double//",
        "/a/../b",
        "/%2e%2e/x",
        "/a;b=c?d?e",
        "/%zz",
        "/A%c3%a9",
        "/a??",
    ],
)
async def test_the_target_is_not_touched(
    browser: Browser, sidecar: RecordingSidecar, token: str, target: str
) -> None:
    """The sidecar sees the very bytes of path and query, also those that it will refuse (R-011)."""
    answer = await raw_exchange(browser.port, raw_request(f"GET {target}", token))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sidecar.last.target == target


async def test_what_cannot_be_forwarded_is_a_bad_request(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """A target that is no path, or has a fragment that would get lost, is answered 400."""
    hostile = [raw_request(line, token) for line in ("OPTIONS *", "GET http://localhost:8000/", "GET /a#b")]
    answers = [await raw_exchange(browser.port, request) for request in hostile]

    assert [answer.partition(b" B")[0] for answer in answers] == [b"HTTP/1.1 400"] * 3
    assert sidecar.requests == []


async def test_bytes_that_would_get_lost_are_refused(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """A byte that is not UTF-8, which aiohttp would silently leave out on the way, is answered 400."""
    answer = await raw_exchange(browser.port, raw_request("GET /", token, b"X-Raw: a\xffb\r\n"))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert sidecar.requests == []


async def test_other_text_is_not_touched(browser: Browser, sidecar: RecordingSidecar, token: str) -> None:
    """UTF-8 in a header value arrives as the same bytes."""
    await raw_exchange(browser.port, raw_request("GET /", token, "X-Raw: é\r\n".encode()))

    assert sidecar.last.headers["X-Raw"] == "é"


async def test_a_redirect_is_passed_on_and_not_followed(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """The browser gets the sidecar's 307 with its Location as it was."""
    async with browser.get("/redirect", token=token) as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == "/elsewhere?a=%2F"

    assert len(sidecar.requests) == 1


async def test_status_reason_and_both_cookies_are_kept(browser: Browser, token: str) -> None:
    """Two Set-Cookie headers stay two, and the status line stays the sidecar's."""
    async with browser.get("/two-cookies", token=token) as answer:
        assert (answer.status, answer.reason) == (201, "Just Made")
        assert answer.headers.getall("Set-Cookie") == ["a=1; Path=/", "b=2; HttpOnly"]
        assert answer.headers["Server"] == "sallyport-demo-edge"


async def test_a_compressed_answer_stays_compressed(browser: Browser, token: str) -> None:
    """The edge does not open a gzip body: length, encoding and bytes are the sidecar's."""
    async with browser.get("/gzip", token=token) as answer:
        body = await answer.read()

        assert answer.headers["Content-Encoding"] == "gzip"
        assert int(answer.headers["Content-Length"]) == len(body) < len(ANSWER)
    assert gzip.decompress(body) == ANSWER


async def test_a_compressed_upload_stays_compressed(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """A body that says it is gzip arrives as the same bytes under the same encoding."""
    packed = gzip.compress(ANSWER, mtime=0)
    async with browser.request(
        "POST", "/echo", token=token, data=packed, headers={"Content-Encoding": "gzip"}
    ):
        pass

    assert sidecar.last.body == packed
    assert sidecar.last.headers["Content-Encoding"] == "gzip"
    assert sidecar.last.headers["Content-Length"] == str(len(packed))


async def test_an_answer_without_a_type_gets_none(browser: Browser, token: str) -> None:
    """The edge adds no Content-Type to a body that the sidecar gave none."""
    async with browser.get("/untyped", token=token) as answer:
        assert "Content-Type" not in answer.headers
        assert await answer.read() == b"no type"


async def test_a_head_request_keeps_the_length(browser: Browser, token: str) -> None:
    """HEAD is forwarded as HEAD, and the length of the body that is not sent is kept."""
    async with browser.request("HEAD", "/", token=token) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == "2"
        assert await answer.read() == b""


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
async def test_a_megabyte_goes_both_ways(
    browser: Browser, sidecar: RecordingSidecar, token: str, *, chunked: bool
) -> None:
    """A large body arrives whole at the sidecar and whole back, framed as the browser framed it."""
    body = bytes(range(256)) * (MEGABYTE // 256)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, MEGABYTE, 50_000):
            yield body[start : start + 50_000]

    data = pieces() if chunked else body
    async with browser.request("PUT", "/echo", token=token, data=data) as answer:
        assert await answer.read() == body
        assert answer.headers["Content-Type"] == "application/x-echo"
    assert sidecar.last.body == body
    assert sidecar.last.headers.get("Content-Length") == (None if chunked else str(MEGABYTE))


async def test_bodies_are_streamed_and_not_gathered(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """The first half of each body passes while the second half does not exist yet."""
    may_finish = asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield b"first half of the upload"
        await may_finish.wait()
        yield b", second half"

    async with browser.request("POST", "/first-half-then-wait", token=token, data=halves()) as answer:
        assert await answer.content.readany() == b"first half,"
        assert sidecar.last.body == b"first half of the upload"
        may_finish.set()
        sidecar.release.set()
        assert await answer.content.read() == b" second half"


async def test_a_browser_that_leaves_ends_the_stream_upstream(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """When the browser closes a stream, the sidecar's side of it is closed as well."""
    async with browser.get("/first-half-then-wait", token=token) as answer:
        await answer.content.readany()
        answer.close()

    await asyncio.wait_for(sidecar.disconnected.wait(), 20)


async def test_half_an_answer_does_not_look_whole(browser: Browser, token: str) -> None:
    """When the sidecar breaks off in the middle of a body, so does the edge."""
    async with browser.get("/breaks-off", token=token) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_renewed_token_reaches_both_sides(
    browser: Browser, sidecar: RecordingSidecar, clock: FrozenClock
) -> None:
    """A token near its end is renewed on the way: sidecar and browser get the same new one (R-166)."""
    old = await browser.choose(ADA)
    clock.advance(23.5 * 60 * 60)
    async with browser.get("/two-cookies", token=old) as answer:
        cookies = answer.headers.getall("Set-Cookie")
    fresh = sidecar.last.headers["Cf-Access-Jwt-Assertion"]

    assert fresh != old
    assert sidecar.last.headers["Cookie"] == f"theme=dark; CF_Authorization={fresh}"
    assert cookies[-1] == f"CF_Authorization={fresh}; Path=/; HttpOnly; SameSite=Lax"
    assert len(cookies) == 3


async def test_a_websocket_is_relayed(browser: Browser, sidecar: RecordingSidecar, token: str) -> None:
    """Text, binary, the chosen subprotocol and the close code pass; the upgrade carries the assertion."""
    async with browser.http.ws_connect(
        URL(f"http://127.0.0.1:{browser.port}/ws?a=%2F", encoded=True),
        headers={
            "Host": "localhost:8000",
            "Cookie": f"CF_Authorization={token}",
            "Origin": "http://localhost:8000",
        },
        protocols=["unknown", "chat"],
    ) as socket:
        assert socket.protocol == "chat"
        await socket.send_str("hello")
        assert await socket.receive_str() == "you said hello"
        await socket.send_bytes(b"abc")
        assert await socket.receive_bytes() == b"cba"
        await socket.send_str("close")
        closing = await socket.receive()
    seen = sidecar.last

    assert closing.data == 4001
    assert seen.target == "/ws?a=%2F"
    assert seen.headers.getall("Cf-Access-Jwt-Assertion") == [token]
    assert seen.headers["Origin"] == "http://localhost:8000"
    assert len(seen.headers.getall("Sec-WebSocket-Key")) == 1


async def test_a_websocket_that_one_side_leaves_is_left_by_the_other(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """Pings pass in both directions, and when the browser goes the sidecar's side ends with its code."""
    headers = {"Host": "localhost:8000", "Cookie": f"CF_Authorization={token}"}
    async with browser.http.ws_connect(
        f"http://127.0.0.1:{browser.port}/ws", headers=headers, autoping=False
    ) as socket:
        await socket.ping(b"there?")
        pong = await socket.receive()
        await socket._writer.close(4002)  # as browsers do: the frame, then wait for the other side
        await asyncio.wait_for(sidecar.disconnected.wait(), 20)

    assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"there?")
    assert sidecar.websocket_close_code == 4002


async def test_a_browser_that_vanishes_ends_the_websocket_upstream(
    browser: Browser, sidecar: RecordingSidecar, token: str
) -> None:
    """A connection that is lost without a close frame ends the sidecar's side as well."""
    headers = {"Host": "localhost:8000", "Cookie": f"CF_Authorization={token}"}
    socket = await browser.http.ws_connect(f"http://127.0.0.1:{browser.port}/ws", headers=headers)
    socket._response.close()

    await asyncio.wait_for(sidecar.disconnected.wait(), 20)


async def test_a_websocket_to_a_silent_sidecar_is_a_bad_gateway(
    clock: FrozenClock, issuer: AccessIssuer, token: str, unused_tcp_port: int
) -> None:
    """With nobody at the upstream address an upgrade is answered 502."""
    upstream = f"http://127.0.0.1:{unused_tcp_port}"
    settings = EdgeSettings("127.0.0.1:0", upstream, audience=AUDIENCE, team_domain=TEAM_DOMAIN)
    runner = await start_edge(create_edge(settings, clock=clock, issuer=issuer, environment={}))
    headers = {"Host": "localhost:8000", "Cookie": f"CF_Authorization={token}"}
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/ws", headers=headers)
    await runner.cleanup()

    assert refused.value.status == 502


async def test_a_websocket_that_the_sidecar_refuses_is_refused(browser: Browser, token: str) -> None:
    """The refusal's status and headers reach the browser."""
    headers = {"Host": "localhost:8000", "Cookie": f"CF_Authorization={token}"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.http.ws_connect(f"http://127.0.0.1:{browser.port}/ws?refuse=1", headers=headers)

    assert refused.value.status == 403
    assert refused.value.headers is not None
    assert refused.value.headers["X-Reason"] == "origin"


@pytest.mark.parametrize(
    ("connection", "upgrade", "expected"),
    [
        ("Upgrade", "websocket", True),
        ("keep-alive, Upgrade", "WebSocket", True),
        ("keep-alive", "websocket", False),
        ("upgrade", "h2c", False),
    ],
)
def test_an_upgrade_is_told_from_a_list(connection: str, upgrade: str, *, expected: bool) -> None:
    """`Connection` is a list of tokens; one of them is `upgrade`."""
    request = make_mocked_request("GET", "/", headers={"Connection": connection, "Upgrade": upgrade})

    assert is_websocket_upgrade(request) is expected
