"""Payloads of the outbox at rest: encrypted with a key that stands outside the database (ADR 0023).

A message may hold a link that opens something. Whoever reads a backup of the database must not find it.
The key file is made at the first start; replicas on one PostgreSQL must be given the same file.
"""

import base64
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service_kit.db.key_files import SecretFileError, data_folder, secret_of_file
from service_kit.identity.keys import KeyFileError

_NONCE_BYTES: Final = 12
_PARTS: Final = 3
_VERSION: Final = "v1"


class SealKeyError(KeyFileError):
    """The key file is no key, or cannot be read or made."""


class SealBrokenError(Exception):
    """The payload was sealed with another key or for another message, or was changed."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One key. Each payload is bound to the id of its message: it opens under no other one."""

    key: bytes = field(repr=False)

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The key of a file, made when there is none. Raises SealKeyError; the text holds no key."""
        try:
            return cls(secret_of_file(path))
        except SecretFileError as error:
            raise SealKeyError(str(error)) from error

    @property
    def name(self) -> str:
        """What tells one key from another; it gives nothing of the key away."""
        return hashlib.sha256(b"sallyport outbox key\x00" + self.key).hexdigest()[:8]

    def close(self, message_id: str, payload: bytes) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(self.key).encrypt(nonce, payload, message_id.encode())
        return f"{_VERSION}.{self.name}.{base64.b64encode(sealed).decode()}"

    def open(self, message_id: str, sealed: str) -> bytes:
        """Raises SealBrokenError."""
        parts = sealed.split(".")
        if len(parts) != _PARTS or parts[:2] != [_VERSION, self.name]:
            raise SealBrokenError("sealed with another key")
        try:
            raw = base64.b64decode(parts[2], validate=True)
            return AESGCM(self.key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], message_id.encode())
        except (ValueError, InvalidTag) as error:
            raise SealBrokenError("changed, or of another message") from error


def default_seal_file(database_url: str, service: str) -> Path:
    """In the data folder of the service."""
    return data_folder(database_url) / f"{service}-outbox.key"
