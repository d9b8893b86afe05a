"""What a whole run found, as values that become JSON and come back.

It formats nothing: the table, the chart and the document read it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from benchmarks.figures import Figures

SOAK: Final = "memory.soak_"
"""How the measures of a soak begin."""


@dataclass(slots=True)
class Result:
    """It grows while the rows are measured."""

    when: str = ""
    commit: str = ""
    """Of this repository; empty where nobody can tell."""
    soaked: str = ""
    """When the soak was, and at which commit: it runs on its own."""
    rounds: int = 0
    seconds: float = 0.0
    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    """For each row, for each contender."""
    measures: dict[str, float] = field(default_factory=dict)
    """Single numbers by name: paired ratios, memory, latency. The goals ask for these names."""
    skipped: dict[str, str] = field(default_factory=dict)
    """What was not measured, and why."""
    disturbed: list[str] = field(default_factory=list)
    """Single numbers that were measured while somebody else used the machine."""

    unproven: list[str] = field(default_factory=list)
    """The names of ratios behind which no pair of valid rounds stands."""

    @property
    def moment(self) -> str:
        """The day, and the commit if it is known."""
        return f"{self.when} at {self.commit}" if self.commit else self.when

    def joined(self, previous: Self) -> Self:
        """What is written down of this run: a soak keeps the tables before it, and they keep the soak."""
        base = self if self.figures else previous
        soak = self if self.soaked else previous
        measures = {name: value for name, value in base.measures.items() if not name.startswith(SOAK)}
        measures |= {name: value for name, value in soak.measures.items() if name.startswith(SOAK)}
        return replace(base, measures=measures, soaked=soak.soaked)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        values: dict[str, Any] = json.loads(text)
        rows: Mapping[str, Mapping[str, Any]] = values.pop("figures")
        return cls(
            **values,
            figures={
                row: {name: Figures(**numbers) for name, numbers in contenders.items()}
                for row, contenders in rows.items()
            },
        )
