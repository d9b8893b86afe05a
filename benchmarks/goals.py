"""The goals of the data path, each beside the name of the measure that answers it, and what is held.

A goal is where we would like to be; what is held is where we are, less the noise of a machine: a change that
falls below it has made something worse (ADR 0030).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table of goals."""

    text: str
    measure: str
    at: float
    held: float
    moonshot: float | None = None
    is_ceiling: bool = False
    """Less is better."""
    unit: str = ""

    def verdict(self, measures: Mapping[str, float]) -> str:
        """What was measured says: met, missed, moonshot, or nothing."""
        value = measures.get(self.measure)
        if value is None:
            return "not measured"
        if self.moonshot is not None and self._reaches(value, self.moonshot):
            return "moonshot"
        return "met" if self._reaches(value, self.at) else "missed"

    def is_held(self, measures: Mapping[str, float]) -> bool:
        """Whether nothing measured says that it fell."""
        value = measures.get(self.measure)
        return value is None or self._reaches(value, self.held)

    def _reaches(self, value: float, mark: float) -> bool:
        return value <= mark if self.is_ceiling else value >= mark


GOALS: Final = (
    Goal("requests per second and core ÷ Envoy jwt_authn with its cache", "get.rps/envoy", 1.3, 0.33, 1.5),
    Goal("÷ HAProxy jwt_verify", "get.rps/haproxy", 1.0, 0.2, 1.4),
    Goal("÷ Caddy, plain", "get.rps/caddy", 2.5, 0.5, 3.5),
    Goal("÷ Traefik, plain", "get.rps/traefik", 1.5, 0.33, 2.2),
    Goal("p99 at saturation ÷ Envoy’s", "get.p99/envoy", 1.0, 3.5, is_ceiling=True),
    Goal("64 KB bodies, bytes per second ÷ Envoy", "64k.bytes/envoy", 1.0, 0.36, 1.5),
    Goal("1 MB bodies, bytes per second ÷ Envoy", "1m.bytes/envoy", 0.9, 0.8, 1.0),
    Goal(
        *("p50 of a lone request, over plain nginx’s", "latency.added_us.over_nginx", 150, 300),
        is_ceiling=True,
        unit="µs",
    ),
    Goal("refusals of distinct bad tokens ÷ Envoy’s", "bad tokens, distinct.rps/envoy", 1.0, 0.2, 1.4),
    Goal("refusals of a repeated bad token ÷ good requests", "refusals.repeated_to_good/sidecar", 1.5, 1.4),
    Goal(
        "p99 of good requests beside as many bad tokens ÷ alone",
        *("refusals.good_p99_beside_bad_to_alone/sidecar", 2.0, 2.5),
        is_ceiling=True,
    ),
    Goal("memory with 10,000 idle connections", "memory.idle_mb", 90, 90, is_ceiling=True, unit="MB"),
    Goal(
        *("the same, and load beside them", "memory.idle_and_load_mb", 90, 90),
        is_ceiling=True,
        unit="MB",
    ),
    Goal("memory gained by 1 GB sent", "memory.upload_growth_mb", 20, 20, is_ceiling=True, unit="MB"),
    Goal("memory gained by 1 GB received", "memory.download_growth_mb", 20, 20, is_ceiling=True, unit="MB"),
    Goal("two workers ÷ one", "workers.two_to_one", 1.8, 1.6),
)
