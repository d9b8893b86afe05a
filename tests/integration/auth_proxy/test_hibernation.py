"""A parked connection that rests on keeps its socket only, on either event loop, and loses nothing by it."""

import asyncio
import contextlib
import os
import select
import socket
import struct
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from auth_proxy.transport import hibernation, parked
from auth_proxy.transport.hibernation import Hibernation
from auth_proxy.transport.parked import Parked, Parking
from deploy.demo.issuer import SigningKey
from tests.fixtures.sidecar import SidecarUnderTest, sidecar_under_test
from tests.fixtures.websockets import gauge, shed_for, until
from tests.integration.auth_proxy.scripted_upstream import scripted
from tests.integration.auth_proxy.test_parked import OK, asked, is_ended, slow_echo
from tests.integration.auth_proxy.test_quick_path import answer, connected, head

pytestmark = pytest.mark.uvloop
REAL_EPOLL = select.epoll


@pytest.fixture(autouse=True)
def all_hibernate_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked, "REST_SECONDS", 0.05)
    monkeypatch.setattr(parked, "SLEEPLESS_SECONDS", 0.0)
    monkeypatch.setattr(parked, "_LOOK_SECONDS", 0.02)


def parking_of(sidecar: SidecarUnderTest) -> Parking:
    parking = sidecar.sidecar.gate.parking
    assert parking is not None
    return parking


async def until_asleep(sidecar: SidecarUnderTest, count: int = 1) -> None:
    await until(lambda: len(parking_of(sidecar).hibernation) == count)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class HeldBack:
    """Holds every connection between hearing that its client sent something and having a transport."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held = 0
        self.go_on = asyncio.Event()
        give_transport = Parking._give_transport

        async def later(parking: Parking, sleeper: Parked, bare: socket.socket) -> None:
            self.held += 1
            await self.go_on.wait()
            await give_transport(parking, sleeper, bare)

        monkeypatch.setattr(Parking, "_give_transport", later)


async def test_who_hibernates_is_a_descriptor_and_no_more(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """performance.md section 5: no transport, and one descriptor for each connection, asleep or awake."""
    soon = parked.REST_SECONDS
    monkeypatch.setattr(parked, "REST_SECONDS", 600.0)  # nobody rests before all are counted
    async with contextlib.AsyncExitStack() as stack:
        some = [await stack.enter_async_context(connected(sidecar)) for _ in range(20)]
        for ends in some:
            await asked(sidecar, ends)
        before = descriptors()
        monkeypatch.setattr(parked, "REST_SECONDS", soon)
        await until_asleep(sidecar, 20)
        assert [item.transport for item in parking_of(sidecar)] == [None] * 20
        await until(lambda: descriptors() == before + 1)  # the epoll
        for ends in some:
            assert (await asked(sidecar, ends)).startswith(OK)
        await until(lambda: descriptors() <= before + 1)
        await until_asleep(sidecar, 20)
    await until(lambda: gauge(sidecar, "connections") == 0)
    assert len(parking_of(sidecar).hibernation) == 0
    await until(lambda: descriptors() <= before + 1 - 40)  # the ends of both sides


async def test_all_may_wake_at_the_same_time(access_key: SigningKey, tmp_path: Path) -> None:
    """performance.md section 4: more than wake in one turn of the loop, and each gets its own answer."""
    count = 5 * hibernation._MOST_AT_ONCE
    async with (
        scripted(slow_echo) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        contextlib.AsyncExitStack() as stack,
    ):
        token = sidecar.token()
        some = [await stack.enter_async_context(connected(sidecar)) for _ in range(count)]
        for turn in range(3):
            for number, (_reader, writer) in enumerate(some):
                writer.write(head(sidecar, f"/{turn}-{number}", token=token))
            for number, (reader, _writer) in enumerate(some):
                assert (await answer(reader)).endswith(f"\r\n\r\n/{turn}-{number}".encode())
            await until_asleep(sidecar, count)
        assert gauge(sidecar, "connections") == count


async def test_who_woke_in_time_is_not_laid_down(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """performance.md section 4: a transport that carries an answer is nobody's to throw away."""
    monkeypatch.setattr(parked, "SLEEPLESS_SECONDS", 0.3)
    async with (
        scripted(slow_echo) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
        connected(sidecar) as ends,
    ):
        await asked(sidecar, ends)
        await until(lambda: len(list(parking_of(sidecar))) == 1)
        assert (await asked(sidecar, ends, head(sidecar, "/slow"))).endswith(b"/slow")  # takes 0.8 s
        assert len(parking_of(sidecar).hibernation) == 0
        await until_asleep(sidecar)
        assert (await asked(sidecar, ends)).startswith(OK)


