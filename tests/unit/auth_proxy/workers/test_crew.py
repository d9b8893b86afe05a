"""The workers of one sidecar: they speak as one, and say who is missing."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from auth_proxy.workers.crew import ASK_SECONDS, ORPHAN_SECONDS, Crew
from auth_proxy.workers.inherited import ALL_LEAVE, Inherited
from service_kit.web.ops import Departure
from service_kit.web.serving import Site, serving
from tests.fixtures.crews import by_worker
from tests.fixtures.stopwatch import Stopwatch


@pytest.fixture(autouse=True)
def patient_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is told to be missing because the machine stood still."""
    monkeypatch.setattr("auth_proxy.workers.crew.ASK_SECONDS", 40.0)


@contextmanager
def hired(folder: Path, number: int, workers: int = 2) -> Iterator[tuple[Crew, socket.socket]]:
    """A worker's view of its crew, and the supervisor's end of its lifeline."""
    ours, theirs = socket.socketpair()
    crew = Crew(Inherited(number, workers, (), (), theirs.detach(), str(folder)))
    with ours:
        yield crew, ours
        crew._lifeline.close()


@asynccontextmanager
async def at_work(folder: Path, number: int, departure: Departure, workers: int = 2) -> AsyncIterator[Crew]:
    """A worker that answers the others."""
    registry = CollectorRegistry()
    Gauge("shoe_size", "Size.", registry=registry).set(40 + number)
    with hired(folder, number, workers) as (crew, _):
        site = Site("crew", crew.listen, crew.own_pages(registry, [departure.check]))
        async with serving([site], drain_seconds=0.1):
            yield crew


async def page_of(crew: Crew) -> str:
    registry = CollectorRegistry()
    Gauge("shoe_size", "Size.", registry=registry).set(40 + crew.number)
    page, _ = await crew.metrics_page(registry)
    return page.decode()


async def test_any_worker_tells_for_all(tmp_path: Path) -> None:
    """Whoever of three is asked gives the same page."""
    async with AsyncExitStack() as stack:
        crews = [await stack.enter_async_context(at_work(tmp_path, n, Departure(), 3)) for n in range(3)]
        pages = [by_worker(await page_of(crew), "shoe_size") for crew in crews]

    assert pages == [{"0": 40, "1": 41, "2": 42}] * 3


async def test_a_worker_that_is_gone_is_told(tmp_path: Path) -> None:
    """Its part is missing and named; readiness fails until its successor answers."""
    async with at_work(tmp_path, 0, Departure()) as crew:
        page = await page_of(crew)
        without = await crew.readiness()
        async with at_work(tmp_path, 1, Departure()):
            complete = await crew.readiness()

    assert by_worker(page, "auth_proxy_worker_up") == {"0": 1, "1": 0}
    assert (without.ready, without.detail) == (False, "worker 1 does not answer")
    assert (complete.ready, complete.detail) == (True, "")


async def test_readiness_is_that_of_all(tmp_path: Path) -> None:
    """One that is not ready makes all unready, and the answer says which and why."""
    leaving = Departure(has_begun=True)
    async with at_work(tmp_path, 0, Departure()) as crew, at_work(tmp_path, 1, leaving) as other:
        seen, theirs = await crew.readiness(), await other.readiness()

    assert (seen.name, seen.ready, seen.detail) == ("workers", False, "worker 1: staying the process stops")
    assert theirs.ready


