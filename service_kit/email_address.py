"""One rule for e-mail addresses, used wherever an address is an identity (R-048).

It decides equality, not deliverability. Look-alikes are refused instead of folded: databases and
languages fold them differently (attacks.md section 1).
"""

import re
from functools import lru_cache
from typing import Final

_MOST_CHARACTERS: Final = 254
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# ASCII atoms only: no quoted local part. Dots may stand anywhere in it: some providers hand such out.
_PLAIN: Final = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")


def normalise_email(value: str) -> str:
    """The address trimmed and in lower case, so that equal people compare equal.

    Raises ValueError unless it is one plain ASCII address with exactly one `@`, of at most 254
    characters: no quoted local part, no control character, no look-alike letter. The text never
    quotes the value.
    """
    # Only blanks are trimmed: a line break at the end is an attack on the next header or log line.
    trimmed = value.strip(" \t")
    # Before lower(): KELVIN SIGN becomes a plain "k" and would pass as ASCII afterwards.
    if not trimmed.isascii() or len(trimmed) > _MOST_CHARACTERS:
        raise ValueError("must be one plain e-mail address")
    return _lowered(trimmed)


# The same people ask again and again, and each request names its person twice. What comes here is short, so
# nobody fills memory with it; what is refused is not remembered.
@lru_cache(maxsize=4096)
def _lowered(trimmed: str) -> str:
    lowered = trimmed.lower()
    if not _PLAIN.fullmatch(lowered):
        raise ValueError("must be one plain e-mail address")
    return lowered
