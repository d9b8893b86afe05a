"""Listeners: they open where the settings say or tell why not, and let running requests finish."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web

from service_kit.settings import Listen
from service_kit.web import serving as module
from service_kit.web.leaving import PatientConnection
from service_kit.web.ops import Readiness
from service_kit.web.serving import PortInUseError, Site, run_service, serving
from tests.fixtures.ports import free_port, takes_newcomers
from tests.fixtures.stopwatch import Stopwatch

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is turned away")


A_REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def fine(_request: web.Request) -> web.Response:
    return web.Response(text="fine")


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/", fine)
    return app


def site(port: int, name: str = "public", app: web.Application | None = None) -> Site:
    return Site(name, Listen("127.0.0.1", port), app or application())


async def ask(port: int, path: str = "/") -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return await answer.text()


async def ask_socket(path: Path) -> str:
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://localhost/") as answer,
    ):
        return await answer.text()


async def test_every_listener_answers_while_the_block_runs() -> None:
    """Two sites at a time, an application and a bare server; afterwards nobody listens."""
    public, bare = free_port(), free_port()

    async def plain(_request: web.BaseRequest) -> web.Response:
        return web.Response(text="bare")

    async with serving([site(public), Site("bare", Listen("127.0.0.1", bare), web.Server(plain))]):
        assert [await ask(public), await ask(bare)] == ["fine", "bare"]
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(public)


async def test_a_taken_port_is_one_clear_line() -> None:
    """Listener, address and reason; the listeners that were open already are closed again."""
    public = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError) as caught:
            async with serving([site(public), site(port, "ops")]):
                pytest.fail("must not run")

    assert str(caught.value) == f"ops: cannot listen on 127.0.0.1:{port}: Address already in use"
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(public)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
async def test_an_address_of_another_machine_is_said_so(host: str) -> None:
    """A wrong address and a name that does not resolve are a setting's mistake, not a trace."""
    with pytest.raises(PortInUseError, match=host):
        async with serving([Site("public", Listen(host, free_port()), application())]):
            pytest.fail("must not run")


