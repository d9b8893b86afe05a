"""Writes the generated part of docs/performance.md from a result; prose outside the marks stays.

A figure that no valid round stands behind is marked with a star, never left out in silence.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.chart import chart
from benchmarks.figures import Figures
from benchmarks.goals import GOALS, Goal
from benchmarks.process import ROOT
from benchmarks.result import Result
from benchmarks.table import TITLES

RESULTS: Final = ROOT / "benchmarks" / "results.json"
DOCUMENT: Final = ROOT / "docs" / "performance.md"
CHART: Final = ROOT / "docs" / "images" / "performance.svg"
BEGIN: Final = "<!-- begin: written by `make bench` from benchmarks/results.json -->"
END: Final = "<!-- end: written by `make bench` -->"
_HEADINGS: Final = {
    "get": "1 KB GET at saturation",
    "64k": "64 KB bodies",
    "1m": "1 MB bodies",
    "good tokens": "Good tokens, to compare the refusals with",
    "missing token": "No token at all (refusals)",
    "bad token, repeated": "One bad token again and again (refusals)",
    "bad tokens, distinct": "Another bad token each time (refusals)",
    "good beside bad": "Good requests while as many connections send bad tokens",
}


class DocumentError(Exception):
    """The document has lost its marks."""


def write(result: Result) -> None:
    """The JSON, the chart and the document. Raises DocumentError before anything is written."""
    if not (result.figures or result.soaked):
        raise DocumentError("these rows alone make no document; nothing was written")
    with contextlib.suppress(FileNotFoundError):
        result = result.joined(Result.from_json(RESULTS.read_text(encoding="utf-8")))
    text = with_generated(DOCUMENT.read_text(encoding="utf-8"), result)
    RESULTS.write_text(result.to_json(), encoding="utf-8")
    if "get" in result.figures:
        _folder(CHART).write_text(chart(result.figures["get"]), encoding="utf-8")
    DOCUMENT.write_text(text, encoding="utf-8")


def with_generated(document: str, result: Result) -> str:
    """The document with its generated part anew. Raises DocumentError."""
    before, begin, rest = document.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise DocumentError("docs/performance.md has lost its marks")
    return f"{before}{BEGIN}\n\n{generated(result)}\n{END}{after}"


def generated(result: Result) -> str:
    """All tables, as Markdown."""
    return "\n".join(_lines(result))


def _lines(result: Result) -> Iterator[str]:
    yield from ("### Goals", "")
    yield from _table(
        ("goal", "at", "moonshot", "held", "measured", ""),
        [_goal(goal, result) for goal in GOALS],
        numbers=range(1, 5),
    )
    for row, contenders in result.figures.items():
        yield from (f"### {_HEADINGS.get(row, row)}", "")
        yield from _table(
            (
                "",
                "per s",
                "least … most",
                "CPU µs",
                "p50 ms",
                "p99 ms",
                "MB/s",
                "Sallyport ÷ it",
                "valid rounds",
            ),
            [_figures(row, name, one, result.measures) for name, one in contenders.items()],
            numbers=range(1, 9),
        )
    yield from _others(result)
    yield from _machine(result)


def _goal(goal: Goal, result: Result) -> tuple[str, ...]:
    value = result.measures.get(goal.measure)
    sign, unit = ("≤" if goal.is_ceiling else "≥"), f" {goal.unit}" if goal.unit else ""
    star = "*" if _is_doubtful(goal, result) else ""
    return (
        goal.text,
        f"{sign} {goal.at:g}{unit}",
        f"{goal.moonshot:g}" if goal.moonshot is not None else "",
        f"{goal.held:g}",
        "–" if value is None else f"{_short(value)}{unit}{star}",
        goal.verdict(result.measures) + ("" if goal.is_held(result.measures) else ", and fell"),
    )


def _is_doubtful(goal: Goal, result: Result) -> bool:
    if goal.measure.startswith("workers."):
        return "two workers" in result.disturbed
    return goal.measure in result.unproven


def _figures(row: str, name: str, one: Figures, measures: Mapping[str, float]) -> tuple[str, ...]:
    ratio = measures.get(f"{row}.rps/{name}")
    return (
        TITLES.get(name, name),
        f"{'≥ ' if one.is_bound else ''}{one.rps:,.0f}{'' if one.counting or one.is_bound else '*'}",
        f"{one.rps_least:,.0f} … {one.rps_most:,.0f}",
        f"{one.cpu_us:.1f}",
        f"{one.p50_ms:.2f}",
        f"{one.p99_ms:.2f}",
        f"{one.bytes_per_second / 1e6:,.0f}",
        "" if ratio is None else f"{ratio:.2f}",
        f"{one.counting} of {one.rounds}",
    )


def _others(result: Result) -> Iterator[str]:
    """Bad tokens against good ones, latency, workers and memory: single numbers, by their names."""
    rows = tuple(f"{row}." for row in result.figures)
    single = [
        (name, f"{_short(value)}{'*' if name in result.unproven else ''}")
        for name, value in result.measures.items()
        if not name.startswith(rows)
    ]
    if single:
        yield from ("### Bad tokens, latency, workers, memory", "")
        yield from _table(("measure", ""), [(f"`{name}`", value) for name, value in single], numbers=(1,))
    missing = [f"* disturbed, to be measured again: {what}" for what in result.disturbed]
    missing += [f"* not measured: {what}: {' '.join(why.split())}" for what, why in result.skipped.items()]
    if missing:
        yield from (*missing, "")


def _machine(result: Result) -> Iterator[str]:
    machine = "; ".join(f"{name} {value}" for name, value in result.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in result.versions.items())
    yield f"Measured on {result.moment}: {result.rounds} rounds of {result.seconds:g} s. Machine: {machine}."
    yield f"Versions: {versions}."
    if result.soaked:
        yield f"The soak was on {result.soaked}."
    yield ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int]) -> Iterator[str]:
    rule = ["---:" if place in numbers else "---" for place in range(len(head))]
    for cells in (head, rule, *rows):
        yield f"| {' | '.join(cells)} |"
    yield ""


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
