"""Checks the one signature that counts here, RS256, with `cryptography` alone.

It reads nothing: the algorithm is chosen here whatever a token says (RFC 8725 3.1), and the key, the
signed text and the signature are given. PyJWT did the same after reading the token once more: 76 µs for a
good signature and 80 for a bad one, in place of the 20 and 21 of the check itself. It stays the reference
that the tests compare every verdict with.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from auth_proxy.access.compact_jws import UnverifiedJws
from auth_proxy.refusals import Reason, Refusal

_PADDING: Final = PKCS1v15()
_HASH: Final = SHA256()


def require_signature(unverified: UnverifiedJws, key: RSAPublicKey) -> None:
    """Returns for a token whose very characters were signed with the key. Raises Refusal(TOKEN_SIGNATURE)."""
    try:
        key.verify(unverified.unverified_signature, unverified.signing_input, _PADDING, _HASH)
    except InvalidSignature:
        raise Refusal(Reason.TOKEN_SIGNATURE) from None
