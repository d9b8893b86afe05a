"""Medians, spreads and paired ratios of measured rounds.

A ratio is made of two rounds that were measured one after the other, never of two medians.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.measured import LEAST_PROXY_CPU, Round

_FULL: Final = 0.9

Value = Callable[[Round], float]


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rounds of one contender say together."""

    rps: float
    rps_least: float
    rps_most: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    bytes_per_second: float
    rounds: int
    counting: int
    """How many of the rounds count; where it is none, the figures are those of rounds that do not."""
    is_bound: bool
    """The load side was the limit: the contender can do at least this."""


def figures(rounds: Sequence[Round]) -> Figures:
    """Of the rounds that count; where none does, of those that nobody disturbed; else of all."""
    counting = [one for one in rounds if one.counts]
    told = counting or [one for one in rounds if not one.is_disturbed] or list(rounds)
    rps = [one.rps for one in told]
    return Figures(
        rps=statistics.median(rps),
        rps_least=min(rps),
        rps_most=max(rps),
        cpu_us=statistics.median(one.cpu_us for one in told),
        p50_ms=statistics.median(one.p50_ms for one in told),
        p99_ms=statistics.median(one.p99_ms for one in told),
        bytes_per_second=statistics.median(one.bytes_per_second for one in told),
        rounds=len(rounds),
        counting=len(counting),
        is_bound=_is_bound(told),
    )


def ratio(rounds: Mapping[str, Sequence[Round]], name: str, base: str, value: Value) -> float | None:
    """The median over the pairs of rounds; of pairs that count where there are any."""
    pairs = _pairs(rounds, name, base)
    ratios = [value(one) / value(other) for one, other in _valid(pairs) or pairs if value(other)]
    return statistics.median(ratios) if ratios else None


def is_proven(rounds: Mapping[str, Sequence[Round]], name: str, base: str) -> bool:
    """Both counted in at least one round."""
    return bool(_valid(_pairs(rounds, name, base)))


def _pairs(rounds: Mapping[str, Sequence[Round]], name: str, base: str) -> list[tuple[Round, Round]]:
    return list(zip(rounds.get(name, ()), rounds.get(base, ()), strict=False))


def _valid(pairs: Sequence[tuple[Round, Round]]) -> list[tuple[Round, Round]]:
    return [pair for pair in pairs if all(one.counts for one in pair)]


def _is_bound(rounds: Sequence[Round]) -> bool:
    """The proxy had time left, and the load had none."""
    proxy = statistics.median(one.proxy_cpu for one in rounds)
    load = statistics.median(one.load_cpu for one in rounds)
    return proxy < LEAST_PROXY_CPU and load > _FULL
