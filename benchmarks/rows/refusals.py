"""Bad tokens: how fast they are refused, and what good requests notice of a flood of them."""

from benchmarks.given import SIZES, Given
from benchmarks.interleaved import Bench, Plan, interleaved
from benchmarks.measured import Expected
from benchmarks.result import Result
from benchmarks.rows.get import put, put_ratios


def refusals(bench: Bench, given: Given, result: Result) -> None:
    """One bad token again and again; another one each time; and those beside as many good ones."""
    bench = bench.lighter()
    names = bench.those("sidecar", "envoy", "haproxy", "naive")
    refused, answered = Expected(is_refused=True), Expected(size=SIZES["1k"])
    distinct = given.load(tokens=given.bad_tokens)
    for plan in (
        Plan("bad token, repeated", names, given.load(tokens=given.bad_token), refused),
        Plan("bad tokens, distinct", names, distinct, refused),
        Plan("good beside bad", names, given.load(), answered, beside=distinct),
    ):
        rounds = interleaved(bench, plan)
        put(result, plan.row, rounds)
        put_ratios(result, plan.row, rounds)
