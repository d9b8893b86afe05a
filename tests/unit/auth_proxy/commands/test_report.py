"""Reports: lines for people, and text from outside that no terminal obeys."""

import pytest

from auth_proxy.commands.report import columns, fault, fine, listed, printable


def test_a_fault_comes_with_its_fix() -> None:
    """One line that says what was seen, one that says what to do."""
    assert list(fault("team", "no answer", "repair it").lines()) == [
        "fail  team: no answer",
        "      fix: repair it",
    ]
    assert list(fine("team", "answers").lines()) == ["ok    team: answers"]


def test_columns_are_aligned_and_end_without_blanks() -> None:
    """A table of nothing is nothing."""
    assert list(columns([("a", "bbb"), ("aaa", "")])) == ["  a    bbb", "  aaa"]
    assert list(columns([])) == []


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain", "plain"),
        ("\x1b[31mred\r\nline\x00", "?[31mred??line?"),
        ("\u202egnp.exe", "?gnp.exe"),
        ("x" * 201, "x" * 200 + "…"),
    ],
)
def test_text_from_outside_is_harmless(text: str, shown: str) -> None:
    """No escape sequence, no line break, no change of direction, and an end."""
    assert printable(text) == shown


def test_an_empty_list_says_so() -> None:
    assert (listed([]), listed(["a", "b"])) == ("none", "a, b")
