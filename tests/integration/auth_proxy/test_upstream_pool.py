"""The pool and the transfer in the running sidecar: whose answer it is, and which server gives it."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auth_proxy.transport import upstream_pool
from deploy.demo.issuer import SigningKey
from tests.fixtures.sidecar import HOST, ORIGIN, SidecarUnderTest, sidecar_under_test
from tests.integration.auth_proxy.scripted_upstream import (
    Script,
    answering,
    conversation,
    request_bytes,
    scripted,
)

OK = b"HTTP/1.1 200 OK\r\n"
SHORT = OK + b"Content-Length: 2\r\n\r\nok"


@dataclass
class Telling:
    """An upstream that keeps what it was asked, and answers the n-th request of a connection as told."""

    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    answers: tuple[bytes | None, ...] = (SHORT,)
    """One for each request of a connection; None closes it without an answer, the last one repeats."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = 0
        while head := await reader.readuntil(b"\r\n\r\n"):
            self.heads.append(head)
            answer = self.answers[min(number, len(self.answers) - 1)]
            number += 1
            if answer is None:
                return
            writer.write(answer)
            await writer.drain()


def asked(sidecar: SidecarUnderTest, target: str = "/x", *lines: str, method: str = "GET") -> bytes:
    head = (
        f"{method} {target} HTTP/1.1",
        f"Host: {HOST}",
        f"Origin: {ORIGIN}",
        f"Cf-Access-Jwt-Assertion: {sidecar.token()}",
        *lines,
    )
    return ("\r\n".join(head) + "\r\n\r\n").encode()


@asynccontextmanager
async def before(key: SigningKey, folder: Path, *scripts: Script) -> AsyncIterator[SidecarUnderTest]:
    """A sidecar before one upstream of so many equal servers."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(scripted(script)) for script in scripts]
        upstream = ",".join(urls)
        yield await stack.enter_async_context(sidecar_under_test(key, folder, AUTH_PROXY_UPSTREAM=upstream))


async def test_bodies_are_never_mixed_up(access_key: SigningKey, tmp_path: Path) -> None:
    """Mixed sizes and framings, many clients, some of whom leave: each gets the bytes of its own path."""

    def body_of(target: str) -> bytes:
        seed = int(target.rpartition("/")[2])
        return random.Random(seed).randbytes(seed * 37 % 200_000)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            target = head.split(b" ")[1].decode()
            body = body_of(target)
            if len(body) % 3:
                writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(body))
                writer.write(body[:1000])
                await asyncio.sleep(0)
                writer.write(body[1000:])
            else:
                writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(body), 9_000):
                    piece = body[at : at + 9_000]
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                writer.write(b"0\r\n\r\n")
            await writer.drain()

    async def client(sidecar: SidecarUnderTest, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        for turn in range(12):
            target = f"/{number * 100 + turn}"
            writer.write(asked(sidecar, target))
            head = await reader.readuntil(b"\r\n\r\n")
            assert await read_body(reader, head) == body_of(target)
            if (number + turn) % 7 == 0:  # leaves in the middle of an answer
                writer.write(asked(sidecar, "/99999"))
                await reader.read(10)
                writer.transport.abort()
                reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.close()

    async with before(access_key, tmp_path, script) as sidecar, asyncio.timeout(30):
        await asyncio.gather(*(client(sidecar, number) for number in range(30)))


async def read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = re.search(rb"Content-Length: (\d+)", head)
    if length:
        return await reader.readexactly(int(length[1]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def test_a_connection_carries_one_request_after_the_other(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """Kept alive at both ends."""
    upstream = Telling()
    async with before(access_key, tmp_path, upstream) as sidecar:
        for number in range(5):
            got = await sidecar.send(asked(sidecar, f"/{number}"))
            assert (got.status, got.body) == (200, b"ok")

    assert len(upstream.heads) == 5
    assert upstream.connections == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_server_that_closes_a_resting_connection_loses_no_safe_request(
    access_key: SigningKey, tmp_path: Path, method: str
) -> None:
    """The second request of a connection is never answered there, and is sent again over a new one."""
    head_only = OK + b"Content-Length: 2\r\n\r\n"
    upstream = Telling(answers=(head_only if method == "HEAD" else SHORT, None))
    async with before(access_key, tmp_path, upstream) as sidecar:
        for number in range(4):
            got = await conversation(sidecar, request_bytes(sidecar, f"/{number}", method=method))
            assert got.startswith(b"HTTP/1.1 200 ")

    assert upstream.connections == 4


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_request_that_changes_something_is_sent_once(
    access_key: SigningKey, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the server saw it is unknown, so nobody repeats it: 502, and one copy at the upstream."""
    monkeypatch.setattr(upstream_pool, "FRESH_SECONDS", 600.0)  # over a new connection it would be answered
    upstream = Telling(answers=(SHORT, None))
    async with before(access_key, tmp_path, upstream) as sidecar:
        await sidecar.send(asked(sidecar))
        got = await sidecar.send(asked(sidecar, "/change", method=method))

    assert got.status == 502
    assert [head for head in upstream.heads if b"/change" in head] == [upstream.heads[-1]]


