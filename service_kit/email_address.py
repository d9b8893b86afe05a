"""One rule for e-mail addresses, used wherever an address is an identity (R-048).

It decides equality, not deliverability. Look-alikes are refused instead of folded: databases and
languages fold them differently (attacks.md section 1).
"""

import re
from typing import Final

_MOST_CHARACTERS: Final = 254
_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[a-z0-9-]+"
_PLAIN: Final = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*")


def normalise_email(value: str) -> str:
    """The address trimmed and in lower case.

    Raises ValueError unless it is one plain ASCII address with exactly one `@`, of at most 254
    characters: no quoted local part, no control character, no look-alike letter.
    """
    trimmed = value.strip(" ")
    # Before lower(): KELVIN SIGN becomes a plain "k" and would pass as ASCII afterwards.
    if not trimmed.isascii() or len(trimmed) > _MOST_CHARACTERS:
        raise ValueError("must be one plain e-mail address")
    lowered = trimmed.lower()
    if not _PLAIN.fullmatch(lowered):
        raise ValueError("must be one plain e-mail address")
    return lowered
