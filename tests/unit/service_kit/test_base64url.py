"""Proves `service_kit.base64url`."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.base64url import decode_canonical

REFUSED = {
    "empty": "",
    "one_character": "A",
    "impossible_length": "AAAAA",
    "padding": "YQ==",
    "standard_alphabet": "-_+/",
    "white_space_inside": "YW Jj",
    "line_break_at_the_end": "YWJj\n",
    "percent_encoded": "YWJj%3D",
    "stray_bits_of_one_byte": "YR",
    "stray_bits_of_two_bytes": "YWJ",
    "full_width": "\uff21\uff22\uff23\uff24",
    "arabic_digit": "YWJ\u0663",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_only_the_canonical_spelling_is_read(text: str) -> None:
    """Padding, white space, stray bits and foreign letters are refused (attacks.md 2)."""
    with pytest.raises(ValueError, match="base64url"):
        decode_canonical(text)


@pytest.mark.parametrize(
    "text, words", [("A=", "not base64url"), ("AAAAA", "not base64url"), ("YR", "not canonical base64url")]
)
def test_each_fault_has_its_words(text: str, words: str) -> None:
    """The log line tells a foreign letter from a second spelling, and quotes neither."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
        decode_canonical(text)

    assert str(caught.value) == words


@given(st.binary(min_size=1, max_size=64))
def test_every_byte_string_has_its_one_spelling(data: bytes) -> None:
    """What is encoded without padding is decoded to the same bytes."""
    assert decode_canonical(base64.urlsafe_b64encode(data).rstrip(b"=").decode()) == data


@given(st.text(alphabet="AQgwZ-_89", min_size=1, max_size=9))
def test_what_is_decoded_encodes_to_the_same_text(text: str) -> None:
    """No two texts decode to the same bytes."""
    try:
        data = decode_canonical(text)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text
