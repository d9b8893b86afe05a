"""Ed25519 keys of the internal identity: private ones from PEM files, public ones as a JWK set.

It never prints, logs or returns private key bytes, and reads no key from a token.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from service_kit.base64url import decode_canonical
from service_kit.strict_json import parse_object

PUBLISH_BEFORE_USE: Final = timedelta(seconds=60)
"""How long a new key is published before it signs: longer than any reader caches the JWK set."""
RETIRE_AFTER: Final = timedelta(minutes=10)
"""How long a key stays published after its successor began to sign: every token and cache has ended."""

_RAW_KEY_BYTES: Final = 32
_MOST_DOCUMENT_BYTES: Final = 64 * 1024
_STAMP: Final = "%Y%m%dT%H%M%SZ"


class KeyFileError(Exception):
    """A key file or JWK set that cannot be used; the text names the file, never its content."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its RFC 7638 thumbprint as `kid`."""

    kid: str
    private: Ed25519PrivateKey
    created_at: datetime
    file: Path = Path()

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, private=***)"


def new_signing_key(path: Path) -> str:
    """Write a new PEM file, readable by its owner alone, and return its kid.

    Raises FileExistsError when the file is there: a signing key is never overwritten.
    """
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return thumbprint(private.public_key())


def key_file_name(created_at: datetime) -> str:
    """What a key file in a folder is called: its name tells its age, which a copy would lose."""
    return f"{created_at.astimezone(UTC):{_STAMP}}.pem"


def load_signing_keys(path: Path) -> tuple[SigningKey, ...]:
    """The keys of a PEM file, or of every `*.pem` in a folder, oldest first.

    Raises KeyFileError when there is none or one of them is not an Ed25519 private key.
    """
    files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
    if not files:
        raise KeyFileError(f"{path}: the folder holds no *.pem file")
    keys = tuple(sorted((_load(file) for file in files), key=lambda key: (key.created_at, key.kid)))
    if len({key.kid for key in keys}) < len(keys):
        raise KeyFileError(f"{path}: holds the same key twice")
    return keys


def _load(file: Path) -> SigningKey:
    try:
        private = load_pem_private_key(file.read_bytes(), password=None)
        created_at = _stamp(file) or datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{file}: cannot be read as an unencrypted PEM private key") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{file}: is not an Ed25519 key")
    return SigningKey(thumbprint(private.public_key()), private, created_at, file)


def _stamp(file: Path) -> datetime | None:
    try:
        return datetime.strptime(file.stem, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def active_key(
    keys: tuple[SigningKey, ...], now: datetime, lead: timedelta = PUBLISH_BEFORE_USE
) -> SigningKey:
    """The newest key that has been published for the lead time; the oldest when none has.

    A fresh key waits, because a service that cached the JWK set a moment ago does not know it yet.
    """
    published = [key for key in keys if now - key.created_at >= lead]
    return published[-1] if published else keys[0]


def retired_keys(
    keys: tuple[SigningKey, ...], now: datetime, lead: timedelta = PUBLISH_BEFORE_USE
) -> tuple[SigningKey, ...]:
    """The keys whose successor has signed for so long that nothing can name them any more."""
    return tuple(
        key for key, successor in pairwise(keys) if now - successor.created_at >= lead + RETIRE_AFTER
    )


def public_jwks(keys: Iterable[SigningKey]) -> dict[str, object]:
    """The JWK set (RFC 7517, RFC 8037) that services read."""
    return {"keys": [_public_jwk(key) for key in keys]}


def _public_jwk(key: SigningKey) -> dict[str, str]:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _b64(_raw(key.private.public_key())),
        "kid": key.kid,
        "alg": "EdDSA",
        "use": "sig",
    }


def thumbprint(key: Ed25519PublicKey) -> str:
    """RFC 7638 thumbprint: the same key has the same kid everywhere."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _b64(_raw(key))}
    return _b64(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


def parse_public_jwks(document: bytes) -> Mapping[str, Ed25519PublicKey]:
    """The usable public keys of a JWK set, by kid.

    Raises KeyFileError when the document is not a JWK set, names a kid twice, or holds no usable key:
    an empty set must never replace a good one.
    """
    try:
        entries = parse_object(document, max_bytes=_MOST_DOCUMENT_BYTES)["keys"]
        keys = [(_usable(entry), entry) for entry in _entries(entries)]
    except (ValueError, KeyError, TypeError) as error:
        raise KeyFileError("not a JWK set") from error
    usable = [(str(entry["kid"]), key) for key, entry in keys if key is not None]
    if len({kid for kid, _ in usable}) != len(usable):
        raise KeyFileError("the JWK set names a kid twice")
    if not usable:
        raise KeyFileError("the JWK set holds no usable Ed25519 key")
    return dict(usable)


def _entries(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise TypeError("keys is no list of objects")
    return value


def _usable(entry: Mapping[str, object]) -> Ed25519PublicKey | None:
    kid, x = entry.get("kid"), entry.get("x")
    fits = (
        entry.get("kty") == "OKP"
        and entry.get("crv") == "Ed25519"
        and entry.get("alg", "EdDSA") == "EdDSA"
        and entry.get("use", "sig") == "sig"
        and "d" not in entry
    )
    if not fits or not isinstance(kid, str) or not kid or not isinstance(x, str):
        return None
    raw = decode_canonical(x)
    return Ed25519PublicKey.from_public_bytes(raw) if len(raw) == _RAW_KEY_BYTES else None


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
