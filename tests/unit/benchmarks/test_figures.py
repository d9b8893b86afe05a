"""Medians, ratios and bounds."""

from dataclasses import replace

from benchmarks.figures import figures, is_proven, ratio
from benchmarks.measured import Round
from benchmarks.result import Result
from benchmarks.rows.latency import Waits, _put, added_us

ROUND = Round(
    rps=100, bytes_per_second=1e6, p50_ms=1, p99_ms=2, cpu_us=30, proxy_cpu=1.0, load_cpu=0.6, foreign_cpu=0
)
IDLE = replace(ROUND, proxy_cpu=0.8, load_cpu=0.97, faults=("the proxy used 80% of its core",))
INVALID = replace(ROUND, rps=900, faults=("somebody else",), foreign_cpu=0.5)


def test_figures_are_medians_of_what_counts() -> None:
    """A round that does not count changes no figure, but is told in the count."""
    told = figures([replace(ROUND, rps=rps) for rps in (100, 300, 200)] + [INVALID])

    assert (told.rps, told.rps_least, told.rps_most) == (200, 100, 300)
    assert (told.counting, told.rounds) == (3, 4)


def test_without_a_valid_round_the_others_are_told_as_such() -> None:
    """The figures of invalid rounds are shown with a count of none."""
    told = figures([INVALID])

    assert (told.rps, told.counting) == (900, 0)


def test_a_ratio_is_of_rounds_measured_together() -> None:
    """The median is taken over the quotients of pairs, not of medians; a pair with a fault is left out."""
    ours = [replace(ROUND, rps=rps) for rps in (100, 50, 10)] + [INVALID]
    theirs = [replace(ROUND, rps=rps) for rps in (50, 100, 10)] + [ROUND]

    assert ratio({"a": ours, "b": theirs}, "a", "b", lambda one: one.rps) == 1.0
    assert ratio({"a": ours[:2], "b": theirs[:2]}, "a", "b", lambda one: one.rps) == 1.25
    assert ratio({"a": ours}, "a", "b", lambda one: one.rps) is None


def test_a_proxy_with_time_left_is_a_lower_bound() -> None:
    """Where the load had no time left and the proxy had, the figure says at least."""
    assert figures([IDLE]).is_bound
    assert not figures([replace(IDLE, load_cpu=0.5)]).is_bound
    assert not figures([replace(IDLE, faults=(*IDLE.faults, "1 connections failed"))]).is_bound


def test_a_slow_round_does_not_speak_for_those_in_which_the_load_was_the_limit() -> None:
    """A fast contender has time left in most rounds: without them only those where it was slow would tell."""
    ours = [replace(IDLE, rps=180), replace(ROUND, rps=120), replace(IDLE, rps=170)]
    theirs = [replace(ROUND, rps=rps) for rps in (150, 160, 170)]
    told = figures(ours)

    assert (told.rps, told.counting, told.rounds, told.is_bound) == (170, 1, 3, True)
    assert ratio({"a": ours, "b": theirs}, "a", "b", lambda one: one.rps) == 1.0
    assert is_proven({"a": ours[:1], "b": theirs[:1]}, "a", "b")


def test_a_lower_bound_of_the_other_one_proves_nothing() -> None:
    """What a ratio is divided by must be all that the other one can do."""
    assert not is_proven({"a": [ROUND], "b": [IDLE]}, "a", "b")


def test_a_ratio_is_proven_by_one_valid_pair() -> None:
    """Valid rounds that were not measured together prove nothing about each other."""
    assert is_proven({"a": [ROUND, INVALID], "b": [ROUND, ROUND]}, "a", "b")
    assert not is_proven({"a": [ROUND, INVALID], "b": [INVALID, ROUND]}, "a", "b")


def waits(*p50s: float, foreign: float = 0.0) -> list[Waits]:
    return [Waits(p50, 2 * p50, wrong=0, foreign_cpu=foreign) for p50 in p50s]


def test_added_latency_is_of_rounds_measured_together() -> None:
    """A machine that was slow for a while was so for both: medians of their own would tell of 10 here."""
    ours, theirs = waits(300, 410, 520), waits(200, 400, 430)

    assert added_us(ours, theirs) == 90
    assert added_us(waits(300), []) is None


def test_a_disturbed_round_tells_nothing_of_added_latency() -> None:
    """Unless there is no other."""
    disturbed = waits(900, foreign=0.5)

    assert added_us(waits(300) + disturbed, waits(200, 200)) == 100
    assert added_us(waits(300, 900), waits(200) + waits(1, foreign=0.5)) == 100
    assert added_us(disturbed, waits(200)) == 700


def test_wrong_answers_add_no_latency() -> None:
    """Who answered something else was perhaps quick at it."""
    result = Result()
    _put(
        result,
        {"nginx": waits(200), "direct": waits(100), "sidecar": [Waits(10, 20, wrong=1, foreign_cpu=0)]},
    )

    assert not [name for name in result.measures if "added" in name]
    assert result.skipped == {"latency of sidecar": "answers other than 200"}
