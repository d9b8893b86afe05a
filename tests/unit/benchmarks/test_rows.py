"""What the rows make of their rounds and samples."""

import pytest

from benchmarks.given import head, without_token
from benchmarks.interleaved import Rounds
from benchmarks.measured import Round
from benchmarks.result import Result
from benchmarks.rows.refusals import BESIDE, DISTINCT, GOOD, MISSING, REPEATED, put_against_good
from benchmarks.rows.soak import growth


@pytest.mark.parametrize(
    ("samples", "grown"),
    [
        ([80.0] * 8, 0.0),
        ([60.0, 70.0, 80.0, 80.0, 80.0, 80.0, 80.0, 80.0], 0.0),  # what fills up at first is no leak
        ([80.0, 80.0, 80.0, 82.0, 84.0, 86.0, 88.0, 90.0], 8.0),
        ([80.0], 0.0),
    ],
)
def test_memory_that_is_flat_has_not_grown(samples: list[float], grown: float) -> None:
    """The last quarter against the second: a leak shows, and caches that fill up do not."""
    assert growth(samples) == grown


def test_bad_tokens_are_measured_against_good_ones() -> None:
    """Refusals per good answer, and what good ones wait beside bad ones; of rounds that belong together."""
    rows: dict[str, Rounds] = {
        GOOD: {"sidecar": [_round(1000, p99=4), _round(2000, p99=2)]},
        MISSING: {"sidecar": [_round(3000), _round(6000)]},
        REPEATED: {"sidecar": [_round(2000), _round(4000)]},
        DISTINCT: {"sidecar": [_round(500, "disturbed"), _round(500, "disturbed")]},
        BESIDE: {"sidecar": [_round(500, p99=6), _round(1000, p99=3)]},
    }
    result = Result()

    put_against_good(result, rows, "sidecar")

    assert result.measures == {
        "refusals.missing_to_good/sidecar": 3.0,
        "refusals.repeated_to_good/sidecar": 2.0,
        "refusals.distinct_to_good/sidecar": 0.375,
        "refusals.good_p99_beside_bad_to_alone/sidecar": 1.5,
    }
    assert result.unproven == ["refusals.distinct_to_good/sidecar"]


def test_a_request_without_a_token_is_the_same_but_for_one_line() -> None:
    """The row of missing tokens measures a missing token, and nothing else."""
    lines, rest = head("/1k").split("\r\n"), without_token(head("/1k")).split("\r\n")

    assert [line for line in lines if line not in rest] == ["Cf-Access-Jwt-Assertion: {token}"]
    assert len(rest) == len(lines) - 1


def _round(rps: float, *faults: str, p99: float = 1.0) -> Round:
    return Round(rps, 1e6, 1, p99, 30, 1.0, 0.5, 0.0, faults=faults)
