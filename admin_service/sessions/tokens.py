"""The `ax_token`: a bearer secret of 256 bits, of which only a digest is ever stored (data-model 2.5).

A fast hash is right here: nobody guesses 256 random bits, however fast the guesses are.
"""

import hashlib
import secrets
from typing import Final

_PREFIX: Final = "axs_"


def new_session_token() -> str:
    """A token for one answer; it is never stored and cannot be read again."""
    return _PREFIX + secrets.token_urlsafe(32)


def session_digest(token: str) -> str:
    """What the database knows of a token; looking it up by this takes no time that depends on the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
