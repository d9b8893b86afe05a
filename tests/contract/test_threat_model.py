"""docs/threat-model.md keeps up with the code: files, tests, steps, reasons, duties."""

import re
from pathlib import Path

import pytest

from auth_proxy.refusals import Reason

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
OWNERS = {"Sallyport", "operator", "frontend", "Cloudflare"}
KINDS = "STRIDE"
AROUND = (
    "The team's key set",
    "Roster: feed",
    "Roster: file",
    "Enrollment",
    "Internal identity",
    "Signing keys and their rotation",
    "Boot exchange and sessions",
    "Audit of denials",
    "The audit log",
    "Search over all tenants",
    "The tenants' own hosts",
    "Credit",
    "Mail",
    "Operations listener",
    "Development gate",
    "Stand-in edge of the demo",
)


def section(title: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) (?:\d\. )?{re.escape(title)}$", PAGE, re.MULTILINE)
    assert found, f"the page has no section {title}"
    level = len(found[1])
    return re.split(rf"^#{{1,{level}}} ", PAGE[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def threats(text: str = PAGE) -> list[list[str]]:
    """The rows of the threat tables: id, threat, mitigation, where, proven by, what remains."""
    rows = re.findall(r"^\| ([A-Z]{3}-\d+) \| (.*) \|$", text, re.MULTILINE)
    return [[name, *(cell.strip() for cell in rest.split(" | "))] for name, rest in rows]


def duties(prefix: str) -> list[list[str]]:
    rows = re.findall(rf"^\| ({prefix}-\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    return [[name, *(cell.strip() for cell in rest.split(" | "))] for name, rest in rows]


def steps_of_the_code() -> dict[str, set[str]]:
    """Each group of the enumeration of reasons, as its comments name them."""
    source = (ROOT / "auth_proxy" / "refusals.py").read_text(encoding="utf-8")
    body = source.partition("class Reason(StrEnum):")[2].partition("\n\n\n")[0]
    groups: dict[str, set[str]] = {}
    step = ""
    for line in body.splitlines():
        if line.startswith("    # "):
            step = line.removeprefix("    # ").strip()
        elif value := re.search(r'= "([a-z_]+)"', line):
            groups.setdefault(step, set()).add(value[1])
    return groups


@pytest.mark.parametrize("threat", threats(), ids=lambda row: str(row[0]))
def test_each_threat_is_complete_and_its_files_exist(threat: list[str]) -> None:
    """R-135, R-136: a threat has a kind, a file that meets it, and a test that proves it."""
    assert len(threat) == 6, "a row has six cells"
    _, what, _, where, proven, _ = threat
    files, tests = re.findall(r"`([^`]+)`", where), re.findall(r"`([^`]+)`", proven)

    assert re.match(rf"[{KINDS}]: ", what)
    assert all(threat)
    assert files
    assert tests
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert [name for name in tests if not (ROOT / "tests" / name).is_file()] == []
    assert all(Path(name).name.startswith("test_") for name in tests)


def test_ids_are_unique() -> None:
    """A threat can be cited."""
    names = [row[0] for row in [*threats(), *duties("DUTY"), *duties("M")]]

    assert len(names) == len(set(names)) > 60


def test_nothing_is_mitigated_by_words_alone() -> None:
    """A threat without a mitigation of ours says whose it is."""
    assert [row[0] for row in threats() if row[2] == "–" and "**" not in row[5]] == []


def test_every_module_of_the_pipeline_is_a_step_of_the_page() -> None:
    """R-003: each step's own file meets a threat in the section of that step."""
    modules = sorted((ROOT / "auth_proxy" / "pipeline").glob("*.py"))
    steps = [path for path in modules if path.stem not in ("__init__", "exchange")]

    assert len(steps) == 6
    for path in steps:
        meets = [name for row in threats(section(path.stem)) for name in re.findall(r"`([^`]+)`", row[3])]
        assert str(path.relative_to(ROOT)) in meets or path.stem == "identify", path.stem
        assert f"auth_proxy/pipeline/{path.name}" in PAGE


@pytest.mark.parametrize("step", sorted(steps_of_the_code()))
def test_each_reason_stands_in_the_section_of_its_step(step: str) -> None:
    """R-003, R-051: a reason that is added, moved or removed makes somebody look at this page again."""
    title = "The process itself" if step == "the process itself" else step
    told = section(title).partition("Refusals:")[2].partition("\n\n")[0]

    assert set(re.findall(r"`([a-z_]+)`", told)) == steps_of_the_code()[step]
    assert threats(section(title))


def test_no_reason_is_outside_of_the_steps() -> None:
    """R-051: the comments of the enumeration put every reason somewhere."""
    assert set().union(*steps_of_the_code().values()) == {reason.value for reason in Reason}
    assert "" not in steps_of_the_code()


@pytest.mark.parametrize("title", AROUND)
def test_what_stands_around_the_pipeline_has_its_threats(title: str) -> None:
    """R-135: each part that the pipeline trusts has a section with threats."""
    assert threats(section(title))


def test_all_kinds_are_thought_of() -> None:
    """No letter of STRIDE was left out."""
    assert {row[1][0] for row in threats()} == set(KINDS)


@pytest.mark.parametrize("row", [*duties("DUTY"), *duties("M")], ids=lambda row: str(row[0]))
def test_each_duty_and_each_mistake_has_an_owner(row: list[str]) -> None:
    """R-136, R-137: nothing is left to nobody; where we are the owner, a file prevents it."""
    assert len(row) == 4, "a row has four cells"
    _, what, owner, how = row

    assert what
    assert owner in OWNERS
    assert how
    if owner == "Sallyport":
        files = re.findall(r"`([^`]+)`", how)
        assert files
        assert [name for name in files if not (ROOT / name).is_file()] == []


def test_the_list_of_mistakes_is_whole() -> None:
    """The twenty-two mistakes of others each have their row."""
    assert [row[0] for row in duties("M")] == [f"M-{number:02}" for number in range(1, 23)]


def test_what_cannot_be_mitigated_is_said() -> None:
    """R-137: a second factor that the policy does not ask for is out of scope, by name."""
    assert "R-137" in section("Out of scope")


def test_what_is_not_verified_is_marked() -> None:
    """R-136: assumptions about Cloudflare that nobody has checked are listed as such."""
    unverified = section("Assumptions about Cloudflare").partition("[U]:**")[2]

    assert len(re.findall(r"^\* \[U\] ", unverified, re.MULTILINE)) >= 7


def test_the_triggers_name_what_is_pinned() -> None:
    """A new aiohttp, PyJWT or cryptography makes somebody look at this page again."""
    triggers = section("When this page must be revised")

    assert all(name in triggers for name in ("aiohttp", "PyJWT", "cryptography"))
