"""Signed checkpoints as text: how long a chain is and what its last hash is, in the form of a C2SP note.

A note is proven by its signature alone, so it may travel over any line and lie in anybody's database. It
holds no personal data: a chain's name, a number, a hash and a time.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service_kit.identity.keys import SigningKey

TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
"""As in the note, and as SQLite keeps it."""
_CHAIN: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_NOTE: Final = re.compile(
    r"(?P<body>(?P<origin>sallyport/[a-z_]{1,32})/(?P<chain>[A-Za-z0-9_]{1,64})\n"
    r"(?P<seq>[1-9][0-9]{0,17})\n(?P<hash>[A-Za-z0-9+/]{43}=)\n"
    r"time (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)\n)"
    r"\n\u2014 (?P<name>sallyport/[a-z_]{1,32}) (?P<signature>[A-Za-z0-9+/]{91}=)\n"
)
_ED25519: Final = b"\x01"
_ID_BYTES: Final = 4


class NoteRejectedError(ValueError):
    """A note that is malformed, of another origin, or not signed by a known key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a chain at a moment, in the words of the service that keeps the chain."""

    origin: str
    chain: str
    seq: int
    hash: str
    at: datetime

    def body(self) -> str:
        root = base64.b64encode(bytes.fromhex(self.hash)).decode()
        return f"{self.origin}/{self.chain}\n{self.seq}\n{root}\ntime {self.at.astimezone(UTC):{TIME}}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint, the key that signed it, and the note that proves it."""

    checkpoint: Checkpoint
    key_id: str
    note: str


def origin_of(service: str) -> str:
    """The name under which a service signs: `sallyport/admin_service`."""
    return f"sallyport/{service}"


def is_signable(chain: str) -> bool:
    """Whether a chain has a name that the services give; another one was put there by hand."""
    return _CHAIN.fullmatch(chain) is not None


def sign(checkpoint: Checkpoint, key: SigningKey) -> SignedCheckpoint:
    body = checkpoint.body()
    signature = _key_hash(checkpoint.origin, key.private.public_key()) + key.private.sign(body.encode())
    line = f"\u2014 {checkpoint.origin} {base64.b64encode(signature).decode()}\n"
    return SignedCheckpoint(checkpoint, key.kid, f"{body}\n{line}")


def proven(note: str, origin: str, keys: Mapping[str, Ed25519PublicKey]) -> SignedCheckpoint:
    """What a note says, once its signature is proven. Raises NoteRejectedError."""
    found = _NOTE.fullmatch(note)
    if found is None or not origin == found["origin"] == found["name"]:
        raise NoteRejectedError("not a checkpoint of that origin")
    raw = base64.b64decode(found["signature"])
    if base64.b64encode(raw).decode() != found["signature"]:  # bits behind the last byte belong to nobody
        raise NoteRejectedError("a signature in a second spelling")
    kid = _signer(found["body"].encode(), raw, origin, keys.items())
    try:
        at = datetime.strptime(found["at"], TIME).replace(tzinfo=UTC)
    except ValueError:
        raise NoteRejectedError("no time") from None
    digest = base64.b64decode(found["hash"]).hex()
    return SignedCheckpoint(Checkpoint(origin, found["chain"], int(found["seq"]), digest, at), kid, note)


def _signer(body: bytes, raw: bytes, origin: str, keys: Iterable[tuple[str, Ed25519PublicKey]]) -> str:
    for kid, key in keys:
        if raw[:_ID_BYTES] != _key_hash(origin, key):
            continue
        try:
            key.verify(raw[_ID_BYTES:], body)
        except InvalidSignature:
            raise NoteRejectedError("the signature does not fit") from None
        return kid
    raise NoteRejectedError("signed by an unknown key")


def _key_hash(name: str, key: Ed25519PublicKey) -> bytes:
    """C2SP signed-note: the name and the key together, so that a key speaks for one origin."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.public_bytes_raw()).digest()[:_ID_BYTES]
