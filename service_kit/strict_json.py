"""Reads JSON that every parser must understand alike.

It refuses what two parsers could read differently: duplicate members, a byte order mark, UTF-16, NaN,
numbers without end, nesting without end, lone surrogates. It knows nothing of tokens or keys.
"""

import json
import re
from typing import Final, NoReturn

MAX_DEPTH: Final = 16
_MAX_NUMBER_CHARACTERS: Final = 24

_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class StrictJsonError(ValueError):
    """The bytes are not JSON with exactly one reading; the text never quotes them."""


def parse_object(data: bytes, *, max_bytes: int) -> dict[str, object]:
    """The one JSON object in the bytes.

    Raises StrictJsonError, and nothing else, for whatever else they hold.
    """
    if len(data) > max_bytes:
        raise StrictJsonError("too long")
    try:
        # json.loads would guess UTF-16 and UTF-32 from the first bytes; we read UTF-8 only.
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise StrictJsonError("not UTF-8") from None
    if _deeper_than(MAX_DEPTH, text):
        raise StrictJsonError("nested too deep")
    value = _decode(text)
    if not isinstance(value, dict):
        raise StrictJsonError("not an object")
    return value


def _decode(text: str) -> object:
    try:
        value: object = _DECODER.decode(text)
        if _SURROGATE_ESCAPE.search(text):
            # A lone surrogate survives JSON and then breaks the first database or header that meets it.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except StrictJsonError:
        raise
    except ValueError:
        # The standard library's message quotes nothing, but its exception carries the whole document.
        raise StrictJsonError("not JSON") from None
    return value


def _deeper_than(limit: int, text: str) -> bool:
    # An honest document has few brackets; only a suspicious one is walked.
    if text.count("{") + text.count("[") <= limit:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = match.group()
        if mark in {"{", "["}:
            depth += 1
        elif mark in {"}", "]"}:
            depth -= 1
        if depth > limit:
            return True
    return False


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # The first reader takes the first, the next takes the last: one token, two identities.
        raise StrictJsonError("duplicate member")
    return members


def _bounded_int(literal: str) -> int:
    if len(literal) > _MAX_NUMBER_CHARACTERS:
        raise StrictJsonError("number too long")
    return int(literal)


def _bounded_float(literal: str) -> float:
    # 1e400 becomes infinity without a word.
    if len(literal) > _MAX_NUMBER_CHARACTERS or (number := float(literal)) in {float("inf"), float("-inf")}:
        raise StrictJsonError("number out of range")
    return number


def _no_constant(_literal: str) -> NoReturn:
    raise StrictJsonError("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_bounded_int,
    parse_float=_bounded_float,
    parse_constant=_no_constant,
)
