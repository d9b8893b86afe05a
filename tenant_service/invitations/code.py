"""The bearer code of an invitation: a public id, and a secret that is shown once and never stored.

    inv_01J8Z…26 characters_7QK2M…26 characters
        the public id        the secret

Lists, audit rows and support screens know the public id alone; it opens nothing (G-16).
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SECRET_LENGTH: Final = 26  # 130 bits: a fast hash is right for it (data-model 2.5)


@dataclass(frozen=True, slots=True)
class InvitationCode:
    """A fresh code. It prints without its secret."""

    public_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, public_id: str) -> Self:
        return cls(public_id, "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH)))

    @property
    def full(self) -> str:
        """What stands in the link."""
        return f"{self.public_id}_{self.secret}"

    @property
    def secret_hash(self) -> str:
        return hashlib.sha256(self.secret.encode()).hexdigest()
