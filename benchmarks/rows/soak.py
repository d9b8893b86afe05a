"""A soak: memory of a sidecar that works for long, with good and bad tokens and idle connections.

What counts is whether memory is flat: the last quarter of the samples against the second one. The
first quarter is no measure, because caches and pools fill in it.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from benchmarks.given import Given
from benchmarks.interleaved import Bench
from benchmarks.memory_clients import ClientError, ask_some, idle_connections, still_open
from benchmarks.process import Running
from benchmarks.result import SOAK, Result
from benchmarks.rows.memory import IDLE, how_many_idle, megabytes, own_sidecar, requests_in_rotation
from benchmarks.wrk import begin

_SAMPLE_SECONDS: Final = 5.0
_ASKED_EVERY_SECONDS: Final = 50.0
"""How often an idle connection asks something: the sidecar ends one that has rested for 75 s."""


def soak(bench: Bench, given: Given, result: Result) -> None:
    """Only when somebody asked for it with `--soak`."""
    if not bench.soak_minutes:
        return
    try:
        _soak(bench, given, result)
    except (ClientError, OSError) as error:
        result.skipped["soak"] = str(error)


def _soak(bench: Bench, given: Given, result: Result) -> None:
    count, requests = how_many_idle(bench, result), requests_in_rotation(bench, given)
    with (
        own_sidecar(
            bench, given, "soak", given.upstream, AUTH_PROXY_MAX_CONNECTIONS=str(2 * IDLE)
        ) as running,
        idle_connections(running.port, count, requests) as connections,
    ):
        some = max(1, round(count * _SAMPLE_SECONDS / _ASKED_EVERY_SECONDS))
        samples = list(
            _samples(
                bench, given, running, lambda number: ask_some(connections, number * some, some, requests)
            )
        )
        result.measures[f"{SOAK}connections"] = still_open(connections)
    result.measures[f"{SOAK}minutes"] = bench.soak_minutes
    result.measures[f"{SOAK}last_mb"] = samples[-1]
    result.measures[f"{SOAK}most_mb"] = max(samples)
    result.measures[f"{SOAK}growth_mb"] = growth(samples)
    result.soaked = result.moment


def growth(samples: Sequence[float]) -> float:
    """What the last quarter has more than the second."""
    quarter = max(1, len(samples) // 4)
    return statistics.median(samples[-quarter:]) - statistics.median(
        samples[quarter : 2 * quarter] or samples
    )


def _samples(bench: Bench, given: Given, running: Running, ask: Callable[[int], None]) -> Iterator[float]:
    seconds = bench.soak_minutes * 60
    good = replace(given.load(), connections=32, pause_ms=64)  # 500 a second at the most
    bad = replace(given.load(tokens=given.bad_tokens), connections=8, pause_ms=64)
    loads = [
        begin(
            *(running.port, load),
            seconds=seconds,
            first_number=bench.numbers.next(),
            cores=[bench.cores.load],
        )
        for load in (good, bad)
    ]
    until, number = time.monotonic() + seconds, 0
    while (begun := time.monotonic()) < until:
        ask(number)
        number += 1
        time.sleep(max(0.1, min(begun + _SAMPLE_SECONDS, until) - time.monotonic()))
        yield megabytes(running)
    for load in loads:
        told = load.told()
        bench.tell(f"  soak: {told.requests} requests, {told.refused} refused, {told.errors} failed")