async def test_a_request_that_changes_something_takes_no_connection_that_rested_long(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers close resting connections when they like; a new one cannot be stale."""
    monkeypatch.setattr(upstream_pool, "FRESH_SECONDS", 0.0)
    upstream = Telling()
    async with before(access_key, tmp_path, upstream) as sidecar:
        await sidecar.send(asked(sidecar))
        assert (await sidecar.send(asked(sidecar, "/change", method="POST"))).status == 200

    assert upstream.connections == 2


async def test_bytes_that_nobody_asked_for_end_the_connection(access_key: SigningKey, tmp_path: Path) -> None:
    """An answer to no request must never become the answer to the next one."""
    upstream = Telling(answers=(SHORT + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",))
    async with before(access_key, tmp_path, upstream) as sidecar:
        for number in range(5):
            got = await sidecar.send(asked(sidecar, f"/{number}"))
            assert got.body == b"ok"

    assert upstream.connections == 5


async def test_a_second_answer_that_comes_later_is_nobodys(access_key: SigningKey, tmp_path: Path) -> None:
    """Also when it arrives while the connection rests."""
    answered = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SHORT)
        await asyncio.sleep(0.05)
        writer.write(OK + b"Content-Length: 4\r\n\r\nevil")
        answered.set()
        await reader.read()

    async with before(access_key, tmp_path, script) as sidecar:
        await sidecar.send(asked(sidecar))
        await answered.wait()
        await asyncio.sleep(0.05)

        assert (await sidecar.send(asked(sidecar, "/next"))).body == b"ok"


async def test_equal_servers_share_the_requests(access_key: SigningKey, tmp_path: Path) -> None:
    """Whoever has fewest in flight is asked: a slow server gets no more than it can do."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            slow_ones.append(1)
            await asyncio.sleep(0.5)
            writer.write(SHORT)

    slow_ones: list[int] = []
    quick = Telling()
    async with before(access_key, tmp_path, slow, quick) as sidecar:

        async def client() -> None:
            for number in range(10):
                assert (await sidecar.send(asked(sidecar, f"/{number}"))).status == 200

        await asyncio.gather(*(client() for _ in range(4)))

    assert len(slow_ones) + len(quick.heads) == 40
    assert 1 <= len(slow_ones) <= 12


async def test_a_server_that_is_down_costs_no_request(
    access_key: SigningKey, tmp_path: Path, unused_tcp_port: int
) -> None:
    """It is passed by for a while: no request is lost, whatever its method."""
    upstream = Telling()
    async with scripted(upstream) as url:
        both = f"http://127.0.0.1:{unused_tcp_port},{url}"
        async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=both) as sidecar:
            for method in ("GET", "POST", "DELETE", "GET", "POST"):
                assert (await sidecar.send(asked(sidecar, method=method))).status == 200

    assert len(upstream.heads) == 5


async def test_when_all_servers_are_down_it_is_502(
    access_key: SigningKey, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """By name, and the next request tries again."""
    both = ",".join(f"http://127.0.0.1:{unused_tcp_port_factory()}" for _ in range(2))
    async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=both) as sidecar:
        for _ in range(3):
            assert (await sidecar.send(asked(sidecar))).status == 502


async def test_an_answer_before_the_end_of_the_upload_comes_through(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """A server that refuses a large body at once is heard, and its connection is not used again."""
    refusing = answering(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!")
    async with before(access_key, tmp_path, refusing) as sidecar:
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(asked(sidecar, "/x", "Content-Length: 50000000", method="POST") + b"x" * 100_000)
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(3)
        writer.close()

    assert head.startswith(b"HTTP/1.1 413 ")
    assert body == b"no!"


async def test_half_an_upload_is_not_the_beginning_of_the_next_request(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """A server that answers early and keeps its connection still waits there for the rest of the body."""
    refusing = Telling(answers=(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!",))
    async with before(access_key, tmp_path, refusing) as sidecar:
        _, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(asked(sidecar, "/x", "Content-Length: 5000", method="POST") + b"x" * 10)
        while not refusing.heads:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await sidecar.send(asked(sidecar, "/next"))
        writer.close()

    assert refusing.connections == 2
    assert refusing.heads[1].startswith(b"GET /next ")


@pytest.mark.parametrize("version, hears", [("1.1", True), ("1.0", False)])
async def test_early_hints_go_to_those_who_understand_them(
    access_key: SigningKey, tmp_path: Path, version: str, *, hears: bool
) -> None:
    """RFC 9110 section 15.2: a proxy passes announcements on, but not to HTTP/1.0; 100 is ours alone."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Internal-Identity: eyJ\r\n\r\n"
    script = answering(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + SHORT)
    async with before(access_key, tmp_path, script) as sidecar:
        request = request_bytes(sidecar, "/x").replace(b"HTTP/1.1", b"HTTP/" + version.encode())
        got = await conversation(sidecar, request)

    assert (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" in got) is hears
    assert got.count(b"HTTP/1.1 ") == 1 + hears
    assert b"eyJ" not in got
    assert got.endswith(b"\r\n\r\nok")


async def test_an_old_client_gets_a_stream_that_ends_with_its_connection(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """HTTP/1.0 knows no chunks."""
    script = answering(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    async with before(access_key, tmp_path, script) as sidecar:
        request = request_bytes(sidecar, "/x").replace(b"HTTP/1.1", b"HTTP/1.0")
        head, _, body = (await conversation(sidecar, request)).partition(b"\r\n\r\n")

    assert body == b"abcde"
    assert b"ransfer-" not in head
    assert b"\r\nConnection: close" in head


async def test_a_client_that_does_not_read_holds_its_upstream_back(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """At most a window lies in the sidecar: the upstream cannot get rid of its 200 MB."""
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 200000000\r\n\r\n")
        for _ in range(2000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with before(access_key, tmp_path, script) as sidecar:
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port, limit=1024)
        writer.write(asked(sidecar))
        await reader.readuntil(b"\r\n")
        held_back_at = -1
        async with asyncio.timeout(20):
            while sent != held_back_at:
                held_back_at = sent
                await asyncio.sleep(0.5)

        assert sent < 30_000_000  # what the kernel's two buffers take, and little more
        writer.transport.abort()
