"""Every requirement is named by a test, or stands on the list of what later work brings.

Only a number that is written out counts. A range such as `R-072…R-075` says where a test belongs; it
proves nothing about what lies in it.

`python tests/contract/test_requirements_covered.py --write` writes that list anew.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve()
TESTS = HERE.parents[1]
INDEX = HERE.parents[2] / "docs" / "requirements-index.txt"
NOT_YET = HERE.parent / "not_yet_covered.txt"
HEADER = """\
# Requirements that no test names yet, because the work that brings them is not done. Written by
# `python tests/contract/test_requirements_covered.py --write`; a number leaves when a test names it.

"""
_NUMBER = re.compile(r"R-\d{3}")
_RANGE = re.compile(r"R-\d{3}\s*[…–]\s*R-\d{3}")


def titles() -> dict[str, str]:
    """Each requirement's number and short title."""
    lines = INDEX.read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.startswith("R-"))


def numbers_in(text: str) -> set[str]:
    """The numbers that a text names by themselves."""
    return set(_NUMBER.findall(_RANGE.sub("", text)))


def named_by_tests() -> set[str]:
    return set[str]().union(*(numbers_in(path.read_text(encoding="utf-8")) for path in _test_modules()))


def _test_modules() -> Iterator[Path]:
    # This file quotes numbers without proving anything about them.
    return (path for path in sorted(TESTS.rglob("test_*.py")) if path.resolve() != HERE)


def not_yet() -> set[str]:
    lines = NOT_YET.read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if line.startswith("R-")}


def _shown(numbers: set[str]) -> str:
    known = titles()
    return "\n".join(
        f"  {number}  {known.get(number, '(no such requirement)')}" for number in sorted(numbers)
    )


def test_every_requirement_is_named_by_a_test_or_listed_as_not_yet() -> None:
    """A requirement can neither be forgotten nor silently lose its test."""
    forgotten = set(titles()) - named_by_tests() - not_yet()

    assert not forgotten, f"neither in a test nor in {NOT_YET.name}:\n{_shown(forgotten)}"


def test_what_is_listed_as_not_yet_is_named_by_no_test() -> None:
    """The list cannot rot: a number leaves it with the first test that names it."""
    proven = not_yet() & named_by_tests()

    assert not proven, f"named by a test, so take it out of {NOT_YET.name}:\n{_shown(proven)}"


def test_only_known_requirements_are_named() -> None:
    """A mistyped number proves nothing: tests and the list name only what the index knows."""
    unknown = not_yet() - set(titles())
    for path in _test_modules():
        unknown |= set(_NUMBER.findall(path.read_text(encoding="utf-8"))) - set(titles())

    assert not unknown, f"not in {INDEX.name}:\n{_shown(unknown)}"


def test_a_range_proves_nothing() -> None:
    """A test cannot claim a dozen requirements with two numbers."""
    text = "proves R-101, R-102 (of R-100…R-114)"

    assert numbers_in(text) == {"R-101", "R-102"}


def write() -> None:
    """Write the list of what is not yet covered, from the tests as they are."""
    missing = set(titles()) - named_by_tests()
    lines = [f"{number}  {titles()[number]}\n" for number in sorted(missing)]
    NOT_YET.write_text(HEADER + "".join(lines), encoding="utf-8")
    sys.stdout.write(f"{len(missing)} of {len(titles())} requirements are not yet named by a test\n")


if __name__ == "__main__" and "--write" in sys.argv:
    write()
