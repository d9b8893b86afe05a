"""Amounts of money as people write them: minor units to text and back, without a float anywhere.

Rupees are grouped the Indian way (₹2,99,900.00), dollars by thousands ($2,999.00). What is not clearly an
amount is refused, never guessed: a price that is wrong by a factor of a hundred is worse than none.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MOST_MINOR: Final = 10**13
"""A hundred thousand million rupees or dollars: beyond every price, within every database's integers."""

_MINOR_PER_MAJOR: Final = 100
_LAST_GROUP: Final = 3
_SIGNS: Final[Mapping[str, str]] = MappingProxyType({"INR": "₹", "USD": "$"})
_BY_THOUSANDS: Final = r"[0-9]{1,3}(?:,[0-9]{3})*"
_INDIAN: Final = r"[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}"
_WHOLE: Final[Mapping[str, str]] = MappingProxyType(
    {"INR": rf"[0-9]+|{_INDIAN}|{_BY_THOUSANDS}", "USD": rf"[0-9]+|{_BY_THOUSANDS}"}
)


class AmountError(ValueError):
    """The text is no amount of that currency; the message says what is wrong, for the person who wrote it."""


def currencies() -> tuple[str, ...]:
    """The codes that have a sign and a grouping here."""
    return tuple(_SIGNS)


def shown(amount_minor: int, currency: str) -> str:
    """`29990000` and `INR` are `₹2,99,900.00`; a negative amount has its sign first."""
    major, minor = divmod(abs(amount_minor), _MINOR_PER_MAJOR)
    minus = "-" if amount_minor < 0 else ""
    return f"{minus}{_SIGNS[currency]}{_grouped(str(major), currency)}.{minor:02d}"


def plain(amount_minor: int) -> str:
    """The amount for an input field: `2999.00`, without sign and grouping."""
    major, minor = divmod(abs(amount_minor), _MINOR_PER_MAJOR)
    return f"{'-' if amount_minor < 0 else ''}{major}.{minor:02d}"


def parsed(text: str, currency: str) -> int:
    """Minor units from what a person wrote: `249`, `249.5`, `2,99,900.00`, with or without the sign.

    Raises AmountError for anything else: another sign, wrong groups, a third decimal, zero or less.
    """
    bare = text.strip().removeprefix(_SIGNS[currency]).lstrip()
    found = re.fullmatch(rf"(?P<whole>{_WHOLE[currency]})(?:\.(?P<part>[0-9]{{1,2}}))?", bare)
    if found is None:
        example = shown(29990000, currency)
        raise AmountError(f"must be an amount such as {example}, with at most two decimals")
    digits = found["whole"].replace(",", "")
    if len(digits) > len(str(MOST_MINOR)):
        raise AmountError("is too large")
    minor = int(digits) * _MINOR_PER_MAJOR + int((found["part"] or "").ljust(2, "0"))
    if not 0 < minor <= MOST_MINOR:
        raise AmountError("must be more than zero" if minor == 0 else "is too large")
    return minor


def _grouped(digits: str, currency: str) -> str:
    if currency != "INR" or len(digits) <= _LAST_GROUP:
        return f"{int(digits):,}"
    head, tail = digits[:-_LAST_GROUP], digits[-_LAST_GROUP:]
    # From the right: pairs of lakh and crore before the last three.
    pairs = re.sub(r"(?<=[0-9])(?=(?:[0-9]{2})+$)", ",", head)
    return f"{pairs},{tail}"
