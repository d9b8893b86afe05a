"""Parses the team's published key set into RSA public keys.

It refuses a set that could mean two things and ignores every single key that is not fit to verify
RS256. It reads `keys` only: Cloudflare warns that `public_cert` may be an expired value.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from auth_proxy.access.compact_jws import ALGORITHM, KEY_ID
from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from service_kit.base64url import decode_canonical
from service_kit.strict_json import StrictJsonError, parse_object

MAX_DOCUMENT_BYTES: Final = 1_048_576
MAX_KEYS: Final = 64
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # beyond it one forged signature costs milliseconds

_MIN_EXPONENT: Final = 3
_MAX_EXPONENT: Final = 2**32 - 1
_MAX_NUMBER_CHARACTERS: Final = 1400  # base64url of 8192 bits, with a leading zero byte
# Whoever publishes these has published the private key, or a key that is no RSA public key at all.
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class _UnfitKeyError(Exception):
    """One key of the set cannot verify RS256; its neighbours still can (GHSA-w6j9-cwv2-h6wq)."""


def parse_jwk_set(document: bytes) -> dict[str, RSAPublicKey]:
    """The usable keys of the document by their `kid`, never none.

    Raises KeyRefreshError when the document must not replace the keys in use. Two usable keys with
    one `kid` refuse the whole set: which of them the team means is not ours to guess.
    """
    keys: dict[str, RSAPublicKey] = {}
    for entry in _entries(document):
        try:
            kid, key = _read_key(entry)
        except _UnfitKeyError:
            continue
        if kid in keys:
            raise KeyRefreshError(RefreshOutcome.DUPLICATE_KID)
        keys[kid] = key
    if not keys:
        raise KeyRefreshError(RefreshOutcome.NO_USABLE_KEY)
    return keys


def require_fit(key: RSAPublicKey) -> RSAPublicKey:
    """The key itself, when its size and exponent are sound.

    Raises ValueError otherwise. A modulus made by a broken generator (ROCA) is not detected.
    """
    numbers = key.public_numbers()
    if not MIN_RSA_BITS <= numbers.n.bit_length() <= MAX_RSA_BITS or numbers.n % 2 == 0:
        raise ValueError("the modulus is even, too small or too large")
    if not _MIN_EXPONENT <= numbers.e <= _MAX_EXPONENT or numbers.e % 2 == 0:
        raise ValueError("the public exponent is even, too small or too large")
    return key


def _entries(document: bytes) -> list[object]:
    try:
        members = parse_object(document, max_bytes=MAX_DOCUMENT_BYTES)
    except StrictJsonError:
        raise KeyRefreshError(RefreshOutcome.MALFORMED) from None
    entries = members.get("keys")
    if not isinstance(entries, list):
        raise KeyRefreshError(RefreshOutcome.MALFORMED)
    if len(entries) > MAX_KEYS:
        raise KeyRefreshError(RefreshOutcome.TOO_MANY_KEYS)
    return entries


def _read_key(entry: object) -> tuple[str, RSAPublicKey]:
    if not isinstance(entry, dict):
        raise _UnfitKeyError
    kid = entry.get("kid")
    if not isinstance(kid, str) or KEY_ID.fullmatch(kid) is None:
        raise _UnfitKeyError
    _require_purpose(entry)
    try:
        key = RSAPublicNumbers(_number(entry, "e"), _number(entry, "n")).public_key()
        return kid, require_fit(key)
    except ValueError:
        raise _UnfitKeyError from None


def _require_purpose(entry: dict[str, object]) -> None:
    # A key has one algorithm and one use (RFC 8725 3.1); `oct` beside RS256 is the oldest trick.
    purpose = (entry.get("kty"), entry.get("alg", ALGORITHM), entry.get("use", "sig"))
    if purpose != ("RSA", ALGORITHM, "sig"):
        raise _UnfitKeyError
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _UnfitKeyError
    if not _SECRET_MEMBERS.isdisjoint(entry):
        raise _UnfitKeyError


def _number(entry: dict[str, object], name: str) -> int:
    value = entry.get(name)
    if not isinstance(value, str) or len(value) > _MAX_NUMBER_CHARACTERS:
        raise _UnfitKeyError
    return int.from_bytes(decode_canonical(value), "big")
