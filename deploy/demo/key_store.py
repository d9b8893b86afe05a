"""Keeps the demo's signing keys and audience tag in a folder, so that a restart keeps everybody signed in.

It never reads a key that other users of the machine can read, and never leaves one half-written.
"""

import os
import re
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.demo.issuer import SigningKey

AUDIENCE_TAG = re.compile(r"[0-9a-f]{64}")
KEY_FILES = ("access-key-current.pem", "access-key-previous.pem")
AUDIENCE_FILE = "audience"


class UnsafeKeyFile(ValueError):  # noqa: N818 - the name is the refusal
    """A key file is readable by others, or holds no RSA key."""


class BadAudience(ValueError):  # noqa: N818 - the name is the refusal
    """An audience tag is not 64 lower-case hexadecimal digits."""


def checked_audience(tag: str) -> str:
    """The tag itself, when it has the form of Cloudflare's."""
    if not AUDIENCE_TAG.fullmatch(tag):
        raise BadAudience("an audience tag is 64 lower-case hexadecimal digits")
    return tag


class KeyStore:
    """The folder with the current key, the previous key and the audience tag."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_or_create_keys(self) -> tuple[SigningKey, ...]:
        """The keys of the last run; at the first run two new ones, for Cloudflare always publishes two."""
        paths = [path for path in map(self._folder.joinpath, KEY_FILES) if path.exists()]
        # A stop in the middle of `save` leaves the same key in both files.
        keys = tuple({key.kid: key for key in map(_read_key, paths)}.values())
        if not keys:
            keys = (SigningKey.generate(), SigningKey.generate())
            self.save(keys)
        return keys

    def save(self, keys: tuple[SigningKey, ...]) -> None:
        """Write the previous key first: a stop in between forgets the new key, never one that signed."""
        self._make_folder()
        for key, name in reversed(list(zip(keys, KEY_FILES, strict=False))):
            pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            _write_private(self._folder / name, pem)

    def load_or_create_audience(self) -> str:
        path = self._folder / AUDIENCE_FILE
        if not path.exists():
            self._make_folder()
            _write_private(path, f"{secrets.token_hex(32)}\n".encode())
        return checked_audience(path.read_text().strip())

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _read_key(path: Path) -> SigningKey:
    if path.stat().st_mode & 0o077:
        raise UnsafeKeyFile(f"{path.name} is open to other users: chmod 600 it, or delete it for a new one")
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise UnsafeKeyFile(f"{path.name} holds no RSA key")
    return SigningKey.of(key)


def _write_private(path: Path, content: bytes) -> None:
    """Replace a file at once; its content is never on disk with wider rights than 0600."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