@pytest.mark.parametrize("fault", ["hangs", "fails"])
async def test_a_worker_that_answers_wrongly_holds_nobody_up(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One second is waited for it, no longer; an answer that is none counts as none."""
    if fault == "hangs":
        monkeypatch.setattr("auth_proxy.workers.crew.ASK_SECONDS", ASK_SECONDS)

    async def answer(_request: web.Request) -> web.Response:
        if fault == "hangs":
            await asyncio.sleep(30)
        return web.Response(status=500)

    app = web.Application()
    app.router.add_get("/{path}", answer)
    with hired(tmp_path, 1) as (broken, _):
        listen = broken.listen
    async with (
        at_work(tmp_path, 0, Departure()) as crew,
        serving([Site("crew", listen, app)], drain_seconds=0.05),
    ):
        started = Stopwatch()
        page, readiness = await asyncio.gather(page_of(crew), crew.readiness())
        took = started.awake

    assert by_worker(page, "auth_proxy_worker_up") == {"0": 1, "1": 0}
    assert readiness.detail == "worker 1 does not answer"
    assert took < 2


async def test_only_its_user_reaches_a_worker(tmp_path: Path) -> None:
    """The socket is for owner and group, in a folder for the owner alone."""
    async with at_work(tmp_path, 0, Departure()) as crew:
        mode = Path(crew.listen.path).stat().st_mode & 0o777

    assert mode == 0o660


async def test_a_worker_says_that_it_serves(tmp_path: Path) -> None:
    """One byte on the line; a supervisor that is gone by then is no fault of the worker."""
    with hired(tmp_path, 0) as (crew, line):
        crew.tell_started()
        told = line.recv(10)
        line.close()
        crew.tell_started()

    assert told == b"+"


async def test_a_worker_knows_whether_it_has_a_successor(tmp_path: Path) -> None:
    """One that is stopped alone has one; not when all of them leave, nor when nobody is left to start one."""
    with hired(tmp_path, 0) as (crew, line):
        stop = asyncio.Event()
        with crew.bound_to_supervisor(stop):
            at_first = crew.has_successor()
            line.send(ALL_LEAVE)
            at_once = crew.has_successor()
            await asyncio.sleep(0.05)
            later = crew.has_successor()
        assert not stop.is_set()
    with hired(tmp_path, 0) as (crew, line):
        line.close()
        orphan = crew.has_successor()

    assert (at_first, at_once, later, orphan) == (True, False, False, False)


async def test_what_is_heard_early_is_remembered(tmp_path: Path) -> None:
    """The loop may read the line before anybody asks."""
    with hired(tmp_path, 0) as (crew, line), crew.bound_to_supervisor(asyncio.Event()):
        line.send(ALL_LEAVE)
        await asyncio.sleep(0.05)

        assert not crew.has_successor()


async def test_an_orphan_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line ends with the supervisor: the worker stops, and the last one takes the folder with it."""
    monkeypatch.setattr("auth_proxy.workers.crew.ORPHAN_SECONDS", 3600)  # it would end this very process
    folder = tmp_path / "crew"
    folder.mkdir()
    with hired(folder, 0) as (crew, line):
        Path(crew.listen.path).touch()
        stop = asyncio.Event()
        with crew.bound_to_supervisor(stop):
            line.send(b"a byte that means nothing")
            await asyncio.sleep(0.05)
            assert not stop.is_set()
            line.close()
            async with asyncio.timeout(20):
                await stop.wait()
            assert crew.is_orphan

    assert not folder.exists()


async def test_a_worker_that_ends_by_itself_leaves_the_folder(tmp_path: Path) -> None:
    """It is the supervisor's, and other workers meet there."""
    with hired(tmp_path, 0) as (crew, _), crew.bound_to_supervisor(asyncio.Event()):
        pass

    assert tmp_path.is_dir()


def test_an_orphan_ends_whatever_it_does(tmp_path: Path) -> None:
    """A request that never ends must not hold a part of the port: a second and a half, then it is over."""
    program = """
import asyncio, os, sys
from auth_proxy.workers.crew import Crew
from auth_proxy.workers.inherited import Inherited
async def main():
    crew = Crew(Inherited(0, 2, (), (), int(sys.argv[1]), sys.argv[2]))
    with crew.bound_to_supervisor(asyncio.Event()):
        crew.tell_started()
        await asyncio.sleep(60)
asyncio.run(main())
"""
    folder = tmp_path / "crew"
    folder.mkdir()
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(theirs.fileno()), str(folder)],
        pass_fds=[theirs.fileno()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    theirs.close()
    assert ours.recv(1) == b"+"
    started = Stopwatch()
    ours.close()
    status = process.wait(timeout=40)

    assert status == 1
    assert started.seconds > 1
    assert ORPHAN_SECONDS == 1.5
    assert started.awake < 6  # of 60: it sees no stall that only the other process has
    assert not folder.exists()
