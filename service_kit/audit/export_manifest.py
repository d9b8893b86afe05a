"""The manifest of an export: its rows, a digest over the exact bytes before it, and where each chain stands.

It is signed with the service's own audit key, so that nobody can shorten a file and write a fitting manifest.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service_kit.audit.chain import canonical_json
from service_kit.audit.export_places import ChainPlace
from service_kit.audit.export_rows import ExportedRow
from service_kit.identity.keys import SigningKey

VERSION: Final = 1
_PURPOSE: Final = b"sallyport audit export manifest 1\n"
"""What is signed begins with this: no checkpoint begins so, and no identity is signed with this key."""


class ManifestRejectedError(ValueError):
    """A manifest that is unsigned, or whose signature is not of a known key."""


@dataclass(slots=True)
class Tally:
    """What an export holds of one chain. `of_last` is the hash of its last row."""

    rows: int = 0
    first: int = 0
    last: int = 0
    of_last: str = ""

    def add(self, seq: int, digest: str) -> None:
        self.first = seq if self.rows == 0 else min(self.first, seq)
        if seq >= self.last:
            self.last, self.of_last = seq, digest
        self.rows += 1

    @property
    def whole(self) -> bool:
        """No row is missing between the first and the last."""
        return self.rows == self.last - self.first + 1


@dataclass(slots=True)
class ManifestMaker:
    """Counts and digests what is sent; `facts` are the members that are known before the first byte.

    `unfiltered` says that nothing but time, scope and tenant chose the rows: then a chain has no gaps.
    """

    facts: Mapping[str, Any]
    unfiltered: bool
    rows: int = 0
    size: int = 0
    chains: dict[tuple[str, str], Tally] = field(default_factory=dict)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def wrote(self, data: bytes) -> bytes:
        """Count bytes that are sent, and hand them on."""
        self.size += len(data)
        self._digest.update(data)
        return data

    def add(self, source: str, one: ExportedRow) -> None:
        self.rows += 1
        self.chains.setdefault((source, one.chain), Tally()).add(one.seq, one.row["hash"])

    @property
    def digest(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"

    def document(self, places: Mapping[str, Sequence[ChainPlace]]) -> dict[str, Any]:
        """The manifest, unsigned; `places` are those of each source."""
        stands = {(source, one.chain): one for source, found in places.items() for one in found}
        return {
            **self.facts,
            "version": VERSION,
            "rows": self.rows,
            "bytes": self.size,
            "digest": self.digest,
            "chains": [self._chain(name, stands.get(name)) for name in sorted(self.chains)],
        }

    def _chain(self, name: tuple[str, str], place: ChainPlace | None) -> dict[str, Any]:
        tally = self.chains[name]
        return {
            "source": name[0],
            "chain": name[1],
            "rows": tally.rows,
            "first": tally.first,
            "last": tally.last,
            "lastHash": tally.of_last,
            "complete": self.unfiltered and tally.whole,
            "head": {"seq": place.head_seq, "hash": place.head_hash} if place else None,
            "checkpoint": place.checkpoint if place else None,
        }


def signed(document: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """The manifest with the signature over everything else in it."""
    value = base64.b64encode(key.private.sign(_covered(document))).decode()
    return {**document, "signature": {"keyId": key.kid, "value": value}}


def require_signature(document: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> None:
    """Raises ManifestRejectedError unless one of the keys signed all of the manifest."""
    signature = document.get("signature")
    key_id = signature.get("keyId") if isinstance(signature, Mapping) else None
    key = keys.get(key_id) if isinstance(key_id, str) else None
    if key is None or not isinstance(signature, Mapping):
        raise ManifestRejectedError("signed by no key that was given")
    try:
        key.verify(base64.b64decode(str(signature.get("value")), validate=True), _covered(document))
    except (InvalidSignature, binascii.Error, ValueError):
        raise ManifestRejectedError("the signature does not fit") from None


def _covered(document: Mapping[str, Any]) -> bytes:
    return _PURPOSE + canonical_json({name: document[name] for name in document if name != "signature"})
