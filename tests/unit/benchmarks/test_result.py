"""What is written down of a run, and of which commit it speaks."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import document, versions
from benchmarks.document import DocumentError, generated, write
from benchmarks.figures import Figures
from benchmarks.result import Result

TABLES = {"get": {"sidecar": Figures(1, 1, 1, 1, 1, 1, 1, 1, 1, is_bound=False)}}
WHOLE = Result(
    when="2026-01-02",
    commit="abc1234",
    figures=TABLES,
    measures={"memory.idle_mb": 80.0, "get.rps/envoy": 1.5},
)
SOAK = Result(
    when="2026-01-03",
    commit="def5678-dirty",
    soaked="2026-01-03 at def5678-dirty",
    measures={"memory.soak_growth_mb": 0.5, "memory.soak_minutes": 30.0},
)


def test_the_day_and_the_commit_stand_below_the_tables() -> None:
    """A figure that nobody can lay at a commit's door is no figure; without git the day alone is told."""
    assert "Measured on 2026-01-02 at abc1234: " in generated(WHOLE)
    assert "Measured on 2026-01-02: " in generated(replace(WHOLE, commit=""))


def test_a_soak_joins_what_was_measured_before() -> None:
    """It runs for long and on its own: the tables stay, with their commit, and it says its own."""
    joined = SOAK.joined(WHOLE)

    assert (joined.figures, joined.commit, joined.soaked) == (TABLES, "abc1234", SOAK.soaked)
    assert joined.measures == WHOLE.measures | SOAK.measures
    assert "The soak was on 2026-01-03 at def5678-dirty." in generated(joined)


def test_a_whole_run_keeps_the_soak_before_it() -> None:
    """Only another soak replaces it."""
    later = replace(WHOLE, when="2026-02-01", measures={"memory.idle_mb": 70.0})

    joined = later.joined(SOAK.joined(WHOLE))

    assert (joined.when, joined.soaked) == ("2026-02-01", SOAK.soaked)
    assert joined.measures == {"memory.idle_mb": 70.0} | SOAK.measures
    assert replace(SOAK, measures={"memory.soak_minutes": 1.0}).joined(joined).measures == {
        "memory.idle_mb": 70.0,
        "memory.soak_minutes": 1.0,
    }


def test_single_rows_do_not_replace_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of latency alone has no table: nothing is written, and nothing is lost."""
    results = tmp_path / "results.json"
    results.write_text(WHOLE.to_json(), encoding="utf-8")
    monkeypatch.setattr(document, "RESULTS", results)

    with pytest.raises(DocumentError, match="nothing was written"):
        write(Result(measures={"latency.p50_us.nginx": 1.0}))
    assert Result.from_json(results.read_text(encoding="utf-8")) == WHOLE


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_what_differs_from_its_commit_is_called_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed or a new file makes it so, what a run writes does not; without a repository it is empty."""
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    assert versions.commit() == ""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "results.json").write_text("{}")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "one")

    clean = versions.commit()
    (tmp_path / "benchmarks" / "results.json").write_text("{ }")
    written = versions.commit()
    (tmp_path / "module.py").write_text("")

    assert clean.isalnum()
    assert written == clean
    assert versions.commit() == f"{clean}-dirty"


def _git(folder: Path, *words: str) -> None:
    git = shutil.which("git") or ""
    subprocess.run([git, *words], cwd=folder, check=True, capture_output=True)