@asynccontextmanager
async def stopping(drain_seconds: float, work_seconds: float) -> AsyncIterator[asyncio.Task[str]]:
    """A request that is being worked on while its service stops; the stop is over when this yields."""
    port, arrived = free_port(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(work_seconds)
        return web.Response(text="finished")

    app = web.Application()
    app.router.add_get("/slow", slow)
    async with serving([site(port, app=app)], drain_seconds=drain_seconds):
        running = asyncio.create_task(ask(port, "/slow"))
        await arrived.wait()
    yield running


async def test_a_running_request_is_finished() -> None:
    """A stop closes the door and waits for those inside."""
    async with stopping(drain_seconds=30, work_seconds=0.2) as running:
        assert await running == "finished"


@pytest.mark.parametrize("drain_seconds", [0, 1])
async def test_a_request_that_never_ends_does_not_hold_the_stop(drain_seconds: float) -> None:
    """After the drain time what still runs is cut off; aiohttp would wait twice as long, and 0 for ever."""
    started = Stopwatch()
    async with asyncio.timeout(30), stopping(drain_seconds, work_seconds=60) as running:
        took = started.awake
        with pytest.raises(aiohttp.ClientError):
            await running

    assert took < drain_seconds + 0.8
    assert started.seconds >= drain_seconds


async def test_a_handler_whose_client_has_left_is_cut_off_too() -> None:
    """By then its task is forgotten by aiohttp, which would wait for it without an end."""
    port, arrived, canceled = free_port(), asyncio.Event(), asyncio.Event()

    async def endless(_request: web.Request) -> web.Response:
        arrived.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            canceled.set()
            raise
        return web.Response()

    app = web.Application()
    app.router.add_get("/", endless)
    async with asyncio.timeout(30), serving([site(port, app=app)], drain_seconds=0):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(A_REQUEST)
        await arrived.wait()
        writer.transport.abort()
        await asyncio.sleep(0.1)

    assert canceled.is_set()


async def test_a_body_that_nobody_sends_any_more_does_not_hold_the_stop() -> None:
    """Its request was answered early and its client has left: aiohttp waited ten seconds for the rest."""
    port = free_port()
    app = web.Application()
    app.router.add_post("/", fine)
    async with serving([site(port, app=app)]):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe first")
        await reader.readuntil(b"fine")
        writer.transport.abort()
        await asyncio.sleep(0.1)
        started = Stopwatch()
    assert started.awake < 1


class Nobody(asyncio.Transport):
    """The way to a client who has left."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass


async def test_a_request_whose_client_leaves_at_once_is_worked_on_all_the_same() -> None:
    """Only the wait for a rest of a body ends with its client, and nothing that has just begun."""
    arrived = asyncio.Event()

    async def note(_request: web.Request) -> web.Response:
        arrived.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", note)
    runner, loop = web.AppRunner(app), asyncio.get_running_loop()
    await runner.setup()
    assert runner.server is not None
    connection = PatientConnection(runner.server, loop=loop)
    connection.connection_made(Nobody())
    await asyncio.sleep(0)
    connection.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe first")
    loop.call_soon(connection.connection_lost, None)  # a turn before the handler's first step
    async with asyncio.timeout(10):
        await arrived.wait()
    await runner.cleanup()


async def test_who_waits_for_nothing_opens_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operations listener says what is waited for, and a taken port is told at once."""
    monkeypatch.setattr(module, "OPENING_SECONDS", 60.0)
    port, ops = free_port(), free_port()

    async def never() -> Readiness:
        return Readiness("keys", ready=False)

    def sites() -> list[Site]:
        return [replace(site(port), opens_when=[never]), site(ops, "ops")]

    server = asyncio.create_task(serving(sites()).__aenter__())
    await until_it_listens(ops)
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(port)
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
    with socket.create_server(("127.0.0.1", ops)), pytest.raises(PortInUseError):
        async with serving(sites()):
            pytest.fail("must not run")


async def test_two_listeners_share_the_drain_time() -> None:
    """A request on each that never ends: they are waited for at the same time."""
    ports, arrived = [free_port(), free_port()], [asyncio.Event(), asyncio.Event()]

    def endless(number: int) -> web.Application:
        async def answer(_request: web.Request) -> web.Response:
            arrived[number].set()
            await asyncio.sleep(60)
            return web.Response()

        app = web.Application()
        app.router.add_get("/", answer)
        return app

    sites = [site(port, app=endless(number)) for number, port in enumerate(ports)]
    async with serving(sites, drain_seconds=1):
        running = [asyncio.create_task(ask(port)) for port in ports]
        for each in arrived:
            await each.wait()
        started = Stopwatch()
    took = started.awake

    assert took < 1.8
    assert all(
        isinstance(end, aiohttp.ClientError) for end in await asyncio.gather(*running, return_exceptions=True)
    )


async def test_a_body_on_its_way_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """In-flight requests finish, and the rest of a body is part of one; what stands behind it is not."""
    monkeypatch.setattr(module, "_LAST_ANSWERS_SECONDS", 0.04)
    port, bodies = free_port(), []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(text="taken")

    app = web.Application()
    app.router.add_post("/", take)
    leave = asyncio.Event()

    async def serve() -> None:
        async with serving([site(port, app=app)]):
            await leave.wait()

    server = asyncio.create_task(serve())
    await until_it_listens(port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf")
    await asyncio.sleep(0.1)
    leave.set()
    await asyncio.sleep(0.4)  # by now nobody but this request is waited for
    writer.write(b"rest" + A_REQUEST)
    async with asyncio.timeout(20):
        answer = await reader.read()
        await server
    writer.close()

    assert bodies == [b"halfrest"]
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("comes", [True, False])
async def test_a_listener_opens_when_its_process_can_serve(
    *, comes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is let in to be refused; but whoever waits in vain for it is told what is missing."""
    monkeypatch.setattr(module, "OPENING_SECONDS", 20 if comes else 0.2)
    port, ops, can_serve = free_port(), free_port(), False

    async def look() -> Readiness:
        return Readiness("keys", ready=can_serve)

    async def serve() -> None:
        sites = [site(ops, "ops"), replace(site(port), opens_when=[look])]
        async with serving(sites):
            await asyncio.sleep(60)

    with structlog.testing.capture_logs() as log:
        server = asyncio.create_task(serve())
        await until_it_listens(ops)
        if comes:
            await asyncio.sleep(0.1)
            with pytest.raises(aiohttp.ClientConnectorError):
                await ask(port)
            can_serve = True
        await until_it_listens(port)
        assert await ask(port) == "fine"
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)

    told = [line for line in log if line["event"] == "opened_unready"]
    assert [(line["listener"], line["waiting"]) for line in told] == ([] if comes else [("public", ["keys"])])


async def test_no_request_is_taken_during_the_stop() -> None:
    """Who comes while others finish is refused at the door, so that a balancer goes elsewhere."""
    port, arrived, release = free_port(), asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        arrived.set()
        await release.wait()
        return web.Response(text="finished")

    app = web.Application()
    app.router.add_get("/slow", slow)
    leave = asyncio.Event()

    async def serve() -> None:
        async with serving([site(port, app=app)], drain_seconds=5):
            await leave.wait()

    server = asyncio.create_task(serve())
    await until_it_listens(port)
    running = asyncio.create_task(ask(port, "/slow"))
    await arrived.wait()
    leave.set()
    await asyncio.sleep(0.05)
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(port)
    release.set()

    assert await running == "finished"
    await server


async def test_a_unix_socket_is_closed_to_others(tmp_path: Path) -> None:
    """Owner and group may speak to the service, nobody else of the machine."""
    path = tmp_path / "kit.sock"
    async with serving([Site("public", Listen(path=str(path)), application())]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await ask_socket(path) == "fine"


async def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    """After a crash the service starts again without a hand."""
    path = tmp_path / "kit.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving([Site("public", Listen(path=str(path)), application())]):
        assert await ask_socket(path) == "fine"


async def test_a_socket_that_lives_is_not_taken_over(tmp_path: Path) -> None:
    """A second process is refused; the first one goes on being reached."""
    path = tmp_path / "kit.sock"
    async with serving([Site("public", Listen(path=str(path)), application())]):
        with pytest.raises(PortInUseError, match=r"public: cannot listen on unix:.*: Address already in use"):
            async with serving([Site("public", Listen(path=str(path)), web.Application())]):
                pytest.fail("must not run")
        assert await ask_socket(path) == "fine"


async def test_a_file_in_the_way_stays(tmp_path: Path) -> None:
    """A wrong path must not delete what stands there."""
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(PortInUseError, match="cannot listen on unix:"):
        async with serving([Site("public", Listen(path=str(path)), application())]):
            pytest.fail("must not run")

    assert path.read_text() == "data"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_stop_event(number: signal.Signals) -> None:
    """Both ways to stop a process end its main function in order."""
    seen: list[str] = []

    async def main(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), timeout=20)
        seen.append("stopped")

    run_service(main)

    assert seen == ["stopped"]


async def test_who_stands_in_the_door_is_let_in() -> None:
    """A connection that the system has completed, but nobody has accepted, is answered and not reset."""
    port = free_port()
    clients: list[socket.socket] = []
    async with serving([site(port)], drain_seconds=5):
        # The loop cannot accept while this block runs on; it ends in the same step.
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(A_REQUEST)
            clients.append(client)
    answers = [client.recv(4096) for client in clients]
    for client in clients:
        client.close()

    assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 20


async def test_who_has_just_come_may_still_ask() -> None:
    """Between a connect and its request lies the way of a packet: the stop waits that long for it."""
    port = free_port()
    reader = writer = None
    started = asyncio.get_running_loop().time()

    async def ask_late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(A_REQUEST)

    async with serving([site(port)], drain_seconds=60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(ask_late(writer))
    answer = await reader.read()
    await asking
    writer.close()

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert asyncio.get_running_loop().time() - started < 20


@ON_LINUX
async def test_who_has_begun_to_connect_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake takes as long as a packet needs there and back; who is in the middle of it is not reset.

    TCP_DEFER_ACCEPT makes the middle last: for the system the client has connected with its first byte.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        port = listening.getsockname()[1]
        inherited = (listening.dup(),)
        listening.close()
        monkeypatch.setattr(module, "_HANDSHAKE_SECONDS", 0.3)
        async with serving([Site("gate", Listen("127.0.0.1", port), application(), inherited=inherited)]):
            client = socket.create_connection(("127.0.0.1", port))
            # A timer of the same loop: it comes before the wait is over, however slow the machine is.
            asyncio.get_running_loop().call_later(0.1, client.sendall, A_REQUEST)
    with client:
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")


async def test_who_was_accepted_a_moment_ago_counts() -> None:
    """The loop tells a server of its connection a turn later: the stop looks after that."""

    class OneComes:
        settle_seconds = 5.0
        has_connections = False

    listener = OneComes()
    settling = asyncio.create_task(module._settled([listener], 5.0))  # type: ignore[list-item]
    asyncio.get_running_loop().call_soon(setattr, listener, "has_connections", True)
    await asyncio.sleep(0.1)
    waited = not settling.done()
    listener.has_connections = False
    await settling

    assert waited


async def until_it_listens(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            await asyncio.sleep(0.01)


async def test_what_tells_of_the_end_ends_last() -> None:
    """While the last request of one listener is finished, the outlasting one still answers."""
    public, ops, arrived, release = free_port(), free_port(), asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        arrived.set()
        await release.wait()
        return web.Response(text="finished")

    app = web.Application()
    app.router.add_get("/slow", slow)
    telling = Site("ops", Listen("127.0.0.1", ops), application(), outlasts=True)
    leave = asyncio.Event()

    async def serve() -> None:
        async with serving([telling, site(public, app=app)], drain_seconds=5):
            await leave.wait()

    server = asyncio.create_task(serve())
    await until_it_listens(public)
    running = asyncio.create_task(ask(public, "/slow"))
    await arrived.wait()
    leave.set()
    await asyncio.sleep(0.1)
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(public)

    assert await ask(ops) == "fine"
    release.set()
    assert await running == "finished"
    await server


async def test_inherited_sockets_are_served_as_they_are() -> None:
    """What another process has opened is not bound again; its address is only told."""
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        copy = socket.socket(fileno=os.dup(theirs.fileno()))
        async with serving([Site("gate", Listen("127.0.0.1", port), application(), inherited=(copy,))]):
            assert await ask(port) == "fine"


@ON_LINUX
@pytest.mark.parametrize("stays", [True, False])
async def test_newcomers_wait_for_a_successor_only_where_there_is_one(*, stays: bool) -> None:
    """Who goes on with the sockets finds those who came meanwhile; where nobody does, nobody may come."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, second = one.getsockname()[1], other.getsockname()[1]
        gate = Site("gate", Listen("127.0.0.1", port), application(), inherited=(one.dup(), other.dup()))
        async with serving([replace(gate, has_successor=lambda: stays)]):
            assert [await ask(port), await ask(second)] == ["fine", "fine"]

        assert [takes_newcomers(port), takes_newcomers(second)] == [stays, stays]


@pytest.mark.parametrize("stays", [True, False])
async def test_the_file_of_an_inherited_socket_goes_with_the_last(tmp_path: Path, *, stays: bool) -> None:
    """Without it nobody connects any more; a successor needs it."""
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        gate = Site("gate", Listen(path=str(path)), application(), inherited=(theirs.dup(),))
        async with serving([replace(gate, has_successor=lambda: stays)]):
            assert await ask_socket(path) == "fine"

        assert path.exists() is stays


async def test_the_file_of_a_listener_that_tells_how_they_are_stays(tmp_path: Path) -> None:
    """One worker that has ended must not take it from another that still drains."""
    path = tmp_path / "ops.sock"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        ops = Site("ops", Listen(path=str(path)), application(), inherited=(theirs.dup(),), outlasts=True)
        async with serving([ops]):
            assert await ask_socket(path) == "fine"

        assert path.exists()


async def test_the_file_of_an_inherited_socket_may_be_missing(tmp_path: Path) -> None:
    """Somebody took it away: nobody connects, and the stop has nothing to remove."""
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        path.unlink()
        async with serving([Site("gate", Listen(path=str(path)), application(), inherited=(theirs.dup(),))]):
            pass

    assert not path.exists()


def test_a_second_wish_is_told_apart_from_an_echo() -> None:
    """A service manager signals parent and child at once: only what comes a second later is a new wish."""
    again: list[int] = []

    async def main(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)  # without a pause: a machine that stands still makes a long one
        for pause in (1.1, 0.05):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(pause)
        assert stop.is_set()

    run_service(main, again=again.append)

    assert again == [signal.SIGTERM]


def test_ending_at_once_is_what_the_signal_means() -> None:
    """The parent sees a process that the signal ended."""
    program = "import signal; from service_kit.web.serving import end_at_once; end_at_once(signal.SIGTERM)"
    ended = subprocess.run([sys.executable, "-c", program], check=False)

    assert ended.returncode == -signal.SIGTERM


async def test_a_slow_head_is_not_waited_for() -> None:
    """attacks.md section 5: who sends no whole head in time is cut off; who asked and rests is not."""
    port = free_port()
    slow = Site("slow", Listen("127.0.0.1", port), application(), head_seconds=1.5)
    async with serving([slow], drain_seconds=1):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow:")
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.get(f"http://127.0.0.1:{port}/") as answer:
                    assert await answer.text() == "fine"
                await asyncio.sleep(0.6)
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_what_stands_on_another_ends_first() -> None:
    """A later listener may use what an earlier application opened: it is finished before it."""
    ended: list[str] = []

    def noting(name: str) -> web.Application:
        async def note(_app: web.Application) -> None:
            ended.append(name)

        app = application()
        app.on_cleanup.append(note)
        return app

    sites = [site(free_port(), name, noting(name)) for name in ("first", "second", "third")]
    async with serving(sites, drain_seconds=1):
        pass

    assert ended == ["third", "second", "first"]
