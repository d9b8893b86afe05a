"""What a hostile review of the data path found: each test is the sentence that was not true."""

import asyncio
import contextlib
import socket
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop
from aiohttp.web_protocol import RequestHandler

from auth_proxy.pipeline.admit import AdmitPolicy, admit
from auth_proxy.pipeline.exchange import RawRequest
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport import upstream_pool
from auth_proxy.transport.answer_head import UnfitAnswerError, read_head
from auth_proxy.transport.client_connection import ClientConnection
from auth_proxy.transport.transfer import Transfer
from auth_proxy.transport.upstream_connection import UpstreamConnection
from auth_proxy.transport.upstream_pool import Server
from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from service_kit.web.service_url import ServiceUrl
from tests.fakes.admin_service import operator
from tests.fixtures.sidecar import HOST, SidecarUnderTest, person, sidecar_under_test
from tests.fixtures.websockets import gauge, until
from tests.integration.auth_proxy.scripted_upstream import scripted
from tests.integration.auth_proxy.test_quick_path import OK, answer, connected, head, warm

LAPSED = "auth_proxy_streams_ended_total", {"reason": Reason.OPERATOR_DEACTIVATED.value}
REFUSED_PAGE = f"GET /x/../y HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n\r\n".encode()


def is_held_back(connection: RequestHandler) -> bool:
    """Whether the client of a connection has not read what was written to it."""
    return isinstance(connection, ClientConnection) and connection.is_held_back


def narrow(transport: asyncio.BaseTransport, buffer: int) -> None:
    """Let the kernel keep little of what nobody reads, instead of megabytes."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, buffer, 16 * 1024)


async def big_and_small(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers `/big` with 48 KiB, and everything else with two bytes."""
    while True:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        body = b"b" * 48 * 1024 if path == b"/big" else b"ok"
        writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()


