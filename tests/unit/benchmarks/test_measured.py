"""When a measured round counts."""

from dataclasses import replace

import pytest

from benchmarks.measured import Expected, Used, judged
from benchmarks.wrk import Told

TOLD = Told(seconds=2.0, requests=1000, bytes=1000 * 1200, p50_ms=1, p99_ms=2, refused=0, errors=0)
USED = Used(proxy=1.98, load=1.0, anybody=3.0, opens=100)
EXPECTED = Expected(size=1024)


def test_a_clean_round_counts() -> None:
    """A round with a busy proxy, right answers and nobody else counts, and tells time per request."""
    one = judged([TOLD], USED, EXPECTED, connections=64)

    assert one.counts
    assert one.rps == 500
    assert one.cpu_us == pytest.approx(1980)


@pytest.mark.parametrize(
    ("told", "used", "fault"),
    [
        (TOLD, replace(USED, proxy=1.8, anybody=2.8), "the proxy used 90% of its core"),
        (TOLD, replace(USED, anybody=3.4), "somebody else used 21% of a core"),
        (replace(TOLD, refused=3), USED, "3 answers were refused"),
        (replace(TOLD, errors=1), USED, "1 connections failed"),
        (TOLD, replace(USED, opens=900), "900 connections were opened"),
        (replace(TOLD, bytes=900_000), USED, "900 bytes came for each answer of 1024"),
        (replace(TOLD, bytes=9_000_000), USED, "9000 bytes came for each answer of 1024"),
        (replace(TOLD, requests=0), USED, "nothing was answered"),
    ],
)
def test_a_faulty_round_does_not_count(told: Told, used: Used, fault: str) -> None:
    """Each rule alone keeps a round from counting, and says why."""
    assert judged([told], used, EXPECTED, connections=64).faults == (fault,)


def test_no_rule_looks_at_the_speed() -> None:
    """A slow round with the same use of the processors counts as a fast one does."""
    slow = replace(TOLD, requests=10, bytes=12_000, p99_ms=900)

    assert judged([slow], USED, EXPECTED, connections=64).counts


def test_bodies_that_the_end_cut_off_are_no_fault() -> None:
    """One unfinished answer for each connection may come on top of the counted bytes."""
    large = replace(TOLD, requests=100, bytes=140 * 2**20)

    assert judged([large], USED, Expected(size=2**20), connections=64).counts
    assert not judged([large], USED, Expected(size=2**20), connections=8).counts


def test_a_refusal_row_wants_refusals() -> None:
    """Where bad tokens are sent, an answer that was let through is the fault; a closed connection is not."""
    refused = Expected(is_refused=True)
    opened = replace(USED, opens=1100)

    assert judged([replace(TOLD, refused=1000)], opened, refused, connections=64).counts
    assert judged([replace(TOLD, refused=999)], USED, refused, connections=64).faults == (
        "1 answers were let through",
    )


def test_the_load_beside_has_to_be_refused() -> None:
    """Bad tokens beside good ones share the processor's time, and one that gets through is a fault."""
    bad = replace(TOLD, refused=1000)

    both = judged([TOLD, bad], USED, EXPECTED, connections=128)
    leaking = judged([TOLD, replace(bad, refused=998)], USED, EXPECTED, connections=128)

    assert both.counts
    assert both.cpu_us == pytest.approx(990)
    assert leaking.faults == ("2 answers were let through",)
