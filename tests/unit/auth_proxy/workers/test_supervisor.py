"""The supervisor, with small programs in the place of workers."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auth_proxy.settings import ProxySettings, load_proxy_settings
from auth_proxy.workers import supervisor as module
from auth_proxy.workers.supervisor import Deaths, Supervisor, WorkersFailedError
from service_kit.web.listening import PortInUseError, open_listeners
from tests.fixtures.crews import is_alive

PLACE = """
import json, os, signal, socket, sys, time
place = json.loads(os.environ["AUTH_PROXY_INHERITED"])
line = socket.socket(fileno=place["lifeline"])
notes = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def note(*words):  # one call: the handler of a signal may come into a buffered one
    os.write(notes, (" ".join(map(str, (place["number"], os.getpid(), *words))) + "\\n").encode())
"""
SERVES = (
    PLACE
    + """
signal.signal(signal.SIGTERM, lambda *_: (note("drained"), sys.exit(0)))
signal.signal(signal.SIGHUP, lambda *_: note("reloaded"))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
line.send(b"+")
note("serves")
while True:
    time.sleep(60)
"""
)
CRASHES = PLACE + "note('crashes'); sys.exit(3)"
REFUSES = PLACE + "note('refuses'); sys.exit(2)"
HEARS = (
    PLACE
    + """
def leave(*_):
    line.setblocking(False)
    try:
        note("heard" + line.recv(10).decode())
    except BlockingIOError:
        note("heard")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
line.send(b"+")
note("serves")
while True:
    time.sleep(60)
"""
)
TAKES_THE_FILE = (
    PLACE
    + """
def leave(*_):
    for gate in place["gate"]:
        try:
            os.unlink(socket.socket(fileno=gate).getsockname())
        except FileNotFoundError:
            pass
    note("left")
    time.sleep(0.5)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
line.send(b"+")
note("serves")
while True:
    time.sleep(60)
"""
)
DEAF = (
    PLACE
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
line.send(b"+")
note("serves")
while True:
    time.sleep(60)
"""
)
REFUSES_LATER = (
    PLACE
    + """
if place["number"] == 0 and "serves" not in open(os.environ["NOTES"]).read():
    line.send(b"+"); note("serves"); sys.exit(1)
elif place["number"] == 0:
    note("refuses"); sys.exit(2)
time.sleep(60)
"""
)


@pytest.fixture
def settings() -> ProxySettings:
    return load_proxy_settings(
        {
            "ADMIN_HOST": "admin.example.com",
            "CF_ACCESS_TEAM": "team",
            "CF_ACCESS_AUD": "a" * 64,
            "AUTH_PROXY_UPSTREAM": "http://127.0.0.1:1",
            "AUTH_PROXY_ROSTER": "open:support",
            "INTERNAL_SIGNING_KEY_FILE": "-",
            "AUTH_PROXY_LISTEN": "127.0.0.1:0",
            "AUTH_PROXY_OPS_LISTEN": "127.0.0.1:0",
            "AUTH_PROXY_WORKERS": "2",
            "AUTH_PROXY_DRAIN_SECONDS": "0",
        }
    )


@dataclass
class Shop:
    """A supervisor under test and what its workers noted."""

    settings: ProxySettings
    notes: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def supervisor(self, program: str) -> Supervisor:
        command: Sequence[str] = (sys.executable, "-c", program)
        return Supervisor(self.settings, {**os.environ, "NOTES": str(self.notes)}, command=command)

    def said(self, word: str) -> list[tuple[int, int]]:
        """Number and pid of each worker that noted it."""
        if not self.notes.exists():
            return []
        rows = [line.split() for line in self.notes.read_text().splitlines()]
        return [(int(number), int(pid)) for number, pid, *words in rows if words == [word]]

    async def until(self, word: str, times: int) -> None:
        async with asyncio.timeout(15):
            while len(self.said(word)) < times:
                await asyncio.sleep(0.01)


