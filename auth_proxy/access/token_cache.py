"""Remembers which tokens were proven and which were refused, so that each costs one signature check.

It remembers no decision: issuer, audience, time, roster and policy are judged on every request.
It holds hashes of tokens, never tokens.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from cachetools import TLRUCache, TTLCache
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auth_proxy.access.claims import AccessClaims
from auth_proxy.refusals import Reason
from service_kit.clock import Clock

MAX_TOKENS: Final = 10_000
REFUSAL_SECONDS: Final = 60

# Only what time, a fresh key set or another route's audience cannot change. A token with a new `kid`
# or an early `nbf` becomes good by waiting, so neither is remembered.
LASTING_REASONS: Final = frozenset(
    {
        Reason.TOKEN_MALFORMED,
        Reason.TOKEN_HEADER,
        Reason.TOKEN_ALGORITHM,
        Reason.TOKEN_SIGNATURE,
        Reason.TOKEN_ISSUER,
        Reason.TOKEN_LIFETIME,
        Reason.TOKEN_CLAIMS,
    }
)


class TrustedKeys(Protocol):
    def has(self, kid: str, key: RSAPublicKey) -> bool: ...


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Claims, and the very key that proved them."""

    claims: AccessClaims
    key: RSAPublicKey


def token_digest(token: str) -> bytes:
    """What stands for an ASCII token in a cache."""
    return hashlib.sha256(token.encode("ascii")).digest()


class VerifiedTokenCache:
    """Proven tokens: each dies at `exp` + leeway, or when its key leaves the key set."""

    def __init__(
        self, keys: TrustedKeys, *, clock: Clock, leeway_seconds: int, max_tokens: int = MAX_TOKENS
    ) -> None:
        self._keys = keys
        self._tokens: TLRUCache[bytes, VerifiedToken, float] = TLRUCache(
            max_tokens,
            ttu=lambda _digest, verified, _now: float(verified.claims.expires_at + leeway_seconds),
            timer=lambda: clock.now().timestamp(),
        )

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, digest: bytes) -> VerifiedToken | None:
        try:
            verified = self._tokens[digest]
        except KeyError:
            return None
        if not self._keys.has(verified.claims.key_id, verified.key):
            with suppress(KeyError):  # it may have expired since the line above
                del self._tokens[digest]
            return None
        return verified

    def remember(self, digest: bytes, verified: VerifiedToken) -> None:
        self._tokens[digest] = verified


class RefusedTokenCache:
    """Why a token was refused, for a minute and while the key set stays as it is.

    It keeps LASTING_REASONS only and silently forgets every other.
    """

    def __init__(self, *, clock: Clock, max_tokens: int = MAX_TOKENS) -> None:
        self._reasons: TTLCache[bytes, tuple[Reason, int], float] = TTLCache(
            max_tokens, ttl=REFUSAL_SECONDS, timer=clock.monotonic
        )

    def __len__(self) -> int:
        return len(self._reasons)

    def find(self, digest: bytes, *, generation: int) -> Reason | None:
        try:
            reason, refused_in = self._reasons[digest]
        except KeyError:
            return None
        # A key may be replaced under its `kid`: what it refused deserves a new look.
        return reason if refused_in == generation else None

    def remember(self, digest: bytes, reason: Reason, *, generation: int) -> None:
        if reason in LASTING_REASONS:
            self._reasons[digest] = (reason, generation)
