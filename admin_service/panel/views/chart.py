"""A bar per day, as numbers that an SVG can draw without a style attribute (the CSP forbids one).

Computes geometry only; it neither renders nor knows what is counted.
"""

from dataclasses import dataclass
from datetime import date

WIDTH = 600
HEIGHT = 100
GAP = 4
SMALLEST_BAR = 2
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: where its bar stands in the drawing, and what it says."""

    day: date
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """The drawing: `ceiling` is the round number at the top line."""

    bars: tuple[Bar, ...]
    ceiling: int
    total: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def busiest(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.count)


def round_ceiling(largest: int) -> int:
    """The smallest of 2, 4, 10, 20, 40, 100 … that is not below `largest`, so that its half is whole."""
    power = 1
    while True:
        for step in STEPS:
            ceiling = 2 * step * power
            if ceiling >= largest:
                return ceiling
        power *= 10


def bar_chart(days: tuple[tuple[date, int], ...]) -> BarChart:
    """Bars from left to right in the given order; a day with any action at all stays visible."""
    ceiling = round_ceiling(max(count for _, count in days))
    slot = WIDTH / len(days)
    bars = tuple(_bar(day, count, index, slot, ceiling) for index, (day, count) in enumerate(days))
    return BarChart(bars=bars, ceiling=ceiling, total=sum(count for _, count in days))


def _bar(day: date, count: int, index: int, slot: float, ceiling: int) -> Bar:
    top = round(HEIGHT - max(SMALLEST_BAR, HEIGHT * count / ceiling), 2) if count else HEIGHT
    gap = min(GAP, slot / 3)
    return Bar(
        day=day,
        count=count,
        x=round(index * slot + gap / 2, 2),
        y=top,
        width=round(slot - gap, 2),
        height=round(HEIGHT - top, 2),
    )
