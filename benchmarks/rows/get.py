"""The main row: 1 KB GETs at saturation, all checks on."""

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.contenders.sidecar import SIDECAR
from benchmarks.figures import figures, is_proven, ratio
from benchmarks.given import SIZES, Given
from benchmarks.interleaved import Bench, Plan, interleaved
from benchmarks.measured import Expected, Round
from benchmarks.result import Result

ROW: Final = "get"


def get(bench: Bench, given: Given, result: Result) -> None:
    """Requests per second and processor time per request, for everybody."""
    plan = Plan(ROW, list(bench.running), given.load("1k"), Expected(size=SIZES["1k"]))
    rounds = interleaved(bench, plan)
    put(result, ROW, rounds)
    put_ratios(result, ROW, rounds)


def put(result: Result, row: str, rounds: Mapping[str, Sequence[Round]]) -> None:
    """The figures of a row."""
    result.figures[row] = {name: figures(measured) for name, measured in rounds.items()}


def put_ratios(result: Result, row: str, rounds: Mapping[str, Sequence[Round]]) -> None:
    """The sidecar against everybody else: more requests and shorter waits are better."""
    for name in rounds:
        for what, value in (("rps", rps_of), ("p99", p99_of), ("bytes", _bytes)):
            found = ratio(rounds, SIDECAR.name, name, value)
            if name != SIDECAR.name and found is not None:
                result.measures[f"{row}.{what}/{name}"] = found
                if not is_proven(rounds, SIDECAR.name, name):
                    result.unproven.append(f"{row}.{what}/{name}")


def rps_of(one: Round) -> float:
    """Answers per second."""
    return one.rps


def p99_of(one: Round) -> float:
    """The wait that one request in a hundred exceeds."""
    return one.p99_ms


def _bytes(one: Round) -> float:
    return one.bytes_per_second
