"""One measured round, and the rules by which it counts.

No rule looks at how fast a round was: only at who used the processors, what was answered and how.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.wrk import Told

LEAST_PROXY_CPU: Final = 0.95
_BUSY_LOAD: Final = 0.9
MOST_FOREIGN_CPU: Final = 0.10
# The connections of the load, and as many again and more for a pool to the upstream.
_POOL: Final = 256
_HEAD_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class Expected:
    """What every answer of a round has to be."""

    size: int = 0
    """The bytes of each body; 0 where they differ."""
    is_refused: bool = False


_REFUSED: Final = Expected(is_refused=True)


@dataclass(frozen=True, slots=True)
class Used:
    """What the processors did during a round, in seconds of one core."""

    proxy: float
    load: float
    """The load generator and the upstream."""
    anybody: float
    """All of them, and whoever else is on this machine."""
    opens: int
    """TCP connections that were opened, by anybody."""


@dataclass(frozen=True, slots=True)
class Round:
    """One contender, once."""

    rps: float
    bytes_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Processor time of the proxy for one request."""
    proxy_cpu: float
    """The share of its core that the proxy used."""
    load_cpu: float
    foreign_cpu: float
    """The share of one core that neither the proxy nor the load used."""
    faults: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        return not self.faults

    @property
    def is_bound(self) -> bool:
        """Nothing is wrong with it but that the proxy had time left and the load had none: it can do more."""
        had_time = self.proxy_cpu < LEAST_PROXY_CPU and self.load_cpu > _BUSY_LOAD
        return had_time and len(self.faults) <= 1

    @property
    def is_disturbed(self) -> bool:
        return self.foreign_cpu > MOST_FOREIGN_CPU


def judged(told: Sequence[Told], used: Used, expected: Expected, *, connections: int) -> Round:
    """The round of the first load, with every reason for which it does not count.

    Another load beside it counts for the processor's time only, and has to be refused.
    """
    first, seconds = told[0], told[0].seconds or 1.0
    proxy, load = used.proxy / seconds, used.load / seconds
    foreign = max(0.0, used.anybody / seconds - proxy - load)
    answered = sum(one.requests for one in told)
    faults = [
        *_disturbances(proxy, foreign),
        *_failures(told, used, connections, expected),
        *_wrong_answers(first, expected, connections),
        *(fault for beside in told[1:] for fault in _wrong_answers(beside, _REFUSED, connections)),
    ]
    return Round(
        rps=first.requests / seconds,
        bytes_per_second=first.bytes / seconds,
        p50_ms=first.p50_ms,
        p99_ms=first.p99_ms,
        cpu_us=1e6 * used.proxy / answered if answered else 0.0,
        proxy_cpu=proxy,
        load_cpu=load,
        foreign_cpu=foreign,
        faults=tuple(faults),
    )


def _disturbances(proxy: float, foreign: float) -> Iterator[str]:
    if foreign > MOST_FOREIGN_CPU:
        yield f"somebody else used {foreign:.0%} of a core"
    if proxy < LEAST_PROXY_CPU:
        yield f"the proxy used {proxy:.0%} of its core"


def _failures(told: Sequence[Told], used: Used, connections: int, expected: Expected) -> Iterator[str]:
    errors = sum(one.errors for one in told)
    if errors:
        yield f"{errors} connections failed"
    # The sidecar ends the connection of whom it refuses, on purpose: those are opened anew.
    refused = sum(one.refused for one in told) if expected.is_refused or len(told) > 1 else 0
    if used.opens > 2 * connections + _POOL + refused:
        yield f"{used.opens} connections were opened"


def _wrong_answers(told: Told, expected: Expected, connections: int) -> Iterator[str]:
    if not told.requests:
        yield "nothing was answered"
        return
    wrong = told.requests - told.refused if expected.is_refused else told.refused
    if wrong:
        yield f"{wrong} answers were {'let through' if expected.is_refused else 'refused'}"
    # Answers that the end of the round cut off count in bytes, but not as answers.
    most = (told.requests + connections) * (expected.size + _HEAD_BYTES)
    if expected.size and not told.requests * expected.size <= told.bytes <= most:
        yield f"{told.bytes / told.requests:.0f} bytes came for each answer of {expected.size}"
