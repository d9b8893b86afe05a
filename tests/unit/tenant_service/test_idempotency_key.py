"""Reading Idempotency-Key and comparing bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import BadRequestError
from service_kit.web.idempotency import hash_of, read_key


@pytest.mark.parametrize(
    ("values", "key"),
    [((), None), (("abc",), "abc"), ((' "abc" ',), "abc"), (("x" * 255,), "x" * 255), (('"',), '"')],
)
def test_a_key_is_read_with_or_without_quotes(values: tuple[str, ...], key: str | None) -> None:
    """The draft writes keys as quoted strings; many clients send them bare."""
    assert read_key(values) == key


@pytest.mark.parametrize("values", [("",), ("a", "b"), ("a b",), ("ä",), ("x" * 256,), ('""',), ("a\x00",)])
def test_what_is_no_single_key_is_refused(values: tuple[str, ...]) -> None:
    """An empty, doubled, long or unprintable key is a client's mistake, not "no key"."""
    with pytest.raises(BadRequestError, match="IDEMPOTENCY_KEY_INVALID"):
        read_key(values)


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_the_order_of_members_does_not_matter(body: dict[str, object]) -> None:
    """One body, one digest."""
    assert hash_of(body) == hash_of(dict(reversed(body.items())))


@given(st.dictionaries(st.text(), st.text()), st.text(), st.text())
def test_another_value_is_another_body(body: dict[str, str], name: str, value: str) -> None:
    """Bodies that differ in one member have different digests."""
    changed = {**body, name: value}

    assert (hash_of(body) == hash_of(changed)) is (body == changed)
