"""The data path through the running sidecar: every byte as it is, and a clear answer when it breaks."""

import asyncio
import gzip
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from auth_proxy.transport import relay
from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fixtures.sidecar import HOST, ORIGIN, SidecarUnderTest, person, sidecar_under_test
from tests.integration.auth_proxy.scripted_upstream import (
    Script,
    answering,
    conversation,
    request_bytes,
    scripted,
)

OK = b"HTTP/1.1 200 OK\r\n"


async def through(key: SigningKey, folder: Path, script: Script, *lines: str, method: str = "GET") -> bytes:
    """One granted request to an upstream of one script, and all that came back."""
    async with scripted(script) as url, sidecar_under_test(key, folder, AUTH_PROXY_UPSTREAM=url) as sidecar:
        return await conversation(sidecar, request_bytes(sidecar, "/x", *lines, method=method))


@pytest.fixture
async def echo(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[SidecarUnderTest]:
    """A sidecar before an aiohttp frontend that sends back what it was sent."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"X-Method": request.method, "X-Raw-Path": request.raw_path})
        response.headers["X-Names"] = ",".join(sorted({name.lower() for name in request.headers}))
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1, auto_decompress=False)
    url = f"http://127.0.0.1:{server.port}"
    async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar:
        yield sidecar
    await server.close()


def unchunked(answer: bytes) -> bytes:
    """The body of a chunked answer, which must end well."""
    rest = answer.partition(b"\r\n\r\n")[2]
    parts = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        parts.append(rest[:length])
        assert rest[length : length + 2] == b"\r\n"
        rest = rest[length + 2 :]
        if length == 0:
            assert rest == b""
            return b"".join(parts)


async def test_five_megabytes_up_and_down_are_the_same_bytes(echo: SidecarUnderTest) -> None:
    """A body is streamed both ways and not a byte of it changes."""
    body = os.urandom(5 * 1024 * 1024)
    head = request_bytes(echo, "/upload", f"Content-Length: {len(body)}", method="PUT")
    answer = await conversation(echo, head + body)

    assert hashlib.sha256(unchunked(answer)).digest() == hashlib.sha256(body).digest()


async def test_chunks_go_both_ways_and_trailers_go_nowhere(echo: SidecarUnderTest) -> None:
    """A chunked upload arrives whole; a trailer is no way to smuggle an identity header."""
    head = request_bytes(
        echo, "/upload", "Transfer-Encoding: chunked", "Trailer: X-Internal-Identity", method="POST"
    )
    answer = await conversation(
        echo, head + b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Internal-Identity: evil\r\n\r\n"
    )

    assert unchunked(answer) == b"abcdefg"
    assert b"trailer" not in answer.lower()


async def test_a_compressed_upload_stays_compressed(echo: SidecarUnderTest) -> None:
    """A gzip bomb is not unpacked here, and Content-Encoding stays true."""
    packed = gzip.compress(b"0" * 100_000, mtime=0)
    head = request_bytes(
        echo, "/x", "Content-Encoding: gzip", f"Content-Length: {len(packed)}", method="POST"
    )

    assert unchunked(await conversation(echo, head + packed)) == packed


@pytest.mark.parametrize(
    "target, arrives",
    [
        ("/a%20b/%c3%a9?x=%2e%2e&y=a+b&&z", "/a%20b/%C3%A9?x=%2e%2e&y=a+b&&z"),
        ("/%7euser/?", "/~user/"),
        ("/", "/"),
    ],
)
async def test_the_bytes_that_were_decided_on_arrive(
    echo: SidecarUnderTest, target: str, arrives: str
) -> None:
    """R-011: the upstream parses exactly the target that the decision was made about."""
    answer = await conversation(echo, request_bytes(echo, target))

    assert f"X-Raw-Path: {arrives}\r\n".encode() in answer


async def test_no_header_of_this_hop_goes_on(echo: SidecarUnderTest) -> None:
    """Connection, Keep-Alive, TE, Upgrade and what Connection names end here."""
    lines = ("Keep-Alive: 5", "TE: trailers", "Connection: X-Mine", "X-Mine: 1", "X-Yours: 1")
    answer = await conversation(echo, request_bytes(echo, "/x", *lines))
    names = answer.partition(b"X-Names: ")[2].partition(b"\r\n")[0].decode().split(",")

    assert "x-yours" in names
    assert not {"keep-alive", "te", "x-mine", "upgrade", "trailer", "cf-access-jwt-assertion"} & set(names)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_a_body_ends_at_its_head(
    access_key: SigningKey, tmp_path: Path, status: str
) -> None:
    """204 and 304: no body, no chunk, and the connection goes on being readable."""
    answer = await through(
        access_key, tmp_path, answering(f'HTTP/1.1 {status}\r\nETag: "a"\r\n\r\n'.encode())
    )

    assert answer.startswith(f"HTTP/1.1 {status}\r\n".encode())
    assert answer.endswith(b"\r\n\r\n")
    assert b'etag: "a"' in answer.lower()


async def test_a_head_has_the_length_and_no_body(access_key: SigningKey, tmp_path: Path) -> None:
    """HEAD: the upstream's Content-Length is kept, and not one byte follows the head."""
    script = answering(OK + b"Content-Length: 12345\r\n\r\n")
    answer = await through(access_key, tmp_path, script, method="HEAD")

    assert b"Content-Length: 12345\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_the_answers_headers_come_through_and_ours_do_not(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """Two cookies stay two; an upstream cannot show an internal identity or its own server name."""
    script = answering(
        OK
        + b"Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nServer: Secret/1.0\r\nX-Internal-Identity: eyJ\r\n"
        + b"X_Internal_Delegation: eyJ\r\nCf-Access-Jwt-Assertion: eyJ\r\nKeep-Alive: timeout=9\r\n"
        + b"Connection: X-Hop\r\nX-Hop: 1\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = (await through(access_key, tmp_path, script)).decode()
    lines = answer.partition("\r\n\r\n")[0].split("\r\n")

    assert [line for line in lines if line.startswith("Set-Cookie")] == [
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=2",
    ]
    assert "Server: sallyport" in lines
    assert not [
        line for line in lines if "eyJ" in line or "Secret" in line or "X-Hop" in line or "Keep-Alive" in line
    ]
    assert [line[:17] for line in lines if line.startswith("X-Request-Id")] == ["X-Request-Id: req"]


async def test_a_redirect_is_the_clients_to_follow(access_key: SigningKey, tmp_path: Path) -> None:
    """The sidecar follows no redirect: it would carry the identity to another host."""
    script = answering(b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n")
    answer = await through(access_key, tmp_path, script)

    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    assert b"Location: http://evil.example/\r\n" in answer


async def test_a_compressed_answer_is_not_touched(access_key: SigningKey, tmp_path: Path) -> None:
    """Content-Encoding, Content-Length and body agree as the upstream sent them."""
    packed = gzip.compress(b"hello", mtime=0)
    head = OK + f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    answer = await through(access_key, tmp_path, answering(head + packed))

    assert answer.partition(b"\r\n\r\n")[2] == packed
    assert b"Content-Encoding: gzip" in answer


async def test_an_upstream_that_is_down_is_502(access_key: SigningKey, tmp_path: Path) -> None:
    """Nobody listens: a named refusal, not a broken connection."""
    async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM="http://127.0.0.1:1") as sidecar:
        got = await sidecar.get("/x")

    assert got.status == 502
    assert b"UPSTREAM_UNAVAILABLE" in got.body
    assert sidecar.refusals("upstream_unavailable") == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["closed", "garbage", "header", "CR", "NUL", "two lengths", "length and chunks", "101 unasked"],
)
async def test_an_answer_that_is_none_is_502(access_key: SigningKey, tmp_path: Path, answer: bytes) -> None:
    """What cannot be read in one way is not passed on."""
    got = await through(access_key, tmp_path, answering(answer))

    assert got.startswith(b"HTTP/1.1 502 ")
    assert b"UPSTREAM_UNAVAILABLE" in got


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for an answer's head, a hundredth of its length."""
    monkeypatch.setitem(relay.Relay.__init__.__kwdefaults__ or {}, "header_seconds", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "method, lines, body",
    [
        ("GET", (), b""),
        ("POST", ("Content-Length: 4",), b"body"),
        ("POST", ("Transfer-Encoding: chunked",), b"0\r\n\r\n"),
    ],
)
async def test_an_upstream_that_does_not_answer_is_504(
    access_key: SigningKey, tmp_path: Path, method: str, lines: tuple[str, ...], body: bytes
) -> None:
    """The wait for the head has an end, also after an upload."""

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass

    async with (
        scripted(silent) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        got = await conversation(sidecar, request_bytes(sidecar, "/x", *lines, method=method) + body)

    assert got.startswith(b"HTTP/1.1 504 ")
    assert b"UPSTREAM_TIMEOUT" in got


@pytest.mark.usefixtures("impatient")
async def test_a_slow_upload_and_a_slow_stream_have_no_total_time(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """Longer than the wait for a head, in both directions, and still whole."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for byte in body:
            writer.write(b"1\r\n" + bytes([byte]) + b"\r\n")
            await asyncio.sleep(0.12)
        writer.write(b"0\r\n\r\n")

    async with (
        scripted(slow) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(request_bytes(sidecar, "/x", "Content-Length: 4", method="POST"))
        for byte in b"slow":
            await asyncio.sleep(0.12)
            writer.write(bytes([byte]))
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()

    assert unchunked(answer) == b"slow"


@pytest.mark.parametrize(
    "answer",
    [b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ids=["length", "chunks"],
)
async def test_an_upstream_that_dies_mid_body_breaks_the_transfer(
    access_key: SigningKey, tmp_path: Path, answer: bytes
) -> None:
    """A client must never take half an answer for the whole: no end of the body is made up."""
    got = await through(access_key, tmp_path, answering(OK + answer))

    assert b"\r\n0\r\n\r\n" not in got
    assert got.startswith(b"HTTP/1.1 200") or got == b"<broken>"
    assert len(got.partition(b"\r\n\r\n")[2].replace(b"<broken>", b"")) < 100


async def test_a_client_that_leaves_cancels_its_upstream(access_key: SigningKey, tmp_path: Path) -> None:
    """Work that nobody waits for is given up at once."""
    arrived, left = asyncio.Event(), asyncio.Event()

    async def patient(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        left.set()

    async with (
        scripted(patient) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(request_bytes(sidecar, "/x"))
        await asyncio.wait_for(arrived.wait(), 20)
        writer.close()

        await asyncio.wait_for(left.wait(), 20)


@pytest.mark.parametrize("framing", ["Content-Length: 2000", "Transfer-Encoding: chunked"])
async def test_a_body_beyond_the_limit_is_413_however_it_is_framed(
    access_key: SigningKey, tmp_path: Path, framing: str
) -> None:
    """AUTH_PROXY_MAX_BODY counts bytes: chunks, which name no length, are no way around it."""
    async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_MAX_BODY="1000") as sidecar:
        body = b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n" if "chunked" in framing else b"x" * 2000
        got = await conversation(sidecar, request_bytes(sidecar, "/x", framing, method="POST") + body)

    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"BODY_TOO_LARGE" in got
    assert not [request for request in sidecar.upstream.received if request.body]


async def test_a_body_at_the_limit_passes(access_key: SigningKey, tmp_path: Path) -> None:
    """The last allowed byte, in chunks."""
    async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_MAX_BODY="1000") as sidecar:
        body = b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"
        head = request_bytes(sidecar, "/x", "Transfer-Encoding: chunked", method="POST")
        got = await sidecar.send(head + body)

    assert got.status == 200
    assert sidecar.upstream.received[0].body == b"x" * 1000


async def test_each_pipelined_request_gets_its_own_answer(sidecar: SidecarUnderTest) -> None:
    """A refusal between two grants shifts no answer to another request."""
    token = sidecar.token(person(Role.READ_ONLY))
    head = f"Host: {HOST}\r\nCf-Access-Jwt-Assertion: {token}\r\n"
    requests = (
        f"GET /api/admin/tenants?n=1 HTTP/1.1\r\n{head}\r\n"
        f"GET /api/admin/system HTTP/1.1\r\n{head}\r\n"
        f"GET /api/admin/tenants?n=2 HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    )
    answer = (await conversation(sidecar, requests.encode())).decode()

    assert re.findall(r"HTTP/1\.1 (\d+)", answer) == ["200", "403", "200"]
    assert [r.line.split(" ")[1][-3:] for r in sidecar.upstream.received] == ["n=1", "n=2"]


async def test_after_a_refused_body_no_second_request_is_read(sidecar: SidecarUnderTest) -> None:
    """What follows a refused upload may be its body: the connection ends."""
    refused = f"POST /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\nbody"
    answer = await conversation(sidecar, refused.encode() + request_bytes(sidecar))

    assert answer.count(b"HTTP/1.1 ") == 1
    assert sidecar.nothing_arrived


async def test_an_empty_upgrade_header_stops_no_body(sidecar: SidecarUnderTest) -> None:
    """The parser ends a request at an Upgrade header, also an empty one: it is refused, not half read."""
    head = (
        f"POST /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\nConnection: upgrade\r\n"
        f"Upgrade: \r\nCf-Access-Jwt-Assertion: {sidecar.token()}\r\nContent-Length: 4\r\n\r\nbody"
    )
    got = await sidecar.send(head.encode())

    assert got.status == 400
    assert sidecar.nothing_arrived


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nabc\r\n",
        b"3\r\nabcXX",
        b"ffffffffffffffffff\r\nabc",
        b"3\nabc\n0\n\n",
        b"3\r\nabc\r\n0\r\nBad trailer\r\n\r\n",
    ],
    ids=["size", "end", "overflow", "bare LF", "trailer"],
)
@pytest.mark.parametrize("pause", [0, 0.05])
async def test_a_body_that_breaks_off_is_refused_at_once(
    sidecar: SidecarUnderTest, body: bytes, pause: float
) -> None:
    """Chunks that cannot be read end the request: it neither hangs nor looks whole to the upstream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(request_bytes(sidecar, "/x", "Transfer-Encoding: chunked", method="POST"))
    await asyncio.sleep(pause)
    writer.write(body)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()

    assert re.match(rb"HTTP/1\.[01] 400 ", answer)
    assert b"BAD_REQUEST_SHAPE" in answer
    assert sidecar.refusals("request_malformed") == 1
    assert sidecar.upstream.received == []


async def test_garbage_behind_a_whole_request_spoils_only_itself(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """The request that is being answered is answered; what follows it is no request."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nbody")
        await asyncio.sleep(0.2)
        writer.write(OK + b"Content-Length: 2\r\n\r\nok")

    async with (
        scripted(slow) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        head = request_bytes(sidecar, "/x", "Content-Length: 4", method="POST")
        writer.write(head.replace(b"Connection: close\r\n", b"") + b"body")
        await asyncio.sleep(0.1)
        writer.write(b"\x00garbage\r\n\r\n")
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()

    assert re.findall(rb"HTTP/1\.[01] (\d+)", answer) == [b"200", b"400"]


@pytest.mark.parametrize("byte", [b"\x01", b"\x0b", b"\x7f"])
@pytest.mark.parametrize(
    "body", [b"Content-Length: 2\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
)
async def test_a_header_that_cannot_be_sent_on_is_502(
    access_key: SigningKey, tmp_path: Path, byte: bytes, body: bytes
) -> None:
    """A broken upstream is named as one, in a well-framed answer, and is no defect of the sidecar."""
    answer = b"HTTP/1.1 200 OK\r\nX-Odd: a" + byte + b"b\r\n" + body
    async with (
        scripted(answering(answer)) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        got = await sidecar.get("/x")

        assert got.status == 502
        assert json.loads(got.body)["code"] == "UPSTREAM_UNAVAILABLE"
        assert got.header("Transfer-Encoding") == ""
        assert sidecar.refusals("internal_error") == 0
