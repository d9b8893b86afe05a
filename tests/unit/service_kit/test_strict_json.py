"""Proves `service_kit.strict_json`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.strict_json import MAX_DEPTH, StrictJsonError, parse_object

PLAIN = b'{"a":[1,-2.5,"x",true,null,{"b":{}}]}'

REFUSED = {
    "empty": b"",
    "blank": b"  ",
    "array": b"[]",
    "string": b'"a"',
    "number": b"1",
    "null": b"null",
    "truncated": b'{"a":1',
    "trailing_text": b"{}x",
    "two_documents": b"{}{}",
    "trailing_comma": b'{"a":1,}',
    "single_quotes": b"{'a':1}",
    "comment": b"{}//",
    "byte_order_mark": b"\xef\xbb\xbf{}",
    "utf_16": '{"a":1}'.encode("utf-16"),
    "utf_16_without_mark": '{"a":1}'.encode("utf-16-le"),
    "utf_32": '{"a":1}'.encode("utf-32"),
    "latin_1": b'{"a":"\xe9"}',
    "overlong_utf_8": b'{"a":"\xc0\xaf"}',
    "surrogate_in_utf_8": b'{"a":"\xed\xa0\x80"}',
    "lone_high_surrogate": rb'{"a":"\ud800"}',
    "lone_low_surrogate_in_a_name": rb'{"\uDFFF":1}',
    "surrogates_in_the_wrong_order": rb'{"a":["\udc00\ud800"]}',
    "nan": b'{"a":NaN}',
    "infinity": b'{"a":Infinity}',
    "negative_infinity": b'{"a":-Infinity}',
    "float_overflow": b'{"a":1e400}',
    "negative_float_overflow": b'{"a":-1e400}',
    "number_of_5000_digits": b'{"a":' + b"9" * 5000 + b"}",
    "number_of_25_digits": b'{"a":' + b"9" * 25 + b"}",
    "float_of_5000_digits": b'{"a":0.' + b"9" * 5000 + b"}",
    "control_character": b'{"a":"\x01"}',
    "duplicate_member": b'{"a":1,"a":1}',
    "duplicate_by_escape": rb'{"a":1,"\u0061":2}',
    "duplicate_deep_inside": b'{"a":[{"b":1,"b":2}]}',
    "nested_too_deep": b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    "nested_100000_deep": b'{"a":' + b"[" * 100_000,
    "objects_nested_too_deep": b'{"a":' * 20 + b"1" + b"}" * 20,
    "unterminated_string_before_brackets": b'{"a":"' + b"[" * 50,
}


def test_plain_json_is_read() -> None:
    """A plain document comes out as it is."""
    assert parse_object(PLAIN, max_bytes=100) == {"a": [1, -2.5, "x", True, None, {"b": {}}]}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_whatever_two_parsers_could_read_differently_is_refused(data: bytes) -> None:
    """BOM, UTF-16, duplicates, NaN, endless numbers, lone surrogates: all are refused (attacks.md 2)."""
    with pytest.raises(StrictJsonError):
        parse_object(data, max_bytes=1_000_000)


WORDS = {
    b" " * 1001: "too long",
    b"\xff": "not UTF-8",
    b'{"a":' + b"[" * 20: "nested too deep",
    b"[]": "not an object",
    b"{": "not JSON",
    b'{"a":1,"a":1}': "duplicate member",
    b'{"a":' + b"9" * 25 + b"}": "number too long",
    b'{"a":1e400}': "number out of range",
    b'{"a":0.' + b"1" * 23 + b"}": "number out of range",
    b'{"a":NaN}': "NaN and Infinity are not JSON",
}


@pytest.mark.parametrize("data, words", WORDS.items(), ids=WORDS.values())
def test_each_fault_has_its_words(data: bytes, words: str) -> None:
    """The log line says what was wrong with the document."""
    with pytest.raises(StrictJsonError) as caught:
        parse_object(data, max_bytes=1000)

    assert str(caught.value) == words


def test_what_was_closed_does_not_hide_what_is_open() -> None:
    """Brackets that close are counted one by one: siblings allow no deeper nesting after them."""
    siblings = b"[],{}," * 6
    deep = b'{"a":' + b"[" * 10 + siblings + b"[" * 7 + b"]" * 17 + b"}"
    wide = b'{"a":[' + b",".join([b"{}"] * 40) + b"]}"

    with pytest.raises(StrictJsonError, match="nested too deep"):
        parse_object(deep, max_bytes=1000)
    assert parse_object(deep.replace(b"[" * 7 + b"]" * 17, b"[" * 5 + b"]" * 15), max_bytes=1000)
    assert parse_object(wide, max_bytes=1000) == {"a": [{}] * 40}


@pytest.mark.parametrize("number", [b"9" * 24, b"0." + b"1" * 22, b"-1e308"])
def test_the_longest_number_is_read(number: bytes) -> None:
    """24 characters are the last that are read."""
    assert parse_object(b'{"a":' + number + b"}", max_bytes=100)["a"] == json.loads(number)


def test_the_size_limit_counts_bytes() -> None:
    """A document of exactly the limit is read, one byte more is refused."""
    assert parse_object(PLAIN, max_bytes=len(PLAIN))

    with pytest.raises(StrictJsonError, match="too long"):
        parse_object(PLAIN, max_bytes=len(PLAIN) - 1)


def test_nesting_up_to_the_limit_is_read() -> None:
    """The deepest allowed document is read, and brackets within strings do not count."""
    deepest = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    wide = b'{"a":[' + b",".join([b"[]"] * 40) + rb'],"b":"\"[[[[[[[[[[[[[[[[[[[[{{{{{{{"}'

    beside = deepest[:-1] + b',"b":[]}'
    assert parse_object(deepest, max_bytes=1000)
    assert parse_object(beside, max_bytes=1000)["b"] == []
    assert parse_object(wide, max_bytes=1000)["b"] == '"' + "[" * 20 + "{" * 7


def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    """An emoji written with escapes is no lone surrogate."""
    assert parse_object(rb'{"a":"\ud83d\ude00"}', max_bytes=100) == {"a": "\U0001f600"}


def test_the_error_never_quotes_the_document() -> None:
    """Neither the error nor its chain holds a byte of what was read."""
    with pytest.raises(StrictJsonError) as caught:
        parse_object(b'{"secret-word', max_bytes=100)

    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes whatever raise another error than StrictJsonError."""
    try:
        value = parse_object(data, max_bytes=150)
    except StrictJsonError:
        return
    assert value == json.loads(data)


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
VALUES = SCALARS | st.lists(SCALARS | st.dictionaries(st.text(), SCALARS, max_size=3), max_size=3)


@given(value=st.dictionaries(st.text(), VALUES, max_size=4), ascii_only=st.booleans())
def test_honest_documents_survive(value: dict[str, object], *, ascii_only: bool) -> None:
    """Whatever the standard library writes without tricks is read back unchanged."""
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode(), max_bytes=100_000) == value
