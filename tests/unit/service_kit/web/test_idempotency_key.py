"""Reading Idempotency-Key, whatever a client sends; the tenant service's tests show the plain cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import BadRequestError
from service_kit.web.idempotency import hash_of, read_key

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_header_lines_are_a_key_or_a_refusal(values: list[str]) -> None:
    """No text makes another error; what is read is one key of visible ASCII."""
    try:
        key = read_key(values)
    except BadRequestError as error:
        assert error.code == "IDEMPOTENCY_KEY_INVALID"  # noqa: PT017 - a refusal is one of two right answers
        return
    assert (key is None) is (not values)
    assert key is None or (0 < len(key) <= 255 and all("!" <= character <= "~" for character in key))


@given(st.text(VISIBLE, min_size=1, max_size=255).filter(lambda key: '"' not in key))
def test_quotes_are_no_part_of_a_key(key: str) -> None:
    """The same key with and without the draft's quotes finds the same answer."""
    assert read_key([key]) == read_key([f'"{key}"']) == key


@pytest.mark.parametrize(
    "value", ["x" * 256, f'"{"x" * 256}"', '"a b"', "a\u00a0b", "\uff41", "a\x7f", '" "']
)
def test_a_key_has_255_visible_characters_at_most(value: str) -> None:
    """One more, a blank or a look-alike is refused, within quotes too."""
    with pytest.raises(BadRequestError, match="IDEMPOTENCY_KEY_INVALID"):
        read_key([value])


def test_types_are_a_part_of_a_body() -> None:
    """A number, its text, a truth value and nothing are four different requests."""
    digests = {hash_of({"a": value}) for value in (1, "1", True, None, [1], {"a": 1})}

    assert len(digests | {hash_of({})}) == 7


def test_two_lines_are_no_key() -> None:
    """Two keys, also two equal ones, are refused: nobody chooses which request was meant."""
    for values in (["a", "b"], ["a", "a"], ["a", ""]):
        with pytest.raises(BadRequestError, match="IDEMPOTENCY_KEY_INVALID"):
            read_key(values)
