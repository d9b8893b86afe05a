"""Text types: what a person may write in one line, and nothing that a database or a page chokes on."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel


class Line(ApiModel):
    """One line."""

    text_of_line: PlainText


class Contact(ApiModel):
    """One address."""

    email: EmailAddress


class Wanted(QueryModel):
    """A number from text."""

    at_most: int


def hostile(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"}


@given(st.text(max_size=30) | st.text("ab \t\n\x00\x1f\x7f\x85", max_size=12))
def test_plain_text_holds_no_control_character(text: str) -> None:
    """Whatever is accepted is trimmed and has no character of the categories Cc and Cs."""
    try:
        line = Line.model_validate({"textOfLine": text})
    except ValidationError:
        assert any(hostile(character) for character in text)
    else:
        assert not any(hostile(character) for character in line.text_of_line)
        assert line.text_of_line == line.text_of_line.strip(" \t\r\n")
        assert line.text_of_line in text


@pytest.mark.parametrize(
    "text", ["", "Zürich", "\U0001f4b6", "=1+1", "<b>", "{{ 7*7 }}", "\u202eabc", "'; DROP TABLE x"]
)
def test_text_for_people_is_kept_as_it_is(text: str) -> None:
    """Escaping is the page's work: nothing is cut or changed here."""
    assert Line(text_of_line=text).text_of_line == text


def test_an_address_is_stored_in_its_normal_form() -> None:
    """R-048: lower-cased and trimmed wherever it comes in."""
    assert Contact(email=" Ada@Example.COM ").email == "ada@example.com"


@pytest.mark.parametrize(
    "email", ["a" * 400 + "@example.com", "x" * 70_000, "\u212aate@example.com", "a@b@c", ""]
)
def test_what_is_no_address_is_refused(email: str) -> None:
    """R-048: long text, look-alikes and two ats; the message does not repeat them."""
    with pytest.raises(ValidationError) as caught:
        Contact(email=email)

    assert not email or email not in str(caught.value)


@pytest.mark.parametrize("value", [7, None, ["a"], b"a", True])
def test_types_are_strict_in_a_body(value: object) -> None:
    """A number is no text, whatever it could be turned into."""
    with pytest.raises(ValidationError):
        Line.model_validate({"textOfLine": value})


def test_a_query_is_read_from_text() -> None:
    """Everything in a query is text; a body's number is not."""
    assert Wanted.model_validate({"atMost": "7"}).at_most == 7
    with pytest.raises(ValidationError):
        Wanted.model_validate({"atMost": "7", "more": "1"})


def test_a_model_does_not_change() -> None:
    """What was checked stays what was checked."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Line(text_of_line="a"), "text_of_line", "\x00")  # noqa: B010 - mypy knows it is frozen; the code must too
