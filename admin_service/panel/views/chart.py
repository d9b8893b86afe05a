"""Numbers as shapes that an SVG can draw without a style attribute (the CSP forbids one): bars, areas, lines.

Computes geometry only; it neither renders nor knows what is counted. Every chart also holds its numbers,
because a picture alone tells nothing to who cannot see it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

WIDTH = 600
HEIGHT = 100
GAP = 4
SMALLEST_BAR = 2
STEPS = (1, 2, 5)
SPARK_WIDTH = 96
SPARK_HEIGHT = 24
_SPARK_EDGE = 2
_BIG = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that was counted on each day; its place (`series-1` and so on) is its colour."""

    label: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of one series (counted from 1): where its bar stands in the drawing, and what it says."""

    day: date
    count: int
    x: float
    y: float
    width: float
    height: float
    series: int = 1


@dataclass(frozen=True, slots=True)
class DayChart:
    """Days from left to right. `ceiling` is the round number at the top line; its half is whole."""

    days: tuple[date, ...]
    series: tuple[Series, ...]
    ceiling: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def total(self) -> int:
        return sum(one.total for one in self.series)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw: no day, or nothing on any of them."""
        return not any(any(one.counts) for one in self.series)

    @property
    def top_text(self) -> str:
        return short_number(self.ceiling)

    @property
    def half_text(self) -> str:
        return short_number(self.ceiling // 2)

    @property
    def rows(self) -> tuple[tuple[date, tuple[int, ...]], ...]:
        """The numbers as they are, the newest day first; also those that no shape can show."""
        columns = zip(*(one.counts for one in self.series), strict=True)
        return tuple(reversed(tuple(zip(self.days, columns, strict=True))))


@dataclass(frozen=True, slots=True)
class BarChart(DayChart):
    """One bar per day and series, side by side."""

    bars: tuple[Bar, ...] = ()

    @property
    def busiest(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.count)


@dataclass(frozen=True, slots=True)
class AreaChart(DayChart):
    """The series stacked, the first at the bottom; each path goes there along its top and back below."""

    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spark:
    """A line without axes, beside the number that it explains."""

    path: str
    width: int = SPARK_WIDTH
    height: int = SPARK_HEIGHT


def round_ceiling(largest: int) -> int:
    """The smallest of 2, 4, 10, 20, 40, 100 … that is not below `largest`, so that its half is whole."""
    power = 1
    while True:
        for step in STEPS:
            ceiling = 2 * step * power
            if ceiling >= largest:
                return ceiling
        power *= 10


def short_number(value: int) -> str:
    """`950`, `20k`, `1M`: what fits beside an axis. A ceiling has one digit that is not zero."""
    for size, letter in _BIG:
        if value >= size:
            return f"{value // size:,}{letter}"
    return str(value)


def bar_chart(days: Sequence[date], *series: Series) -> BarChart:
    """Bars from left to right in the given order; a day with anything at all stays visible.

    A number below zero is a day that gave back more than it took: it has no bar, and stands in the table.
    """
    ceiling = round_ceiling(max((count for one in series for count in one.counts), default=0))
    slot = WIDTH / max(len(days), 1)
    bars = tuple(
        bar
        for index, day in enumerate(days)
        for bar in _bars(day, [one.counts[index] for one in series], index * slot, slot, ceiling)
    )
    return BarChart(tuple(days), series, ceiling, bars=bars)


def area_chart(days: Sequence[date], *series: Series) -> AreaChart:
    """Stacked areas; a number below zero counts as none in the drawing."""
    tops: list[list[int]] = [[0] * len(days)]
    for one in series:
        tops.append([below + max(count, 0) for below, count in zip(tops[-1], one.counts, strict=True)])
    ceiling = round_ceiling(max(tops[-1], default=0))
    paths = tuple(_band(lower, upper, ceiling) for lower, upper in pairwise(tops))
    return AreaChart(tuple(days), series, ceiling, paths=paths if days else ())


def spark(counts: Sequence[int]) -> Spark | None:
    """None for fewer than two points: they make no line."""
    if len(counts) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    lowest, highest = min(counts), max(counts)
    span, room = (highest - lowest) or 1, SPARK_HEIGHT - 2 * _SPARK_EDGE
    step = SPARK_WIDTH / (len(counts) - 1)
    points = (
        (round(index * step, 2), round(SPARK_HEIGHT - _SPARK_EDGE - room * ((count - lowest) / span), 2))
        for index, count in enumerate(counts)
    )
    return Spark(_line(points))


def _bars(day: date, counts: Sequence[int], left: float, slot: float, ceiling: int) -> Iterator[Bar]:
    """What one day shows, in the slot that begins at `left`."""
    gap = min(GAP, slot / 3)
    width = (slot - gap) / max(len(counts), 1)
    for place, count in enumerate(counts):
        tall = max(SMALLEST_BAR, HEIGHT * (count / ceiling)) if count > 0 else 0
        top = round(HEIGHT - tall, 2)
        yield Bar(
            day=day,
            count=count,
            x=round(left + gap / 2 + place * width, 2),
            y=top,
            width=round(width, 2),
            height=round(HEIGHT - top, 2),
            series=place + 1,
        )


def _band(lower: Sequence[int], upper: Sequence[int], ceiling: int) -> str:
    """One stacked area; a single day is as wide as the drawing, because a point has no area."""
    there = _points(upper, ceiling)
    back = reversed(_points(lower, ceiling))
    return _line([*there, *back]) + "Z"


def _points(counts: Sequence[int], ceiling: int) -> list[tuple[float, float]]:
    heights = [round(HEIGHT - HEIGHT * (count / ceiling), 2) for count in counts]
    if len(heights) == 1:
        heights *= 2
    step = WIDTH / max(len(heights) - 1, 1)
    return [(round(index * step, 2), height) for index, height in enumerate(heights)]


def _line(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
