"""Bad tokens: how fast they are refused, and what good requests notice of a flood of them."""

from collections.abc import Mapping
from typing import Final

from benchmarks.figures import Value, is_proven, ratio
from benchmarks.given import SIZES, Given
from benchmarks.interleaved import Bench, Plan, Rounds, all_interleaved
from benchmarks.measured import Expected
from benchmarks.result import Result
from benchmarks.rows.get import p99_of, put, put_ratios, rps_of

GOOD: Final = "good tokens"
REPEATED: Final = "bad token, repeated"
MISSING: Final = "missing token"
DISTINCT: Final = "bad tokens, distinct"
BESIDE: Final = "good beside bad"


def refusals(bench: Bench, given: Given, result: Result) -> None:
    """No token, one bad token again and again, another one each time; and those beside as many good ones."""
    # Not the lighter way: 64 connections send their first request beside the flood. In a round of two seconds
    # that is more than one request in a hundred: the p99 would be theirs, and nobody else's.
    names = bench.those("sidecar", "envoy", "haproxy", "naive")
    refused, answered = Expected(is_refused=True), Expected(size=SIZES["1k"])
    distinct = given.load(tokens=given.bad_tokens)
    plans = (
        Plan(GOOD, names, given.load(), answered),
        Plan(MISSING, names, given.load_without_token(), refused),
        Plan(REPEATED, names, given.load(tokens=given.bad_token), refused),
        Plan(DISTINCT, names, distinct, refused),
        Plan(BESIDE, names, given.load(), answered, beside=distinct),
    )
    rows = all_interleaved(bench, plans)
    for row, rounds in rows.items():
        put(result, row, rounds)
        put_ratios(result, row, rounds)
    for name in names:
        put_against_good(result, rows, name)


def put_against_good(result: Result, rows: Mapping[str, Rounds], name: str) -> None:
    """What one contender makes of bad tokens, against what it makes of good ones in the same rounds."""
    wanted: tuple[tuple[str, str, Value], ...] = (
        (f"refusals.missing_to_good/{name}", MISSING, rps_of),
        (f"refusals.repeated_to_good/{name}", REPEATED, rps_of),
        (f"refusals.distinct_to_good/{name}", DISTINCT, rps_of),
        (f"refusals.good_p99_beside_bad_to_alone/{name}", BESIDE, p99_of),
    )
    for measure, row, value in wanted:
        pair = {row: rows[row][name], GOOD: rows[GOOD][name]}
        found = ratio(pair, row, GOOD, value)
        if found is not None:
            result.measures[measure] = found
            if not is_proven(pair, row, GOOD):
                result.unproven.append(measure)
