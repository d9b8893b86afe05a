"""Plain requests are answered without a task, and nobody can tell: the same answers, order and ends."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from auth_proxy.gate import Gate
from auth_proxy.pipeline.exchange import RawRequest
from auth_proxy.transport import client_connection, parked, quick_path
from auth_proxy.transport.transfer import Transfer
from auth_proxy.transport.turns import Turns
from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fakes.admin_service import operator
from tests.fixtures.attacked import witnessed_log
from tests.fixtures.sidecar import HOST, STRANGER, SidecarUnderTest, person, sidecar_under_test
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.websockets import gauge, until
from tests.integration.auth_proxy.scripted_upstream import scripted

OK = b"HTTP/1.1 200 OK\r\n"
Ask = Callable[[SidecarUnderTest], bytes]


class Counted:
    """Counts which door of the gate each request takes."""

    def __init__(self, sidecar: SidecarUnderTest) -> None:
        self.server = sidecar.sidecar.gate
        self.quick = self.complete = 0
        at_once, handler = self.server.at_once, self.server.request_handler
        assert at_once is not None

        def quick(*words: object) -> bool:
            answered = at_once(*words)  # type: ignore[arg-type] # as the listener asks
            self.quick += answered
            return answered

        async def complete(request: web.BaseRequest) -> web.StreamResponse:
            self.complete += 1
            return await handler(request)

        self.server.at_once, self.server.request_handler = quick, complete


def head(
    sidecar: SidecarUnderTest,
    target: str = "/x",
    *lines: str,
    method: str = "GET",
    token: str | None = None,
    version: str = "1.1",
) -> bytes:
    """A request that keeps its connection."""
    said = [f"{method} {target} HTTP/{version}", f"Host: {HOST}"]
    said.append(f"Cf-Access-Jwt-Assertion: {sidecar.token() if token is None else token}")
    return ("\r\n".join([*said, *lines]) + "\r\n\r\n").encode()


async def answer(reader: asyncio.StreamReader, *, is_head: bool = False) -> bytes:
    """One answer of known length."""
    async with asyncio.timeout(20):
        read = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", read, re.IGNORECASE)
        return read + (await reader.readexactly(int(length[1])) if length and not is_head else b"")


@asynccontextmanager
async def connected(
    sidecar: SidecarUnderTest,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def warm(sidecar: SidecarUnderTest, token: str) -> None:
    """Have the token proven, so that the next request with it waits for nothing."""
    async with connected(sidecar) as (reader, writer):
        writer.write(head(sidecar, token=token))
        await answer(reader)


ASKED: dict[str, Callable[[str], tuple[str, tuple[str, ...], str]]] = {
    "granted": lambda token: ("GET /x", (), token),
    "HEAD": lambda token: ("HEAD /x", (), token),
    "HEAD refused": lambda token: ("HEAD /api/admin/unheard-of", (), token),
    "no token": lambda _token: ("GET /x", (), "-"),
    "bad token": lambda token: ("GET /x", (), token[:-4] + "AAAA"),
    "no route": lambda token: ("GET /api/admin/unheard-of", (), token),
    "method of a route": lambda token: ("PUT /api/admin/tenants", ("Origin: https://" + HOST,), token),
    "unheard-of method": lambda token: ("OPTIONS /api/admin/tenants", (), token),
    "wrong origin": lambda token: ("POST /x", ("Origin: https://evil.example",), token),
    "spoofed": lambda token: ("GET /x", ("X_Internal.Identity: a",), token),
    "dots": lambda token: ("GET /x/../y", (), token),
    "page": lambda token: ("GET /x/../y", ("Accept: text/html",), token),
    "empty body": lambda token: ("POST /x", ("Origin: https://" + HOST, "Content-Length: 0"), token),
}


def without_chance(raw: bytes) -> bytes:
    """An answer without what differs between any two: ids, nonces, the date, and aiohttp's HTTP/1.0."""
    raw = raw.replace(b"HTTP/1.0 ", b"HTTP/1.1 ", 1)
    raw = re.sub(rb"req_[0-9A-Z]{26}", b"req_", raw)
    raw = re.sub(rb"nonce[-=]\"?[\w-]+", b"nonce", raw)
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    kept = sorted(line for line in lines[1:] if not line.lower().startswith((b"date:", b"connection:")))
    return b"\r\n".join([lines[0], *kept, raw.partition(b"\r\n\r\n")[2]])


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("name", ASKED)
async def test_both_doors_give_the_same_answer(sidecar: SidecarUnderTest, name: str, version: str) -> None:
    """R-003, R-051: status, headers and body are the same whichever way a request takes."""
    token = sidecar.token(person(Role.SUPER_ADMIN))
    await warm(sidecar, token)
    words, lines, sent = ASKED[name](token)
    method, target = words.split()
    await warm(sidecar, sent)  # a refusal of a bad token is remembered as well
    request = head(sidecar, target, *lines, method=method, token=sent, version=version)
    if sent == "-":
        request = re.sub(rb"Cf-Access-Jwt-Assertion: -\r\n", b"", request)
    counted = Counted(sidecar)
    answers = []
    for is_quick in (True, False):
        at_once = counted.server.at_once
        counted.server.at_once = at_once if is_quick else None
        async with connected(sidecar) as (reader, writer):
            writer.write(request)
            answers.append(await answer(reader, is_head=method == "HEAD"))
        counted.server.at_once = at_once

    assert (counted.quick, counted.complete) == (1, 1)
    assert without_chance(answers[0]) == without_chance(answers[1])