async def test_who_does_not_read_leaves_no_deaf_connection_behind(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """attacks.md section 3: what a stalled client got its answer over is not deaf for the next one."""
    async with (
        scripted(big_and_small) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        token = sidecar.token()
        await warm(sidecar, token)
        async with connected(sidecar) as (_, stalled):
            stalled.transport.pause_reading()  # type: ignore[attr-defined] # a read transport as well
            for _ in range(400):
                stalled.write(head(sidecar, "/big", token=token))
                await asyncio.sleep(0.002)
                if any(is_held_back(item) for item in sidecar.sidecar.gate.connections):
                    break
            else:
                pytest.fail("the client was never held back")
            async with connected(sidecar) as (reader, writer):
                for _ in range(3):
                    writer.write(head(sidecar, "/small", token=token))
                    assert (await answer(reader)).startswith(OK)


async def test_refusals_do_not_heap_up_before_a_client_that_does_not_read(
    sidecar: SidecarUnderTest,
) -> None:
    """attacks.md section 3: who asks on and reads nothing costs one window, refused or not."""
    async with connected(sidecar) as (_, stalled):
        stalled.transport.pause_reading()  # type: ignore[attr-defined] # a read transport as well
        narrow(stalled.transport, socket.SO_RCVBUF)
        stalled.write(REFUSED_PAGE)
        await until(lambda: sidecar.refusals("path_ambiguous") == 1)
        (ours,) = sidecar.sidecar.gate.connections
        assert ours.transport is not None
        narrow(ours.transport, socket.SO_SNDBUF)
        sent = 1
        async with asyncio.timeout(20):
            while not is_held_back(ours):
                stalled.write(REFUSED_PAGE)
                sent += 1
                while sidecar.refusals("path_ambiguous") < sent:  # one request in each read
                    await asyncio.sleep(0)
        for _ in range(500):
            stalled.write(REFUSED_PAGE)
            for _ in range(4):
                await asyncio.sleep(0)

        assert sidecar.refusals("path_ambiguous") <= sent + 1


async def test_an_upload_whose_grant_lapses_while_its_upstream_is_reached_never_gets_there(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-064: who is revoked while a connection is being made is refused, and no byte of theirs goes on."""
    way_is_free = asyncio.Event()
    connect = Server.connect

    async def slow(server: Server, seconds: float) -> UpstreamConnection:
        connection = await connect(server, seconds)
        await way_is_free.wait()
        return connection

    async with sidecar_under_test(access_key, tmp_path) as sidecar:
        monkeypatch.setattr(Server, "connect", slow)
        monkeypatch.setattr(upstream_pool, "FRESH_SECONDS", -1.0)  # nothing that rests will do
        who = person(Role.SUPPORT)
        token = sidecar.token(who)
        length, origin = "Content-Length: 4", f"Origin: https://{HOST}"
        async with connected(sidecar) as (reader, writer):
            writer.write(head(sidecar, "/u", length, origin, method="POST", token=token) + b"body")
            await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
            await asyncio.sleep(0.6)  # the first look passes what has just begun
            sidecar.admin.put(operator(who.sub, who.email, Role.SUPPORT, active=False))
            await until(lambda: sidecar.registry.get_sample_value(*LAPSED) == 1)
            way_is_free.set()
            assert b"ACCOUNT_DEACTIVATED" in await answer(reader)
        await asyncio.sleep(0.1)

        assert not sidecar.upstream.raw
        busy = sidecar.registry.get_sample_value("auth_proxy_upstream_connections", {"state": "busy"})
        assert busy == 0


async def test_what_is_over_cannot_be_ended_once_more(sidecar: SidecarUnderTest) -> None:
    """performance.md section 4: a late end of one request does not break the connection for the next."""
    token = sidecar.token()
    await warm(sidecar, token)
    seen: list[Transfer] = []
    start = Transfer.start

    def watched(transfer: Transfer) -> None:
        seen.append(transfer)
        start(transfer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transfer, "start", watched)
        async with connected(sidecar) as (reader, writer):
            writer.write(head(sidecar, token=token))
            assert (await answer(reader)).startswith(OK)
            seen[0].overdue()
            seen[0].refuse(Refusal(Reason.BODY_TIMEOUT))
            writer.write(head(sidecar, token=token))
            assert (await answer(reader)).startswith(OK)


HEADS: dict[str, tuple[int, Callable[[int], list[tuple[bytes, bytes]]]]] = {
    "many short names": (300, lambda turn: [(b"x%d-%d" % (turn, place), b"") for place in range(97)]),
    "a very long name": (1100, lambda turn: [(b"x%d" % turn + b"a" * 30_000, b"")]),
    "a very long word in Connection": (1100, lambda turn: [(b"Connection", b"x%d" % turn + b"a" * 30_000)]),
}
"""How many turns, and what a client sends in each: far more than is remembered."""


@pytest.mark.parametrize("name", HEADS)
def test_made_up_names_fill_no_memory(name: str) -> None:
    """performance.md section 5: no client makes a worker remember more than a few megabytes of names."""
    policy = AdmitPolicy(hosts=frozenset({HOST}))
    turns, sent = HEADS[name]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for turn in range(turns):
            headers = ((b"Host", HOST.encode()), *sent(turn))
            with contextlib.suppress(Refusal):
                screen(admit(RawRequest("GET", "/x", (1, 1), headers, "127.0.0.1"), policy), ScreenPolicy())
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 4 * 1024 * 1024


def test_made_up_names_of_an_upstream_fill_no_memory() -> None:
    """attacks.md section 3: an upstream cannot make a worker remember its endless names either."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for turn in range(1100):
            endless = b"x%d" % turn + b"a" * 30_000
            for line in ((endless, b""), (b"Connection", b"close," + endless)):
                with contextlib.suppress(UnfitAnswerError):
                    read_head(200, [line], is_head=False, bases=())
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 1024 * 1024


async def test_who_is_revoked_under_way_is_named_in_the_audit_log(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-130, R-064: a refusal of a lapsed grant tells whom it hit, like every other of a proven person."""
    defaults = "auth_proxy.roster.denials.AggregatedDenials.__init__.__kwdefaults__"
    monkeypatch.setattr(defaults, {"every_seconds": 0.1})

    async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        scripted(never) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        who = person(Role.SUPPORT)
        async with connected(sidecar) as (reader, writer):
            writer.write(head(sidecar, token=sidecar.token(who)))
            await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
            await asyncio.sleep(0.6)  # the first look passes what has just begun
            sidecar.admin.put(operator(who.sub, who.email, Role.SUPPORT, active=False))
            assert b"ACCOUNT_DEACTIVATED" in await answer(reader)
        await until(lambda: len(sidecar.admin.denials) == 1)

        denial = sidecar.admin.denials[0]
        named = denial["reason"], denial["sub"], denial["email"], denial["operatorId"], denial["route"]
        assert named == ("operator_deactivated", who.sub, who.email, f"adm_{who.sub}", "/")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_half_an_answer_never_passes_for_the_whole(
    access_key: SigningKey, tmp_path: Path, version: str
) -> None:
    """attacks.md section 3: also where only the end of the connection ends a body, as for an old nginx."""

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)

    async with (
        scripted(dies) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        connected(sidecar) as (reader, writer),
    ):
        writer.write(head(sidecar, token=sidecar.token(), version=version))
        await reader.readuntil(b"half")
        try:
            rest = await reader.read()
        except ConnectionResetError:
            return
        assert version == "1.1"  # where the last chunk is missed
        assert b"0\r\n\r\n" not in rest


async def test_a_whole_answer_that_the_connection_ends_is_no_broken_one(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """RFC 9112 section 6.3: an HTTP/1.0 client learns from a plain end of the connection that it has all."""

    async def lasts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"6\r\n, rest\r\n0\r\n\r\n")
        await writer.drain()

    async with (
        scripted(lasts) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        connected(sidecar) as (reader, writer),
    ):
        writer.write(head(sidecar, token=sidecar.token(), version="1.0"))
        assert (await reader.read()).endswith(b"\r\n\r\nhalf, rest")


async def test_a_body_that_follows_the_answer_to_head_reaches_nobody(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """performance.md section 4: not the next person either, whatever a careless server sends after HEAD."""
    poison = OK + b"Content-Length: 6\r\n\r\npoison"

    async def careless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HEAD"):
            writer.write(OK + b"Content-Length: 2\r\n\r\nok")
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(poison))
        await asyncio.sleep(0.05)
        writer.write(poison)
        await writer.drain()

    async with (
        scripted(careless) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        await warm(sidecar, sidecar.token())
        async with connected(sidecar) as (reader, writer), connected(sidecar) as (other_reader, other):
            writer.write(head(sidecar, method="HEAD", token=sidecar.token()))
            await answer(reader, is_head=True)
            other.write(head(sidecar, token=sidecar.token(person(Role.SUPPORT))))
            assert (await answer(other_reader)).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_who_leaves_while_an_upstream_is_reached_leaves_no_ghost_among_its_connections(
    run: Callable[[Coroutine[None, None, int]], int],
) -> None:
    """attacks.md section 3: nobody can make a server look busy, and so unasked, by leaving early."""

    async def in_flight_after_leaving() -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = ServiceUrl.parse(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        server = Server(url, ())
        for turn in range(60):
            connecting = asyncio.create_task(server.connect(5))
            for _ in range(turn % 6):
                await asyncio.sleep(0)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await connecting).abort()
        await asyncio.sleep(0.1)
        listener.close()
        return server.in_flight

    assert run(in_flight_after_leaving()) == 0
