"""Remembers which tokens were proven and which were refused, so that each costs one signature check.

It remembers no decision: issuer, audience, time, roster and policy are judged on every request.
It holds hashes of tokens, never tokens: SHA-256 is 0.9 µs of a hit's 2.6, and a memory full of live
credentials is not worth them. Both memories are ordered dictionaries that drop the least recently used:
a look for a proven token costs 0.5 µs, where a `TLRUCache` with a clock of its own took 1.2, and to
remember a refusal 0.9, where a `TTLCache` took 3.5. What is out of date stays until it is asked for or
pushed out, so both may be full of it, and never more than full.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

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
        self._clock = clock
        self._leeway_seconds = leeway_seconds
        self._max_tokens = max_tokens
        self._tokens: OrderedDict[bytes, VerifiedToken] = OrderedDict()  # the least recently used first

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, digest: bytes, now: float) -> VerifiedToken | None:
        """What was remembered, unless its time or its key has gone; `now` is the wall clock's."""
        verified = self._tokens.get(digest)
        if verified is None:
            return None
        claims = verified.claims
        if claims.expires_at + self._leeway_seconds <= now or not self._keys.has(claims.key_id, verified.key):
            del self._tokens[digest]
            return None
        self._tokens.move_to_end(digest)
        return verified

    def remember(self, digest: bytes, verified: VerifiedToken) -> None:
        if verified.claims.expires_at + self._leeway_seconds <= self._clock.now().timestamp():
            return
        self._tokens[digest] = verified
        self._tokens.move_to_end(digest)
        if len(self._tokens) > self._max_tokens:
            self._tokens.popitem(last=False)


class _Refused(NamedTuple):
    """Why a token was refused, with which keys, and until when that is remembered."""

    reason: Reason
    generation: int
    until: float


class RefusedTokenCache:
    """Why a token was refused, for a minute and while the key set stays as it is.

    It keeps LASTING_REASONS only and silently forgets every other.
    """

    def __init__(self, *, clock: Clock, max_tokens: int = MAX_TOKENS) -> None:
        self._clock = clock
        self._max_tokens = max_tokens
        self._refused: OrderedDict[bytes, _Refused] = OrderedDict()  # the least recently used first

    def __len__(self) -> int:
        return len(self._refused)

    def find(self, digest: bytes, *, generation: int) -> Reason | None:
        refused = self._refused.get(digest)
        if refused is None:
            return None
        # A key may be replaced under its `kid`: what it refused deserves a new look.
        if refused.generation != generation or refused.until <= self._clock.monotonic():
            del self._refused[digest]
            return None
        self._refused.move_to_end(digest)
        return refused.reason

    def remember(self, digest: bytes, reason: Reason, *, generation: int) -> None:
        if reason not in LASTING_REASONS:
            return
        self._refused[digest] = _Refused(reason, generation, self._clock.monotonic() + REFUSAL_SECONDS)
        self._refused.move_to_end(digest)
        if len(self._refused) > self._max_tokens:
            self._refused.popitem(last=False)
