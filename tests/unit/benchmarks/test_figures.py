"""Medians, ratios and bounds."""

from dataclasses import replace

from benchmarks.figures import figures, is_proven, ratio
from benchmarks.measured import Round

ROUND = Round(
    rps=100, bytes_per_second=1e6, p50_ms=1, p99_ms=2, cpu_us=30, proxy_cpu=1.0, load_cpu=0.6, foreign_cpu=0
)
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
    idle = replace(ROUND, proxy_cpu=0.8, load_cpu=0.97, faults=("the proxy used 80% of its core",))

    assert figures([idle]).is_bound
    assert not figures([replace(idle, load_cpu=0.5)]).is_bound


def test_a_ratio_is_proven_by_one_valid_pair() -> None:
    """Valid rounds that were not measured together prove nothing about each other."""
    assert is_proven({"a": [ROUND, INVALID], "b": [ROUND, ROUND]}, "a", "b")
    assert not is_proven({"a": [ROUND, INVALID], "b": [INVALID, ROUND]}, "a", "b")
