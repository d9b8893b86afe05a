"""What a whole run found, as values that become JSON and come back.

It formats nothing: the table, the chart and the document read it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from benchmarks.figures import Figures


@dataclass(slots=True)
class Result:
    """It grows while the rows are measured."""

    when: str = ""
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