async def test_who_makes_room_while_waking_has_left(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks.md section 3: its place is free at once, and counted once."""
    async with (
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_MAX_CONNECTIONS="1") as sidecar,
        connected(sidecar) as first,
    ):
        await asked(sidecar, first)
        await until_asleep(sidecar)
        sidecar.upstream.received.clear()
        gate = HeldBack(monkeypatch)
        first[1].write(head(sidecar, "/from-who-left"))
        await until(lambda: gate.held == 1)
        async with connected(sidecar) as second:
            assert (await asked(sidecar, second, head(sidecar, "/second"))).startswith(OK)
            gate.go_on.set()
            assert await is_ended(first)
            assert gauge(sidecar, "connections") == 1
            assert shed_for(sidecar, "rested") == 1
        await until(lambda: gauge(sidecar, "connections") == 0)
        assert [item.line.split()[1] for item in sidecar.upstream.received] == ["/second"]


async def test_who_leaves_while_waking_is_gone(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset between the first byte and the transport frees the place, and complains to nobody."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: complaints.append(what))
    async with connected(sidecar) as (reader, writer):
        await asked(sidecar, (reader, writer))
        await until_asleep(sidecar)
        gate = HeldBack(monkeypatch)
        writer.write(b"GET /half")
        await until(lambda: gate.held == 1)
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()
        await asyncio.sleep(0.02)
        gate.go_on.set()
        await until(lambda: gauge(sidecar, "connections") == 0)
    assert complaints == []


async def test_a_transport_that_cannot_be_had_ends_the_connection(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever on a socket that nobody reads."""
    async with connected(sidecar) as ends:
        await asked(sidecar, ends)
        await until_asleep(sidecar)
        monkeypatch.setattr(parking_of(sidecar), "_loop", Mock(wraps=parking_of(sidecar)._loop))
        monkeypatch.setattr(parking_of(sidecar)._loop, "connect_accepted_socket", Mock(side_effect=OSError))
        ends[1].write(head(sidecar))
        assert await is_ended(ends)
        await until(lambda: gauge(sidecar, "connections") == 0)


class FullEpoll:
    """One in which nothing more can be watched."""

    def __init__(self) -> None:
        real = REAL_EPOLL()
        self.fileno, self.close = real.fileno, real.close
        self.register = Mock(side_effect=OSError(28, "No space left on device"))


def has_been_called(mock: Mock, times: int) -> bool:
    return mock.call_count == times


@pytest.mark.parametrize("call", ["dup", "epoll", "register"])
async def test_without_a_free_descriptor_the_transport_stays(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A process at the limit of its files, or of what it may watch, answers as before."""
    full = Mock(side_effect=OSError(24, "Too many open files"))
    if call == "register":
        monkeypatch.setattr(select, "epoll", FullEpoll)
    else:
        monkeypatch.setattr(os if call == "dup" else select, call, full)
    lay_down = Mock(wraps=parking_of(sidecar).hibernation.lay_down)
    monkeypatch.setattr(parking_of(sidecar).hibernation, "lay_down", lay_down)
    before = descriptors()
    async with connected(sidecar) as ends:
        for times in (1, 2):
            assert (await asked(sidecar, ends)).startswith(OK)
            await until(partial(has_been_called, lay_down, times))
            assert len(parking_of(sidecar).hibernation) == 0
            assert [item.transport is None for item in parking_of(sidecar)] == [False]
    await until(lambda: descriptors() <= before + 1)  # the epoll, if there is one


async def test_where_nothing_watches_sockets_the_transport_stays(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither macOS nor Windows has an epoll; there everything else is as on Linux."""
    monkeypatch.setattr(parked, "can_hibernate", lambda: False)
    async with connected(sidecar) as ends:
        for _ in range(2):
            assert (await asked(sidecar, ends)).startswith(OK)
            await until(lambda: len(list(parking_of(sidecar))) == 1)
            await asyncio.sleep(0.1)
            assert len(parking_of(sidecar).hibernation) == 0


async def test_a_transport_that_is_more_or_less_than_a_socket_is_kept() -> None:
    """What TLS has read and not yet told, a transport of an unknown kind, or one that closes already."""
    asleep: Hibernation[object] = Hibernation(lambda *_woken: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for known, closing in (
            ({"socket": ours, "sslcontext": Mock()}, False),
            ({}, False),
            ({"socket": ours}, True),
        ):
            transport = Mock(get_extra_info=known.get, is_closing=Mock(return_value=closing))
            assert asleep.lay_down(object(), transport) is None
            transport.abort.assert_not_called()
        assert len(asleep) == 0
        plain = Mock(get_extra_info={"socket": ours}.get, is_closing=Mock(return_value=False))
        assert asleep.lay_down(object(), plain) is not None
    asleep.close()


async def test_after_the_end_nobody_is_laid_down(sidecar: SidecarUnderTest) -> None:
    """Architecture section 9: a process that stops leaves no socket behind that nobody watches."""
    async with connected(sidecar) as first:
        await asked(sidecar, first)
        await until_asleep(sidecar)
        parking_of(sidecar).close()
        assert await is_ended(first)
    async with connected(sidecar) as second:
        await asked(sidecar, second)
        await until(lambda: len(list(parking_of(sidecar))) == 1)
        await asyncio.sleep(0.1)
        assert len(parking_of(sidecar).hibernation) == 0
        assert (await asked(sidecar, second)).startswith(OK)


async def test_one_that_wakes_may_end_another_that_was_about_to() -> None:
    """attacks.md section 3: what makes room for a client may be next in the same look."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _loop, what: complaints.append(what))
    woken: list[int] = []

    def wake(number: int, bare: socket.socket | None) -> None:
        woken.append(number)
        asleep.let_go(laid_down[1 - number])
        if bare is not None:
            bare.close()

    asleep = Hibernation(wake)
    clients: list[socket.socket] = []
    laid_down: list[int] = []
    for number in range(2):
        client, ours = socket.socketpair()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        descriptor = asleep.lay_down(number, transport)
        assert descriptor is not None
        laid_down.append(descriptor)
        clients.append(client)
    for client in clients:
        client.send(b"x")
    await until(lambda: bool(woken))
    await asyncio.sleep(0.05)
    assert len(woken) == 1
    assert len(asleep) == 0
    assert complaints == []
    for client in clients:
        with contextlib.suppress(ConnectionResetError):  # the byte was never read
            assert client.recv(1) == b""
        client.close()
    asleep.close()
