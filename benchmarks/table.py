"""The figures of a run as a table for a terminal."""

from collections.abc import Iterator, Mapping

from benchmarks.contenders.everybody import EVERYBODY
from benchmarks.contenders.sidecar import SIDECAR
from benchmarks.figures import Figures
from benchmarks.result import Result

TITLES = {contender.name: contender.title for contender in EVERYBODY}


def table(result: Result) -> str:
    """Every row, every single measure, and everything that was left out."""
    return "\n".join(_lines(result))


def _lines(result: Result) -> Iterator[str]:
    for row, contenders in result.figures.items():
        yield from _row(row, contenders, result.measures)
    ratios = tuple(f"{row}." for row in result.figures)
    for name, value in result.measures.items():
        if not name.startswith(ratios):
            yield f"{name:<48}{value:>12.2f}"
    for what in result.disturbed:
        yield f"disturbed: {what}"
    for what, why in result.skipped.items():
        yield f"skipped: {what}: {why}"


def _row(row: str, contenders: Mapping[str, Figures], measures: Mapping[str, float]) -> Iterator[str]:
    yield ""
    yield (
        f"{row:<30}{'per s':>10}{'least…most':>18}{'µs CPU':>9}{'p50 ms':>9}{'p99 ms':>9}{'MB/s':>8}"
        f"{'ours ÷':>10}  counts"
    )
    for name, one in contenders.items():
        ratio = measures.get(f"{row}.rps/{name}")
        against = "" if ratio is None or name == SIDECAR.name else f"{ratio:.2f}"
        bound = "≥ " if one.is_bound else ""
        yield (
            f"{TITLES.get(name, name):<30}{f'{bound}{one.rps:,.0f}':>10}"
            f"{f'{one.rps_least:,.0f}…{one.rps_most:,.0f}':>18}{one.cpu_us:>9.1f}{one.p50_ms:>9.2f}"
            f"{one.p99_ms:>9.2f}{one.bytes_per_second / 1e6:>8.0f}{against:>10}  {one.counting}/{one.rounds}"
        )
