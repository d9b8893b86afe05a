"""The command, from its arguments to a smoke run with the real programs."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.contenders.contender import Contender, find
from benchmarks.contenders.everybody import EVERYBODY, PEERS
from benchmarks.interleaved import Bench, undisturbed
from benchmarks.machine import Cores
from benchmarks.measured import Round
from benchmarks.process import Command, Running
from benchmarks.result import Result
from benchmarks.run import main
from benchmarks.wrk import Numbers, WrkError, read_told


def test_an_unknown_peer_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The known ones are listed, and the status is 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["--peers", "apache"])

    assert "apache: known are envoy" in capsys.readouterr().err


def test_a_quick_run_is_not_written_down() -> None:
    """It proves nothing, so it must not become a document."""
    with pytest.raises(SystemExit, match="2"):
        main(["--quick", "--write"])


@pytest.mark.parametrize(("rps", "status"), [(0.34, 0), (0.32, 1)])
def test_a_run_that_is_worse_than_what_is_held_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rps: float, status: int
) -> None:
    """ADR 0030: by its status, and by the name of what fell."""
    found = Result(when="2026-01-02", rounds=5, seconds=3, machine={}, measures={"get.rps/envoy": rps})
    monkeypatch.setattr("benchmarks.run.measure", lambda _options, _tell: found)

    assert main([]) == status
    assert ("worse than what is held (0.33): requests per second" in capsys.readouterr().err) == bool(status)


def test_a_silent_wrk_is_an_error() -> None:
    """No figure is made up from an output without one."""
    with pytest.raises(WrkError, match="unable to connect"):
        read_told("unable to connect")


def test_every_contender_has_a_name_of_its_own() -> None:
    """Names choose peers; two of one name would hide each other."""
    assert len({contender.name for contender in EVERYBODY}) == len(EVERYBODY) == len(PEERS) + 1


def test_a_missing_program_is_told_as_missing() -> None:
    """Nobody is started who is not there."""
    missing = Contender("ghost", "Ghost", "no-such-proxy", "nowhere", (), command=_never)

    assert find("no-such-proxy") == ""
    assert not missing.is_there


def test_a_disturbed_round_is_repeated_and_never_for_its_speed() -> None:
    """The first undisturbed round is taken, although the disturbed one was faster and a better one waits."""
    rounds = iter([_round(900, foreign=0.4), _round(100, foreign=0.0), _round(500, foreign=0.0)])

    assert undisturbed(lambda: next(rounds), _bench(repeat_until=float("inf"))).rps == 100


def test_repeats_have_an_end() -> None:
    """When every try was disturbed, the least disturbed one is kept; late in a run nothing is repeated."""
    tries = [_round(900, foreign=0.4), _round(100, foreign=0.2), _round(500, foreign=0.3)]
    several, once = iter(tries), iter(tries)

    assert undisturbed(lambda: next(several), _bench(repeat_until=float("inf"))).rps == 100
    assert undisturbed(lambda: next(once), _bench(repeat_until=0)).rps == 900


@pytest.mark.stack
@pytest.mark.skipif(not (shutil.which("wrk") and find("nginx")), reason="needs wrk and nginx")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("patient_contenders")
def test_a_smoke_run_measures(capsys: pytest.CaptureFixture[str]) -> None:
    """The sidecar and the naive proxy answer and refuse as they must, and are measured for a second."""
    assert main(["--quick", "--rows", "get", "--peers", "naive"]) == 0

    told = capsys.readouterr().out
    assert "skipped" not in told
    assert "naive aiohttp proxy, uvloop" in told
    assert "answers were refused" not in told


def test_the_output_of_wrk_is_read_as_json() -> None:
    """The last object counts, with waits in milliseconds."""
    numbers = {
        "seconds": 1,
        "requests": 2,
        "bytes": 3,
        "p50_us": 1500,
        "p99_us": 2500,
        "refused": 0,
        "errors": 0,
    }

    told = read_told(f"Running 1s test\n{json.dumps(numbers)}\n", cpu_seconds=0.5)

    assert (told.requests, told.p50_ms, told.p99_ms, told.cpu_seconds) == (2, 1.5, 2.5, 0.5)


def _never(*_arguments: object) -> Command:
    raise AssertionError("it is not there")


def _round(rps: float, *, foreign: float) -> Round:
    return Round(rps, 1e6, 1, 2, 30, 1.0, 0.5, foreign)


def _bench(*, repeat_until: float) -> Bench:
    upstream = Running(1, 1, Path())
    return Bench(upstream, {}, Cores(0, 1), Numbers(), 1, 1, print, repeat_until=repeat_until)
