"""Decodes base64url in its one canonical spelling; it refuses padding, white space and stray bits."""

import base64
import re
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]+")


def decode_canonical(text: str) -> bytes:
    """The bytes behind the text.

    Raises ValueError unless the text is the only spelling of those bytes: two spellings of one
    signature would be two entries in every cache and two lines in every log.
    """
    if _ALPHABET.fullmatch(text) is None or len(text) % 4 == 1:
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text.encode("ascii"):
        raise ValueError("not canonical base64url")
    return data