@pytest.fixture
def shop(settings: ProxySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Shop(settings, tmp_path / "notes")


def folders(shop: Shop) -> list[Path]:
    return list(shop.notes.parent.glob("auth-proxy-*"))


async def test_a_stop_lets_every_worker_drain(shop: Shop) -> None:
    """Two are started, both get the signal, and only then the supervisor is done; the folder is gone."""
    running = asyncio.create_task(shop.supervisor(SERVES).run(shop.stop))
    await shop.until("serves", 2)
    during = folders(shop)
    shop.stop.set()
    await running

    assert {number for number, _ in shop.said("drained")} == {0, 1}
    assert [path.stat().st_mode & 0o777 for path in during if path.exists()] == []
    assert len(during) == 1
    assert folders(shop) == []


async def test_workers_are_told_that_all_leave(shop: Shop) -> None:
    """Before the signal, so that each knows it by then; one that is stopped alone is told nothing."""
    running = asyncio.create_task(shop.supervisor(HEARS).run(shop.stop))
    await shop.until("serves", 2)
    os.kill(dict(shop.said("serves"))[0], signal.SIGTERM)
    await shop.until("serves", 3)
    shop.stop.set()
    await running

    assert [number for number, _ in shop.said("heard")] == [0]
    assert sorted(number for number, _ in shop.said("heard-")) == [0, 1]


async def test_a_reload_is_passed_on(shop: Shop) -> None:
    """SIGHUP to the supervisor reaches each worker."""
    running = asyncio.create_task(shop.supervisor(SERVES).run(shop.stop))
    await shop.until("serves", 2)
    os.kill(os.getpid(), signal.SIGHUP)
    await shop.until("reloaded", 2)
    shop.stop.set()
    await running

    assert {number for number, _ in shop.said("reloaded")} == {0, 1}


async def test_a_worker_that_dies_is_replaced(shop: Shop) -> None:
    """The other one is left alone; the new one has the number of the dead one."""
    running = asyncio.create_task(shop.supervisor(SERVES).run(shop.stop))
    await shop.until("serves", 2)
    before = dict(shop.said("serves"))
    os.kill(before[1], signal.SIGKILL)
    await shop.until("serves", 3)
    after = dict(shop.said("serves"))
    shop.stop.set()
    await running

    assert after[0] == before[0]
    assert after[1] != before[1]


async def test_a_crash_loop_stops_all(shop: Shop) -> None:
    """Five ends of a worker, each soon after its start: no further start would help."""
    with pytest.raises(
        WorkersFailedError, match=r"a worker ended 5 times within 10 s of its start"
    ) as caught:
        await shop.supervisor(CRASHES).run(shop.stop)

    numbers = [number for number, _ in shop.said("crashes")]
    assert caught.value.status == 1
    assert max(numbers.count(0), numbers.count(1)) == 5
    assert not any(is_alive(pid) for _, pid in shop.said("crashes"))
    assert folders(shop) == []


async def test_a_refused_configuration_stops_all_at_once(shop: Shop) -> None:
    """Status 2 before anything has served: the same answer would come again."""
    with pytest.raises(WorkersFailedError, match="the configuration is refused") as caught:
        await shop.supervisor(REFUSES).run(shop.stop)

    assert caught.value.status == 2
    assert len(shop.said("refuses")) <= 2


async def test_a_configuration_that_broke_later_is_tried_again(shop: Shop) -> None:
    """Once workers served, a file that is broken now does not end those who have the good one at once."""
    with pytest.raises(WorkersFailedError, match="5 times") as caught:
        await shop.supervisor(REFUSES_LATER).run(shop.stop)

    assert caught.value.status == 1
    assert len(shop.said("refuses")) == 4


async def test_who_cannot_drain_is_killed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """After drain time and grace a stop does not wait any longer."""
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.2)
    running = asyncio.create_task(shop.supervisor(DEAF).run(shop.stop))
    await shop.until("serves", 2)
    shop.stop.set()
    async with asyncio.timeout(20):
        await running

    assert not any(is_alive(pid) for _, pid in shop.said("serves"))


async def test_a_second_wish_waits_for_nobody(shop: Shop) -> None:
    """Every worker is killed, and the end says that it was no orderly one."""
    supervisor = shop.supervisor(DEAF)
    running = asyncio.create_task(supervisor.run(shop.stop))
    await shop.until("serves", 2)
    shop.stop.set()
    await asyncio.sleep(0.1)
    supervisor.hurry(signal.SIGTERM)
    async with asyncio.timeout(20):
        with pytest.raises(WorkersFailedError, match="second signal"):
            await running

    assert not any(is_alive(pid) for _, pid in shop.said("serves"))


async def test_a_stop_between_two_starts_waits_for_none(shop: Shop) -> None:
    """While a crashed worker waits for its next start, a stop ends the waiting."""
    running = asyncio.create_task(shop.supervisor(CRASHES).run(shop.stop))
    await shop.until("crashes", 4)
    shop.stop.set()
    async with asyncio.timeout(20):
        await running


async def test_a_taken_address_starts_nobody(shop: Shop) -> None:
    """PortInUseError, and what was opened before is closed again."""
    held = open_listeners("other", shop.settings.listen)
    taken = held.sets[0][0].getsockname()
    listen = type(shop.settings.listen)("127.0.0.1", taken[1])
    shop.settings = shop.settings.model_copy(update={"listen": listen})
    with pytest.raises(PortInUseError, match="gate: cannot listen"):
        await shop.supervisor(SERVES).run(shop.stop)
    held.close()

    assert not shop.notes.exists()


async def test_a_unix_socket_goes_with_its_workers(shop: Shop) -> None:
    """The file is there while they serve, and removed at the end."""
    path = shop.notes.parent / "gate.sock"
    listen = type(shop.settings.listen)(path=str(path))
    shop.settings = shop.settings.model_copy(update={"listen": listen})
    running = asyncio.create_task(shop.supervisor(SERVES).run(shop.stop))
    await shop.until("serves", 2)
    was_there = path.is_socket()
    shop.stop.set()
    await running

    assert was_there
    assert not path.exists()


def bound_names() -> list[object]:
    """The addresses of the sockets that this process listens with."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as copy:
            if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.append(copy.getsockname())
    return found


async def test_the_file_of_a_successor_stays(shop: Shop) -> None:
    """The socket holds its inode until the file was looked at: no successor's can have the same number."""
    path = shop.notes.parent / "gate.sock"
    listen = type(shop.settings.listen)(path=str(path))
    shop.settings = shop.settings.model_copy(update={"listen": listen})
    running = asyncio.create_task(shop.supervisor(TAKES_THE_FILE).run(shop.stop))
    await shop.until("serves", 2)
    shop.stop.set()
    await shop.until("left", 2)
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(str(path))
        is_held = any(name == str(path) for name in bound_names())
        await running

        assert is_held
        assert path.is_socket()


def test_only_quick_deaths_count() -> None:
    """One that had lived is replaced at once; one that dies again and again, after more and more time."""
    deaths = Deaths()
    waits = [deaths.count(lived) for lived in (0.1, 0.1, 0.1, 60.0, 0.1, 0.1, 0.1, 0.1)]

    assert waits == [0, 0.4, 0.8, 0, 0, 0.4, 0.8, 1.6]
    with pytest.raises(WorkersFailedError):
        deaths.count(9.9)
