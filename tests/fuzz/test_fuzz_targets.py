"""Each fuzz target for a bounded time, and each of its seeds in any case."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import admit_target, claims_target, screen_target

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("admit", "screen", "claims")


def run(name: str, seconds: int, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The target in a process of its own: libFuzzer ends the process that it runs in."""
    if os.environ.get("SALLYPORT_REQUIRE_ALL") != "1":
        pytest.importorskip("atheris")
    return subprocess.run(
        [sys.executable, "-m", f"tests.fuzz.fuzz_{name}", f"-max_total_time={seconds}", "-seed=1"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=50,
        check=False,
    )


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_seconds_of_hostile_bytes_find_nothing(name: str, tmp_path: Path) -> None:
    """R-011, R-046, R-172: only Refusal is raised, and nothing that passes has a second reading."""
    done = run(name, 4, tmp_path)

    assert "FINDING" not in done.stdout, done.stdout[-2000:]
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done" in done.stderr


@pytest.mark.fuzz
def test_a_planted_bug_is_found_and_told(tmp_path: Path) -> None:
    """A fuzzer that finds nothing in broken code proves nothing about whole code."""
    done = run("planted", 20, tmp_path)

    assert done.returncode != 0
    assert "FINDING: b'" in done.stdout
    assert "AssertionError" in done.stdout + done.stderr


def test_every_seed_is_harmless() -> None:
    """R-046: the attack lists themselves, without a fuzzer: quick, and in every run."""
    tried = 0
    for target in (admit_target, screen_target, claims_target):
        for seed in target.seeds():
            target.one_input(seed)
            tried += 1
    assert tried > 1_500
