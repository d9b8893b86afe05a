"""Two workers against one.

With four cores or more the load has cores of its own, and the quotient of the rates is the answer. With
fewer, load and workers share them, and no rate can double. Then the answer is a projection, and is
called so: what each worker could do with a core of its own, from the processor time of a request with
one worker and with two, and from how evenly the workers were used.
"""

import os
import statistics
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.contenders import sidecar
from benchmarks.given import Given
from benchmarks.interleaved import Bench, undisturbed
from benchmarks.machine import busy_seconds, cpu_seconds
from benchmarks.measured import MOST_FOREIGN_CPU
from benchmarks.process import Running, StartError, free_port, serving
from benchmarks.result import Result
from benchmarks.wrk import begin

_CORES_FOR_A_RATE: Final = 4
_UNSUPPORTED: Final = "AUTH_PROXY_WORKERS"


@dataclass(frozen=True, slots=True)
class Shared:
    """One round: workers, load and upstream on the cores that there are."""

    rps: float
    cpu_us: float
    evenness: float
    """How much of what the busiest worker did the average worker did: 1 is perfectly even."""
    foreign_cpu: float


def workers(bench: Bench, given: Given, result: Result) -> None:
    """One worker and two in turn; skipped with a clear line where this version has one only."""
    bench = bench.lighter()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        result.skipped["two workers"] = "this machine has one core"
        return
    rounds: dict[int, list[Shared]] = {1: [], 2: []}
    try:
        for number in range(bench.rounds):
            for count, measured in rounds.items():
                measured.append(_with_workers(bench, given, count, cores))
                bench.tell(f"  workers {number + 1}/{bench.rounds} {count}: {measured[-1].rps:,.0f}/s")
    except StartError as error:
        result.skipped["two workers"] = _why(str(error))
        return
    _put(result, rounds[1], rounds[2], has_own_cores=len(cores) >= _CORES_FOR_A_RATE)


def _why(text: str) -> str:
    if _UNSUPPORTED in text:
        return "this version refuses AUTH_PROXY_WORKERS=2"
    return text


def _put(result: Result, one: list[Shared], two: list[Shared], *, has_own_cores: bool) -> None:
    pairs = list(zip(one, two, strict=True))
    quiet = [pair for pair in pairs if all(half.foreign_cpu <= MOST_FOREIGN_CPU for half in pair)]
    if not quiet:
        result.disturbed.append("two workers")
    pairs = quiet or pairs
    rate = statistics.median(b.rps / a.rps for a, b in pairs)
    projected = statistics.median(2 * b.evenness * a.cpu_us / b.cpu_us for a, b in pairs)
    result.measures |= {
        "workers.rps_ratio": rate,
        "workers.projected_ratio": projected,
        "workers.two_to_one": rate if has_own_cores else projected,
        "workers.evenness": statistics.median(b.evenness for _a, b in pairs),
        "workers.cpu_us.one": statistics.median(a.cpu_us for a, _b in pairs),
        "workers.cpu_us.two": statistics.median(b.cpu_us for _a, b in pairs),
    }


def _with_workers(bench: Bench, given: Given, count: int, cores: list[int]) -> Shared:
    own = given.folder / f"workers-{count}"
    own.mkdir(exist_ok=True)
    command = sidecar.command(given, own, free_port(), AUTH_PROXY_WORKERS=str(count))
    has_own_cores = len(cores) >= _CORES_FOR_A_RATE
    with serving(command, own / "log", *(cores[-2:] if has_own_cores else cores)) as running:
        load_cores = cores[:-2] if has_own_cores else cores
        _send(bench, given, running, load_cores, 1)
        return undisturbed(partial(_once, bench, given, running, load_cores), bench)


def _once(bench: Bench, given: Given, running: Running, cores: list[int]) -> Shared:
    everywhere = os.sched_getaffinity(0)
    pids = running.pids
    before, others = [cpu_seconds([pid]) for pid in pids], _others(bench, everywhere)
    requests, seconds, by_load = _send(bench, given, running, cores, bench.seconds)
    each = [cpu_seconds([pid]) - earlier for pid, earlier in zip(pids, before, strict=True)]
    working = [used for used in each if used > max(each) / 10] or each  # without an idle supervisor
    foreign = _others(bench, everywhere) - others - by_load - sum(each)
    return Shared(
        rps=requests / seconds,
        cpu_us=1e6 * sum(each) / requests,
        evenness=statistics.mean(working) / max(working),
        foreign_cpu=max(0.0, foreign / seconds),
    )


def _others(bench: Bench, cores: set[int]) -> float:
    return busy_seconds(cores) - cpu_seconds(bench.upstream.pids)


def _send(
    bench: Bench, given: Given, running: Running, cores: list[int], seconds: float
) -> tuple[int, float, float]:
    load = begin(
        running.port, given.load(), seconds=seconds, first_number=bench.numbers.next(), cores=cores
    ).told()
    return load.requests, load.seconds, load.cpu_seconds