async def test_a_connection_comes_back_to_the_quick_path(sidecar: SidecarUnderTest) -> None:
    """performance.md section 4: after one slow request the prototype stayed slow for ever."""
    counted = Counted(sidecar)
    token = sidecar.token()
    async with connected(sidecar) as (reader, writer):
        upload = head(
            sidecar, "/u", f"Origin: https://{HOST}", "Content-Length: 1", method="POST", token=token
        )
        for turn in range(300):  # each the moment the last answer has come
            writer.write(head(sidecar, token=token) if turn else upload + b"u")
            assert (await answer(reader)).startswith(OK)
        assert (counted.quick, counted.complete) == (299, 1)
        writer.write(head(sidecar, token=token) * 3)  # the parser has not run out of places for messages
        for _ in range(3):
            assert (await answer(reader)).startswith(OK)


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (("Content-Length: 4", "Origin: https://" + HOST), b"body"),
        (("Transfer-Encoding: chunked", "Origin: https://" + HOST), b"4\r\nbody\r\n0\r\n\r\n"),
        (("Expect: 100-continue", "Content-Length: 0", "Origin: https://" + HOST), b""),
        (("Upgrade: h2c",), b""),
        (("Connection: upgrade", "Upgrade: websocket"), b""),
    ],
    ids=["length", "chunked", "expect", "upgrade alone", "upgrade"],
)
async def test_what_is_not_plain_takes_the_complete_path(
    sidecar: SidecarUnderTest, lines: tuple[str, ...], body: bytes
) -> None:
    """performance.md section 3: without a body, upgrade, Expect or chunking, or not at all."""
    token = sidecar.token()
    await warm(sidecar, token)
    counted = Counted(sidecar)
    async with connected(sidecar) as (reader, writer):
        writer.write(head(sidecar, "/x", *lines, method="POST", token=token) + body)
        await answer(reader)

    assert (counted.quick, counted.complete) == (0, 1)


@pytest.mark.parametrize("cut", [1, 10, 40, -30, -3, -1])
async def test_a_head_in_two_reads_is_one_request(sidecar: SidecarUnderTest, cut: int) -> None:
    """The parser keeps what it has read, wherever the network cut it."""
    token = sidecar.token()
    await warm(sidecar, token)
    request = head(sidecar, "/cut", token=token)
    async with connected(sidecar) as (reader, writer):
        for _ in range(2):
            writer.write(request[:cut])
            await asyncio.sleep(0.02)
            writer.write(request[cut:])
            assert (await answer(reader)).startswith(OK)

    assert [item.line.split()[1] for item in sidecar.upstream.received[-2:]] == ["/cut", "/cut"]


