"""What may be a slug: the first label of a tenant's host name (data-model 2.7).

Pure rules. Whether a slug is in use or was in use, only the database knows.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from enum import StrEnum
from importlib import resources
from typing import Final

_SHORTEST: Final = 3
_LONGEST: Final = 63
_MOST_INPUT: Final = 200


class SlugRule(StrEnum):
    """Which rule a slug broke."""

    LENGTH = "length"
    CHARACTERS = "characters"
    FIRST_CHARACTER = "first_character"
    LAST_CHARACTER = "last_character"
    DOUBLE_HYPHEN = "double_hyphen"
    RESERVED = "reserved"
    TOMBSTONED = "tombstoned"
    TAKEN = "taken"


def load_reserved_slugs() -> frozenset[str]:
    """The words of `reserved_slugs.txt`; `#` begins a comment."""
    text = resources.files("tenant_service").joinpath("reserved_slugs.txt").read_text(encoding="utf-8")
    words = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(word for word in words if word)


def broken_rule(slug: str, reserved: frozenset[str]) -> SlugRule | None:
    """The first rule that the text breaks, or None when it may be a slug."""
    if not re.fullmatch(r"[a-z0-9-]*", slug):
        return SlugRule.CHARACTERS
    if not _SHORTEST <= len(slug) <= _LONGEST:
        return SlugRule.LENGTH
    if not slug[0].isalpha():
        return SlugRule.FIRST_CHARACTER
    if slug.endswith("-"):
        return SlugRule.LAST_CHARACTER
    # This also keeps out "xn--…": an internationalised label may look like another tenant's.
    if "--" in slug:
        return SlugRule.DOUBLE_HYPHEN
    return SlugRule.RESERVED if slug in reserved else None


def candidates(slug: str, name: str, reserved: frozenset[str]) -> tuple[str, ...]:
    """Well-formed slugs near to what was asked for, best first; whether they are free is not known here.

    A reserved word is not varied: "admin-team" would mislead people as "admin" does.
    """
    wished = "" if slug in reserved else _plain(slug)
    found = [_plain(name), *_variants(wished), *_variants(_plain(name))]
    return tuple(_distinct(word for word in [wished, *found] if word != slug and _fits(word, reserved)))


def _fits(word: str, reserved: frozenset[str]) -> bool:
    first = word.partition("-")[0]
    return broken_rule(word, reserved) is None and first not in reserved


def _plain(text: str) -> str:
    """The text in the letters of a slug: `Café Zürich` becomes `cafe-zurich`."""
    decomposed = unicodedata.normalize("NFKD", text[:_MOST_INPUT]).encode("ascii", "ignore").decode()
    hyphened = re.sub(r"[^a-z0-9]+", "-", decomposed.lower().replace("'", ""))
    return hyphened.lstrip("-0123456789")[: _LONGEST - 3].strip("-")


def _variants(word: str) -> Iterator[str]:
    if word:
        yield from (f"{word}-{ending}" for ending in ("hq", "co", *map(str, range(2, 10))))


def _distinct(words: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(words)
