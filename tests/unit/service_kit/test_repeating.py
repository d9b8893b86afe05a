"""Work that is done again and again: asked to stop it ends its turn, and begins no other one."""

import asyncio

import pytest

from service_kit import repeating
from service_kit.repeating import Repeating
from tests.fixtures.stopwatch import Stopwatch


class Work:
    """Turns that are begun, and ended when the test says so."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.arrived, self.may_end = asyncio.Event(), asyncio.Event()

    async def turn(self) -> None:
        self.begun += 1
        self.arrived.set()
        await self.may_end.wait()
        self.ended += 1


async def test_a_turn_that_runs_may_end_and_none_follows() -> None:
    """What is cut off in a query may leave its connection behind."""
    work = Work()
    some = Repeating(work.turn, first=0, every=0)
    some.start()
    await work.arrived.wait()
    closing = asyncio.create_task(some.close())
    await asyncio.sleep(0.05)
    work.may_end.set()
    await closing

    assert (work.begun, work.ended) == (1, 1)


async def test_a_turn_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer holds no process back."""
    monkeypatch.setattr(repeating, "_PATIENCE_SECONDS", 0.1)
    work = Work()
    some = Repeating(work.turn, first=0, every=0)
    some.start()
    await work.arrived.wait()
    async with asyncio.timeout(20):
        await some.close()

    assert (work.begun, work.ended) == (1, 0)


async def test_nothing_is_begun_after_the_end() -> None:
    """Also who waits for its first turn leaves at once, and one that never began has nothing to end."""
    work = Work()
    some = Repeating(work.turn, first=60, every=60)
    await some.close()
    some = Repeating(work.turn, first=60, every=60)
    some.start()
    await asyncio.sleep(0)
    started = Stopwatch()
    await some.close()

    assert started.awake < 1
    assert work.begun == 0


async def test_turns_come_again() -> None:
    """One after the other, each after the end of the one before it."""
    work = Work()
    work.may_end.set()
    some = Repeating(work.turn, first=0, every=0.01)
    some.start()
    async with asyncio.timeout(20):
        while work.ended < 3:
            await asyncio.sleep(0.01)
    await some.close()

    assert work.begun == work.ended
