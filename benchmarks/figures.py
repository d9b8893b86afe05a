"""Medians, spreads and paired ratios of measured rounds.

A ratio is made of two rounds that were measured one after the other, never of two medians.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measured import Round

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
    """In most rounds the load side was the limit: the contender can do at least this."""


def figures(rounds: Sequence[Round]) -> Figures:
    """Of the rounds that count or are lower bounds; without any, of those that nobody disturbed; else of all.

    To leave the bounds out would leave only those rounds in which a fast contender was slow.
    """
    counting = [one for one in rounds if one.counts]
    telling = [one for one in rounds if one.counts or one.is_bound]
    told = telling or [one for one in rounds if not one.is_disturbed] or list(rounds)
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
        is_bound=2 * sum(one.is_bound for one in told) > len(told),
    )


def ratio(rounds: Mapping[str, Sequence[Round]], name: str, base: str, value: Value) -> float | None:
    """The median over the pairs of rounds; of valid pairs where there are any.

    In a valid pair the second one counts, and the first one counts or is a lower bound: of a rate, where
    more is better, the ratio is one then too.
    """
    pairs = _pairs(rounds, name, base)
    ratios = [value(one) / value(other) for one, other in _valid(pairs) or pairs if value(other)]
    return statistics.median(ratios) if ratios else None


def is_proven(rounds: Mapping[str, Sequence[Round]], name: str, base: str) -> bool:
    """There is a valid pair."""
    return bool(_valid(_pairs(rounds, name, base)))


def _pairs(rounds: Mapping[str, Sequence[Round]], name: str, base: str) -> list[tuple[Round, Round]]:
    return list(zip(rounds.get(name, ()), rounds.get(base, ()), strict=False))


def _valid(pairs: Sequence[tuple[Round, Round]]) -> list[tuple[Round, Round]]:
    return [(one, other) for one, other in pairs if other.counts and (one.counts or one.is_bound)]
