"""The hash chain: canonical form of a row, the link to the row before it, the commitment to its PII.

`hash = SHA-256(prev_hash ‖ canonical_json(row without hash))`, one chain per scope, so that a tenant
can be given its own verifiable log without another tenant's rows.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

GLOBAL_CHAIN: Final = "global"
GENESIS: Final = "0" * 64
"""The `prev_hash` of a chain's first row."""


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, NFC, whole numbers only: one value, one byte string.

    Raises ValueError for a float: two machines may write it differently.
    """
    plain = _plain(value)
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def stored_form(value: Any) -> Any:
    """The value as it is stored: every text in NFC, so that what is kept is what was hashed.

    Otherwise a name could be respelled in the database without its hash changing.
    """
    match value:
        case Enum():
            return stored_form(value.value)
        case str():
            return unicodedata.normalize("NFC", value)
        case Mapping():
            return _distinct(value, {stored_form(str(key)): stored_form(item) for key, item in value.items()})
        case list() | tuple():
            return [stored_form(item) for item in value]
        case _:
            return value


def row_hash(prev_hash: str, row: Mapping[str, Any]) -> str:
    covered = {name: value for name, value in row.items() if name != "hash"}
    return hashlib.sha256(prev_hash.encode() + canonical_json(covered)).hexdigest()


def pii_commitment(salt: str, pii: Mapping[str, Any]) -> str:
    """What the chain keeps of personal data: useless without the salt, which is erased with the data."""
    return hashlib.sha256(salt.encode() + canonical_json(pii)).hexdigest()


def digest_of(event_ids: Iterable[str]) -> str:
    """What the audit row of an erasure says of the rows that it erased, without naming them."""
    return hashlib.sha256("\n".join(sorted(event_ids)).encode("utf-8", "surrogateescape")).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case Enum():
            return _plain(value.value)
        case str():
            return unicodedata.normalize("NFC", value)
        case datetime():
            if value.tzinfo is None:  # each machine would read it in its own zone
                raise ValueError("a naive time has no canonical form")
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case Mapping():
            return _plain_members(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            raise ValueError(f"a {type(value).__name__} has no canonical form")


def _plain_members(value: Mapping[Any, Any]) -> dict[str, Any]:
    return _distinct(
        value, {unicodedata.normalize("NFC", str(key)): _plain(item) for key, item in value.items()}
    )


def _distinct(value: Mapping[Any, Any], plain: dict[str, Any]) -> dict[str, Any]:
    if len(plain) < len(value):  # which one counts would depend on the order, which no database keeps
        raise ValueError("an object that names a member twice has no canonical form")
    return plain
