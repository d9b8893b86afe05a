"""Rounds over all contenders in turn (A B C A B C), so that a machine that slows down slows everybody.

A round that somebody else disturbed is repeated, whatever it measured; it is never repeated for its speed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol, Self, TypeVar

from benchmarks.machine import Cores, busy_seconds, cpu_seconds, tcp_opens
from benchmarks.measured import MOST_FOREIGN_CPU, Expected, Round, Used, judged
from benchmarks.process import Running
from benchmarks.wrk import Load, Numbers, Told, begin

_MOST_REPEATS: Final = 2
WARM_UP_SECONDS: Final = 1.0

Tell = Callable[[str], None]


class Measured(Protocol):
    """Anything that knows how much it was disturbed."""

    @property
    def foreign_cpu(self) -> float: ...


Once = TypeVar("Once", bound=Measured)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a row needs: who runs, where, and how long."""

    upstream: Running
    running: Mapping[str, Running]
    cores: Cores
    numbers: Numbers
    rounds: int
    seconds: float
    tell: Tell
    soak_minutes: float = 0.0
    is_quick: bool = False
    """A smoke run: nothing is repeated."""
    repeat_until: float = 0.0
    """By the monotonic clock; after this moment nothing is repeated, so that a run has an end."""

    @property
    def has_time(self) -> bool:
        return not self.is_quick and time.monotonic() < self.repeat_until

    def lighter(self) -> Self:
        """For rows that many follow: at most three rounds of two seconds."""
        return replace(self, rounds=min(3, self.rounds), seconds=min(2, self.seconds))

    def those(self, *names: str) -> list[str]:
        """Who of these runs."""
        return [name for name in names if name in self.running]


@dataclass(frozen=True, slots=True)
class Plan:
    """One row: whom to send what, and what has to come back."""

    row: str
    contenders: Sequence[str]
    load: Load
    expected: Expected
    beside: Load | None = None
    """Bad tokens that are sent at the same time; all of them have to be refused."""


Rounds = dict[str, list[Round]]


def interleaved(bench: Bench, plan: Plan) -> Rounds:
    """For each contender its rounds, in the order in which they were measured."""
    return all_interleaved(bench, [plan])[plan.row]


def all_interleaved(bench: Bench, plans: Sequence[Plan]) -> dict[str, Rounds]:
    """The same for several rows that are compared with each other: each round is one of every row."""
    rounds: dict[str, Rounds] = {plan.row: {name: [] for name in plan.contenders} for plan in plans}
    for plan, name in _in_turn(plans):
        _warm_up(bench, plan, name)
    for number in range(bench.rounds):
        for plan, name in _in_turn(plans):
            measured = undisturbed(partial(_once, bench, plan, name), bench)
            rounds[plan.row][name].append(measured)
            bench.tell(f"  {plan.row} {number + 1}/{bench.rounds} {name}: {in_words(measured)}")
    return rounds


def _in_turn(plans: Sequence[Plan]) -> list[tuple[Plan, str]]:
    return [(plan, name) for plan in plans for name in plan.contenders]


def undisturbed(measure: Callable[[], Once], bench: Bench) -> Once:
    """The first measurement that nobody disturbed; if there is none, the one that was disturbed least."""
    tried = [measure()]
    while tried[-1].foreign_cpu > MOST_FOREIGN_CPU and len(tried) <= _MOST_REPEATS and bench.has_time:
        tried.append(measure())
    return min(tried, key=lambda one: one.foreign_cpu)


def in_words(measured: Round) -> str:
    told = f"{measured.rps:,.0f}/s, {measured.cpu_us:.1f} µs, p99 {measured.p99_ms:.2f} ms"
    return told if measured.counts else f"{told} (does not count: {'; '.join(measured.faults)})"


def _warm_up(bench: Bench, plan: Plan, name: str) -> None:
    _send(bench, [plan.load], bench.running[name].port, WARM_UP_SECONDS)


def _once(bench: Bench, plan: Plan, name: str) -> Round:
    """One round: the load, and beside it the one that is refused, if the row has one."""
    loads = [plan.load] if plan.beside is None else [plan.load, plan.beside]
    proxy = bench.running[name]
    before = used_so_far(bench, proxy)
    told = _send(bench, loads, proxy.port, bench.seconds)
    used = used_since(before, bench, proxy, by_load=sum(one.cpu_seconds for one in told))
    return judged(told, used, plan.expected, connections=sum(load.connections for load in loads))


def _send(bench: Bench, loads: Sequence[Load], port: int, seconds: float) -> list[Told]:
    """All of the loads at the same time."""
    running = [
        begin(port, load, seconds=seconds, first_number=bench.numbers.next(), cores=[bench.cores.load])
        for load in loads
    ]
    return [one.told() for one in running]


def used_so_far(bench: Bench, proxy: Running | None) -> Used:
    """The processors' time until now; only differences mean something."""
    return Used(
        proxy=cpu_seconds(proxy.pids) if proxy else 0.0,
        load=cpu_seconds(bench.upstream.pids),
        anybody=busy_seconds({bench.cores.load, bench.cores.proxy}),
        opens=tcp_opens(),
    )


def used_since(before: Used, bench: Bench, proxy: Running | None, *, by_load: float) -> Used:
    """What was used since then; `by_load` is the time of the load generators, which have ended."""
    now = used_so_far(bench, proxy)
    return Used(
        proxy=now.proxy - before.proxy,
        load=now.load - before.load + by_load,
        anybody=now.anybody - before.anybody,
        opens=now.opens - before.opens,
    )