async def slow_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the path that was asked, after the tenths of a second that its last digit says."""
    while True:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        await asyncio.sleep(int(path[-1:]) / 10)
        writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(path), path))


@asynccontextmanager
async def before_slow_echo(key: SigningKey, folder: Path) -> AsyncIterator[tuple[SidecarUnderTest, str]]:
    async with (
        scripted(slow_echo) as url,
        sidecar_under_test(key, folder, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        token = sidecar.token()
        async with connected(sidecar) as (reader, writer):
            writer.write(head(sidecar, "/0", token=token))
            await answer(reader)
        yield sidecar, token


@pytest.mark.parametrize("pause", [0, 0.02, 0.15], ids=["at once", "in flight", "later"])
@pytest.mark.parametrize("cut", [0, 25], ids=["whole", "in pieces"])
async def test_who_asks_on_before_the_answer_gets_all_in_order(
    access_key: SigningKey, tmp_path: Path, pause: float, cut: int
) -> None:
    """RFC 9112 section 9.3.2: pipelined requests are answered in the order in which they came."""
    async with before_slow_echo(access_key, tmp_path) as (sidecar, token):
        paths = ["/a2", "/b1", "/c0", "/d1", "/e0"]
        async with connected(sidecar) as (reader, writer):
            for path in paths:
                request = head(sidecar, path, token=token)
                writer.write(request[:cut])
                if pause:
                    await asyncio.sleep(pause)
                writer.write(request[cut:])
            answers = [(await answer(reader)).rpartition(b"\r\n\r\n")[2].decode() for _ in paths]

    assert answers == paths


async def test_a_plain_request_and_an_upload_behind_it(access_key: SigningKey, tmp_path: Path) -> None:
    """What stands behind a request that is being answered may be of any kind."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            read = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.1)
            length = re.search(rb"content-length: (\d+)", read, re.IGNORECASE)
            body = await reader.readexactly(int(length[1]) if length else 0)
            writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async with (
        scripted(echo) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        token = sidecar.token()
        upload = head(
            sidecar, "/u", "Content-Length: 200000", f"Origin: https://{HOST}", method="POST", token=token
        )
        async with connected(sidecar) as (reader, writer):
            for _ in range(2):
                writer.write(head(sidecar, token=token))
                await asyncio.sleep(0.02)
                writer.write(upload + b"u" * 200_000)
                assert (await answer(reader)).endswith(b"\r\n\r\n")
                assert (await answer(reader)).endswith(b"\r\n\r\n" + b"u" * 200_000)


async def test_many_people_on_many_connections_get_their_own_bodies(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """performance.md section 4: mixed sizes, keep-alive, aborts: not one body of somebody else."""

    async def sized(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            body = path * (1 + int(path.rpartition(b"-")[2]) % 7 * 4000)
            writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()

    async with (
        scripted(sized) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        token = sidecar.token()

        async def client(number: int) -> int:
            for turn in range(30):
                async with connected(sidecar) as (reader, writer):
                    for step in range(4):
                        path = f"/{number}-{turn * 4 + step}"
                        writer.write(head(sidecar, path, token=token))
                        if (number + turn) % 5 == 0 and step == 3:
                            break  # leaves while the answer is on its way
                        body = (await answer(reader)).partition(b"\r\n\r\n")[2]
                        assert body == path.encode() * (1 + (turn * 4 + step) % 7 * 4000)
            return number

        assert sorted(await asyncio.gather(*(client(number) for number in range(8)))) == list(range(8))


async def test_a_client_that_leaves_ends_its_upstream(access_key: SigningKey, tmp_path: Path) -> None:
    """Nobody works for somebody who has left, and the log says 499."""
    ended = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 2\r\n\r\nhi")
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        ended.set()

    async with (
        scripted(waits) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        token = sidecar.token()
        await warm(sidecar, token)
        counted = Counted(sidecar)
        with witnessed_log() as witness:
            async with connected(sidecar) as (_, writer):
                writer.write(head(sidecar, token=token))
                await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
            async with asyncio.timeout(20):
                await ended.wait()
            await until(lambda: gauge(sidecar, "requests_in_flight") == 0)
            await asyncio.sleep(0)
        assert counted.quick == 1
        assert [line["status"] for line in witness.decisions] == [499]
        assert not sidecar.sidecar.gate.connections


async def test_a_dead_upstream_is_502_and_the_connection_goes_on(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """Architecture section 3: an upstream's failure has a name; its client's connection goes on."""

    async def dies_at_three(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (path := (await reader.readuntil(b"\r\n\r\n")).split()[1]) != b"/dies":
            writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(path), path))

    async with (
        scripted(dies_at_three) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        token = sidecar.token()
        await warm(sidecar, token)
        counted = Counted(sidecar)
        async with connected(sidecar) as (reader, writer):
            for path in ("/x", "/dies", "/y"):
                writer.write(head(sidecar, path, token=token))
                expected = b"HTTP/1.1 502 " if path == "/dies" else OK
                assert (await answer(reader)).startswith(expected)

    assert counted.complete == 0


async def test_a_stopping_process_finishes_what_it_answers(access_key: SigningKey, tmp_path: Path) -> None:
    """Architecture section 9: in-flight requests finish, and their connections end with the answer."""
    async with before_slow_echo(access_key, tmp_path) as (sidecar, token):
        runner = web.ServerRunner(sidecar.sidecar.gate, shutdown_timeout=60)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        counted = Counted(sidecar)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(sidecar, "/slow4", token=token))
        await until(lambda: counted.quick == 1)
        started = Stopwatch()
        stopping = asyncio.create_task(runner.cleanup())
        async with asyncio.timeout(20):
            everything = await reader.read()
            await stopping
        writer.close()

    assert everything.startswith(OK)
    assert b"\r\nConnection: close\r\n" in everything
    assert everything.endswith(b"/slow4")
    assert started.awake < 2


async def test_a_stopping_process_does_not_wait_for_ever(access_key: SigningKey, tmp_path: Path) -> None:
    """What takes longer than the drain is cut off."""
    async with before_slow_echo(access_key, tmp_path) as (sidecar, token):
        runner = web.ServerRunner(sidecar.sidecar.gate, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(head(sidecar, "/slow9", token=token))
        await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
        started = Stopwatch()
        await runner.cleanup()
        assert started.awake < 0.8
        assert await reader.read() == b""
        writer.close()
        await until(lambda: gauge(sidecar, "requests_in_flight") == 0)


async def test_a_slow_answer_is_no_resting_connection(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keep-alive time counts from an answer to the next request, not through an answer."""
    monkeypatch.setitem(client_connection._LIMITS, "keepalive_timeout", 0.15)
    async with before_slow_echo(access_key, tmp_path) as (sidecar, token):
        counted = Counted(sidecar)
        async with connected(sidecar) as (reader, writer):
            started = Stopwatch()
            writer.write(head(sidecar, "/slow5", token=token))
            assert (await answer(reader)).endswith(b"/slow5")
            assert await reader.read() == b""  # now it rested for too long
            assert started.seconds > 0.6
            assert started.awake < 1.6

    assert counted.quick == 1


async def test_a_revoked_operator_gets_no_answer_that_is_still_to_come(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-064: a request under way when its operator is deactivated is refused, not answered."""

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 2\r\n\r\nhi")
        await reader.read()

    async with (
        scripted(never) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        who = person(Role.SUPPORT)
        token = sidecar.token(who)
        await warm(sidecar, token)
        async with connected(sidecar) as (reader, writer):
            writer.write(head(sidecar, token=token))
            await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
            await asyncio.sleep(0.4)  # the first look passes what has just begun
            sidecar.admin.put(operator(who.sub, who.email, Role.SUPPORT, active=False))
            refused = await answer(reader)

    assert refused.startswith(b"HTTP/1.1 403 ")
    assert b"ACCOUNT_DEACTIVATED" in refused


async def test_a_stranger_keeps_the_connection_but_goes_first(access_key: SigningKey, tmp_path: Path) -> None:
    """A refusal that proves nobody ends no connection, and holds no place when somebody needs one."""
    limits = {"AUTH_PROXY_MAX_CONNECTIONS": "2"}
    async with sidecar_under_test(access_key, tmp_path, **limits) as sidecar:
        await until(lambda: gauge(sidecar, "connections") == 0)
        token = sidecar.token()
        await warm(sidecar, token)
        await until(lambda: gauge(sidecar, "connections") == 0)
        counted = Counted(sidecar)
        async with connected(sidecar) as (own_reader, own), connected(sidecar) as (reader, writer):
            own.write(head(sidecar, token=token))
            await answer(own_reader)
            await asyncio.sleep(0.02)
            for _ in range(3):
                writer.write(f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                assert b"ACCESS_TOKEN_REQUIRED" in await answer(reader)
            async with connected(sidecar) as (third_reader, third):
                third.write(head(sidecar, token=token))
                assert (await answer(third_reader)).startswith(OK)
                async with asyncio.timeout(20):
                    assert await reader.read() == b""  # not the one that rested longer
                own.write(head(sidecar, token=token))
                assert (await answer(own_reader)).startswith(OK)
        assert counted.complete == 0


async def test_a_stranger_who_falls_silent_is_shed(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who proved nobody has as long for the next head as a new connection has for its first."""
    monkeypatch.setattr(parked, "REST_SECONDS", 600.0)  # whom the handler sheds; `test_parked` has the others
    async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_HEADER_SECONDS="4.5") as sidecar:
        who = sidecar.token(STRANGER)
        async with connected(sidecar) as (reader, writer):
            for _ in range(3):
                await asyncio.sleep(1.6)
                writer.write(f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                await answer(reader)
            started = Stopwatch()
            async with asyncio.timeout(20):
                assert await reader.read() == b""
            assert started.seconds > 4.2
            assert started.awake < 6
        async with connected(sidecar) as (reader, writer):  # known, and refused: may rest like anybody
            for pause in (0, 4.7):
                await asyncio.sleep(pause)
                writer.write(head(sidecar, token=who))
                assert b"ENROLLMENT_REQUIRED" in await answer(reader)


async def test_an_unknown_aiohttp_takes_the_complete_path(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """performance.md section 3: the private names are counted at start, and without one nothing is quick."""
    assert quick_path.quick_path_fits()
    monkeypatch.setattr(quick_path, "_NAMES_OF_AIOHTTP", quick_path._NAMES_OF_AIOHTTP | {"_unheard_of"})
    async with sidecar_under_test(access_key, tmp_path) as sidecar:
        assert sidecar.sidecar.gate.at_once is None
        token = sidecar.token()
        async with connected(sidecar) as (reader, writer):
            for _ in range(3):
                writer.write(head(sidecar, token=token))
                assert (await answer(reader)).startswith(OK)


async def test_a_crowd_of_strangers_is_answered_and_lets_others_by(sidecar: SidecarUnderTest) -> None:
    """Each of sixty gets its refusals in order; somebody proven who asks behind them all is not the last."""
    token = sidecar.token()
    await warm(sidecar, token)
    stranger = f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    order: list[str] = []

    async def ask(
        name: str, request: bytes, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        connection[1].write(request)
        assert (await answer(connection[0])).startswith(OK if name == "known" else b"HTTP/1.1 403 ")
        order.append(name)

    async with contextlib.AsyncExitStack() as stack:
        strangers = [await stack.enter_async_context(connected(sidecar)) for _ in range(60)]
        known = await stack.enter_async_context(connected(sidecar))
        await ask("known", head(sidecar, token=token), known)
        order.clear()
        for _ in range(3):
            asked = [ask("stranger", stranger, each) for each in strangers]
            await asyncio.gather(*asked, ask("known", head(sidecar, token=token), known))

    assert order.count("stranger") == 180
    assert order.count("known") == 3
    assert all(order[turn * 61 : turn * 61 + 60].count("known") == 1 for turn in range(3))


async def test_only_the_first_request_of_a_connection_is_a_newcomers(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """performance.md section 5: who was refused here before has another line; the proven need no place."""
    asked_for: list[bool] = []
    has_place = Turns.has_place

    def note(turns: Turns, *, is_new: bool = False) -> bool:
        asked_for.append(is_new)
        return has_place(turns, is_new=is_new)

    monkeypatch.setattr(Turns, "has_place", note)
    await warm(sidecar, sidecar.token())
    asked_for.clear()
    async with connected(sidecar) as (reader, writer):
        statuses = []
        for token in (
            "not-a-token",
            "not-a-token",
            sidecar.token(),
            sidecar.token(),
            "not-a-token",
            "not-a-token",
        ):
            writer.write(head(sidecar, token=token))
            statuses.append((await answer(reader))[9:12])

    assert statuses == [b"403", b"403", b"200", b"200", b"403", b"403"]
    assert asked_for == [True, False, False, False]


async def test_a_stranger_of_http_1_0_may_ask_again(sidecar: SidecarUnderTest) -> None:
    """RFC 9112 appendix C.2.2: who asks for it is told that the connection goes on, after a refusal too."""
    request = f"GET /x HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n".encode()
    async with connected(sidecar) as (reader, writer):
        for _ in range(2):
            writer.write(request)
            assert b"\r\nConnection: keep-alive\r\n" in await answer(reader)


@dataclass
class Client:
    """A connection as the gate sees it."""

    is_held_back: bool = False
    is_leaving: bool = False
    transport: asyncio.Transport | None = None
    transfer: Transfer | None = None
    over: list[tuple[bool, bool]] = field(default_factory=list)

    def exchange_is_over(self, *, keeps_alive: bool, is_proven: bool) -> None:
        self.over.append((keeps_alive, is_proven))


async def test_who_has_left_is_sent_nothing(sidecar: SidecarUnderTest) -> None:
    """A refusal of somebody who left meanwhile is written down, and the exchange is over."""
    gate = sidecar.sidecar.gate.request_handler
    assert isinstance(gate, Gate)
    raw = RawRequest("GET", "/x", (1, 1), ((b"Host", HOST.encode()),), "127.0.0.1")
    gone, deaf = Client(), Client(is_held_back=True)

    assert gate.answer_at_once(raw, gone, True)
    assert gone.over == [(True, False)]
    assert not gate.answer_at_once(raw, deaf, True)
    assert deaf.over == []
    assert gate.in_flight == 0
    await asyncio.sleep(0)  # a turn of the loop is written down at its end
    assert sidecar.refusals("token_missing") == 1
