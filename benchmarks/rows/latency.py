"""Added latency: what a lone request waits more than at a plain nginx, and than without any proxy.

A shared machine is another one every few seconds, and a lone request feels it most: so the rounds are short
and many, and what is added is the median over pairs of rounds that were measured one after the other.
"""

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from benchmarks.given import Given
from benchmarks.interleaved import Bench, undisturbed, used_since, used_so_far
from benchmarks.machine import pinned
from benchmarks.measured import MOST_FOREIGN_CPU
from benchmarks.process import ROOT, Running
from benchmarks.result import Result

PER_SECOND: Final = 1000
DIRECT: Final = "direct"
_ROUNDS_PER_ROUND: Final = 3


@dataclass(frozen=True, slots=True)
class Waits:
    """One round of one contender."""

    p50_us: float
    p99_us: float
    wrong: int
    foreign_cpu: float

    @property
    def is_disturbed(self) -> bool:
        return self.foreign_cpu > MOST_FOREIGN_CPU


def latency(bench: Bench, given: Given, result: Result) -> None:
    """p50 and p99 at 1,000 requests per second over one connection, measured the same way for each."""
    bench = replace(bench, rounds=_ROUNDS_PER_ROUND * bench.rounds, seconds=min(1.0, bench.seconds))
    asked: dict[str, Running | None] = {DIRECT: None}
    asked |= {name: bench.running[name] for name in bench.those("nginx", "sidecar", "envoy", "haproxy")}
    found: dict[str, list[Waits]] = {name: [] for name in asked}
    for number in range(bench.rounds):
        for name, proxy in asked.items():
            told = undisturbed(partial(_measured, bench, given, proxy), bench)
            found[name].append(told)
            bench.tell(f"  latency {number + 1}/{bench.rounds} {name}: {_in_words(told)}")
    _put(result, found)


def _in_words(told: Waits) -> str:
    note = f" (somebody else used {told.foreign_cpu:.0%} of a core)" if told.is_disturbed else ""
    return f"p50 {told.p50_us:.0f} µs, p99 {told.p99_us:.0f} µs{note}"


def _put(result: Result, found: Mapping[str, Sequence[Waits]]) -> None:
    for name, rounds in found.items():
        if any(one.wrong for one in rounds):
            result.skipped[f"latency of {name}"] = "answers other than 200"
            continue
        told = [one for one in rounds if not one.is_disturbed]
        if not told:
            result.disturbed.append(f"latency of {name}")
        told = told or list(rounds)
        result.measures[f"latency.p50_us.{name}"] = statistics.median(one.p50_us for one in told)
        result.measures[f"latency.p99_us.{name}"] = statistics.median(one.p99_us for one in told)
    for base in ("nginx", DIRECT):
        are_both = all(f"latency.p50_us.{name}" in result.measures for name in ("sidecar", base))
        added = added_us(found["sidecar"], found[base]) if are_both else None
        if added is not None:
            result.measures[f"latency.added_us.over_{base}"] = added


def added_us(ours: Sequence[Waits], theirs: Sequence[Waits]) -> float | None:
    """What our p50 has more, over pairs of rounds that nobody disturbed; over all pairs if there is none."""
    pairs = list(zip(ours, theirs, strict=False))
    calm = [pair for pair in pairs if not any(one.is_disturbed for one in pair)]
    added = [one.p50_us - other.p50_us for one, other in calm or pairs]
    return statistics.median(added) if added else None


def _measured(bench: Bench, given: Given, proxy: Running | None) -> Waits:
    load, port = given.load(), proxy.port if proxy else bench.upstream.port
    words = [sys.executable, "-m", "benchmarks.paced", str(port), str(load.head), str(load.tokens)]
    words += [str(int(bench.seconds * PER_SECOND)), str(PER_SECOND), str(bench.numbers.next())]
    before, own = used_so_far(bench, proxy), _children_seconds()
    told = subprocess.run(
        pinned(words, bench.cores.load), capture_output=True, text=True, check=True, cwd=ROOT
    )
    used = used_since(before, bench, proxy, by_load=_children_seconds() - own)
    foreign = max(0.0, used.anybody - used.proxy - used.load) / bench.seconds
    return Waits(**json.loads(told.stdout), foreign_cpu=foreign)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
