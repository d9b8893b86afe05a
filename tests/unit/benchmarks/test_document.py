"""The generated part of docs/performance.md, and the chart."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from benchmarks.chart import chart
from benchmarks.document import BEGIN, CHART, DOCUMENT, END, RESULTS, DocumentError, generated, with_generated
from benchmarks.figures import Figures
from benchmarks.goals import GOALS, Goal
from benchmarks.result import Result

FIGURES = Figures(
    rps=30_000,
    rps_least=29_000,
    rps_most=31_000,
    cpu_us=33.3,
    p50_ms=2,
    p99_ms=5,
    bytes_per_second=4e7,
    rounds=5,
    counting=5,
    is_bound=False,
)
RATES = {"reached": 1.4, "held": 0.34, "fallen": 0.32}
RESULT = Result(
    when="2026-01-02",
    rounds=5,
    seconds=3,
    machine={"processor": "A Processor"},
    versions={"envoy": "1.40.0"},
    figures={"get": {"sidecar": FIGURES, "envoy": replace(FIGURES, rps=20_000)}},
    measures={"get.rps/envoy": 1.55, "memory.idle_mb": 95.0},
    skipped={"Caddy, plain": "not installed"},
)


def test_prose_outside_the_marks_stays() -> None:
    """Writing twice gives the same document, and keeps what stands before and after."""
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    once = with_generated(document, RESULT)

    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert with_generated(once, RESULT) == once


def test_a_document_without_marks_is_not_written() -> None:
    """Nothing is guessed about where the generated part belongs."""
    with pytest.raises(DocumentError):
        with_generated("prose", RESULT)


def test_every_goal_stands_beside_what_was_measured() -> None:
    """A goal that was reached, one that was missed and one that nobody measured are told apart."""
    lines = generated(RESULT).splitlines()

    assert sum(any(goal.text in line for line in lines) for goal in GOALS) == len(GOALS)
    assert any("Envoy jwt_authn with its cache" in line and "1.55 | moonshot" in line for line in lines)
    assert any("10,000 idle connections" in line and "95.00 MB | missed" in line for line in lines)
    assert any("÷ Caddy, plain" in line and "– | not measured" in line for line in lines)
    assert any("not measured: Caddy, plain: not installed" in line for line in lines)


def test_a_figure_without_a_valid_round_has_a_star() -> None:
    """It is shown, and marked."""
    doubtful = replace(FIGURES, counting=0)
    figures = {"get": {"sidecar": doubtful, "envoy": FIGURES}}
    result = replace(RESULT, figures=figures, unproven=["get.rps/envoy"])

    assert "30,000* |" in generated(result)
    assert "1.55* |" in generated(result)
    assert "1.55 |" in generated(RESULT)


@pytest.mark.parametrize(("value", "verdict"), [(0.9, "met"), (1.1, "missed"), (0.4, "moonshot")])
def test_a_ceiling_is_met_from_below(value: float, verdict: str) -> None:
    """Where less is better, more misses the goal."""
    goal = Goal("p99", "it", 1.0, 1.2, moonshot=0.5, is_ceiling=True)

    assert goal.verdict({"it": value}) == verdict
    assert goal.is_held({"it": value})
    assert not goal.is_held({"it": 1.3})


def test_what_fell_is_told_beside_its_goal() -> None:
    """ADR 0030: a goal that is missed is no news, one that is missed by more than before is."""
    rows = {name: generated(replace(RESULT, measures={"get.rps/envoy": rps})) for name, rps in RATES.items()}

    assert "0.33 | 0.34 | missed |" in rows["held"]
    assert "0.33 | 0.32 | missed, and fell |" in rows["fallen"]
    assert "fell" not in rows["reached"]


def test_a_result_survives_its_file() -> None:
    """What was written is read again as it was."""
    assert Result.from_json(RESULT.to_json()) == RESULT


def test_the_committed_files_belong_together() -> None:
    """The document and the chart in the repository are those of the results in the repository."""
    result = Result.from_json(RESULTS.read_text(encoding="utf-8"))
    document = DOCUMENT.read_text(encoding="utf-8")

    assert with_generated(document, result) == document
    assert CHART.read_text(encoding="utf-8") == chart(result.figures["get"])


def test_the_chart_is_readable_without_eyes_and_in_the_dark() -> None:
    """It is well-formed, has a title and a description with every figure, and a dark scheme."""
    text = chart(RESULT.figures["get"])
    root = ET.fromstring(text)
    name = "{http://www.w3.org/2000/svg}"

    title, description = root.find(f"{name}title"), root.find(f"{name}desc")

    assert root.get("role") == "img"
    assert title is not None
    assert description is not None
    assert description.text == "Sallyport: 30,000; Envoy jwt_authn, JWT cache: 20,000"
    assert "prefers-color-scheme:dark" in text
