"""What binds a token to one request: the method, and a digest of the exact path and query forwarded."""

import base64
import hashlib
from typing import Final

TOKEN_TYPE: Final = "sally+jwt"
IDENTITY_HEADER: Final = "X-Internal-Identity"
DELEGATION_HEADER: Final = "X-Internal-Delegation"
MAX_LIFETIME_SECONDS: Final = 30

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def target_digest(target: str) -> str:
    """SHA-256 of the request target's bytes, base64url without padding: the claim `htp`."""
    # The HTTP parser hands over bytes that are no UTF-8 as escaped surrogates: the digest is of the bytes.
    octets = target.encode("utf-8", "surrogateescape")
    return base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).rstrip(b"=").decode()
