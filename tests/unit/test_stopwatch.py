"""The stopwatch that tests of time limits use leaves out what the machine took, and nothing else."""

import asyncio

import pytest

from tests.fixtures import stopwatch
from tests.fixtures.stopwatch import Stopwatch


async def test_waiting_is_counted() -> None:
    """A timer that a test waits for is time of the code; a machine takes of one wait, hardly of all five."""
    told = []
    for _ in range(5):
        watch = Stopwatch()
        await asyncio.sleep(0.2)
        told.append(watch.awake)
        assert watch.seconds >= 0.2

    assert max(told) > 0.15


async def test_what_the_machine_took_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that came two seconds late is two seconds in which nothing ran."""
    stalls = stopwatch._Stalls()
    monkeypatch.setattr(stopwatch, "_stalls", lambda: stalls)
    now = stalls.ticked_at
    monkeypatch.setattr("time.monotonic", lambda: now)
    watch = Stopwatch()
    now += 2.5
    stalled = watch.awake  # the thread has not told of it yet
    stalls.tick(now)
    now += 0.01

    assert stalled == pytest.approx(0.01)
    assert watch.awake == pytest.approx(0.02)
    assert watch.seconds == pytest.approx(2.51)
