"""docs/asvs.md is whole and names only what is there: every requirement of levels 1 and 2, once."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
TENANT_TEMPLATES = Path("tenant_service") / "public" / "templates"
STATUSES = ("met", "partly", "not", "not applicable")
REQUIREMENTS = {
    # Chapter of ASVS 5.0.0: how many requirements of level 1, of level 2.
    1: (8, 19),
    2: (4, 7),
    3: (8, 11),
    4: (2, 8),
    5: (4, 5),
    6: (13, 22),
    7: (6, 12),
    8: (4, 3),
    9: (4, 3),
    10: (5, 24),
    11: (3, 11),
    12: (3, 6),
    13: (1, 12),
    14: (2, 7),
    15: (3, 10),
    16: (0, 16),
    17: (0, 7),
}


def rows() -> list[list[str]]:
    """Number, level, requirement, status, what shows it."""
    found = re.findall(r"^\| (\d[\d.]*) \| (.*) \|$", PAGE, re.MULTILINE)
    return [[number, *(cell.strip() for cell in rest.split(" | "))] for number, rest in found]


def named(cell: str) -> list[str]:
    """Files and tests that a cell names: code spans with a slash or a dot, and links."""
    spans = [span for span in re.findall(r"`([^`\s]+)`", cell) if "/" in span or span in ROOT_FILES]
    return spans + [f"docs/{link}" for link in re.findall(r"\]\(([\w./-]+)", cell)]


ROOT_FILES = {"pyproject.toml", "Makefile", "requirements.lock", ".importlinter"}


def is_there(name: str) -> bool:
    path, _, function = name.partition("::")
    file = ROOT / path
    if not function:
        return file.exists()
    return file.is_file() and f"def {function}(" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row[0]))
def test_each_requirement_has_a_status_and_what_shows_it(row: list[str]) -> None:
    """Issue 10: met, partly, not, or not applicable; the files and tests that a row names exist."""
    assert len(row) == 5, "a row has five cells"
    number, level, requirement, status, shown = row

    assert re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{1,2}", number)
    assert level in ("1", "2")
    assert requirement
    assert status in STATUSES
    assert shown, "the reason, when nothing shows it"
    assert [name for name in named(shown) if not is_there(name)] == []
    assert named(shown) or status != "met"


def test_every_requirement_of_levels_1_and_2_stands_there_once() -> None:
    """Issue 10: the chapters are those of ASVS 5.0.0, none is left out, and the numbers are in order."""
    numbers = [tuple(map(int, row[0].split("."))) for row in rows()]
    counted = Counter((int(row[0].split(".")[0]), row[1]) for row in rows())

    assert numbers == sorted(set(numbers))
    assert {
        chapter: (counted[chapter, "1"], counted[chapter, "2"]) for chapter in REQUIREMENTS
    } == REQUIREMENTS
    assert sum(counted.values()) == 253


def test_the_summary_adds_up() -> None:
    """The table at the top counts what stands below it."""
    counted = Counter((row[0].partition(".")[0], row[3]) for row in rows())
    told = re.findall(r"^\| V(\d+) [^|]*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    total = re.findall(r"^\| \*\*all\*\* \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)

    assert len(told) == len(REQUIREMENTS)
    for chapter, *counts in told:
        assert list(map(int, counts)) == [counted[chapter, status] for status in STATUSES]
    sums = Counter(row[3] for row in rows())
    assert [tuple(map(int, row)) for row in total] == [tuple(sums[status] for status in STATUSES)]


def test_a_name_that_is_not_there_would_be_found() -> None:
    """A test that cannot fail is a defect: neither a missing file nor a missing function passes."""
    assert is_there("tests/contract/test_asvs.py::test_the_summary_adds_up")
    assert not is_there("tests/contract/test_asvs.py::test_of_nothing")
    assert not is_there("tests/contract/test_nothing.py")
    assert named("`pyproject.toml` and [a](b.md#c) and `word`") == ["pyproject.toml", "docs/b.md"]


def test_password_fields_mask_and_tell_managers_what_they_are_for() -> None:
    """6.2.6, 6.2.7: type=password and a purpose on each such field, and no script that could stop pasting."""
    templates = [path.read_text(encoding="utf-8") for path in (ROOT / TENANT_TEMPLATES).glob("*.html")]
    fields = [
        field
        for template in templates
        for field in re.findall(r"<input[^>]*>", template)
        if re.search(r'name="(password|current|new|currentPassword|newPassword)"', field)
    ]

    assert len(fields) >= 4
    assert [field for field in fields if 'type="password"' not in field] == []
    assert [field for field in fields if not re.search(r'autocomplete="(new|current)-password"', field)] == []
    assert [template for template in templates if "<script" in template] == []


def test_no_script_of_ours_keeps_anything_in_the_browser() -> None:
    """14.3.3, 3.5.5: the modules of panel and snippets use no storage, no cookie and no window's messages."""
    used = r"localStorage|sessionStorage|indexedDB|document\.cookie|postMessage|addEventListener\(.message"
    scripts = [*(ROOT / "admin_service" / "panel" / "static").glob("*.js"), *(ROOT / "docs").rglob("*.mjs")]

    assert scripts
    assert [path.name for path in scripts if re.search(used, path.read_text(encoding="utf-8"))] == []
