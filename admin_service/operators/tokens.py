"""Enrollment tokens: bearer secrets of 256 bits, of which only a digest is ever stored (C-12).

A fast hash is right here: nobody guesses 256 random bits, however fast the guesses are.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

TOKEN_LIFETIME: Final = timedelta(hours=24)
_PREFIX: Final = "enr_"


def new_enrollment_token() -> str:
    """A token for one person, shown once and never stored."""
    return _PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """What the database knows of a token; looking it up by this takes no time that depends on the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class NewEnrollment:
    """A token that is being issued, by whom and until when; the digest is all that is stored of it."""

    token: str = field(repr=False)
    issued_by: str
    issued_at: datetime

    @classmethod
    def issue(cls, by: str, now: datetime) -> "NewEnrollment":
        return cls(new_enrollment_token(), by, now)

    @property
    def expires_at(self) -> datetime:
        return self.issued_at + TOKEN_LIFETIME

    @property
    def digest(self) -> str:
        return token_digest(self.token)
