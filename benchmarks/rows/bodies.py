"""Larger bodies: what counts is bytes per second."""

from benchmarks.given import SIZES, Given
from benchmarks.interleaved import Bench, Plan, interleaved
from benchmarks.measured import Expected
from benchmarks.result import Result
from benchmarks.rows.get import put, put_ratios


def bodies(bench: Bench, given: Given, result: Result) -> None:
    """64 KB and 1 MB."""
    bench = bench.lighter()
    for size in ("64k", "1m"):
        names = bench.those("sidecar", "envoy", "haproxy", "nginx")
        rounds = interleaved(bench, Plan(size, names, given.load(size), Expected(size=SIZES[size])))
        put(result, size, rounds)
        put_ratios(result, size, rounds)
