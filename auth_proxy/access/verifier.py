"""Proves that a token was issued by this team, for this application, for this moment.

It returns nothing unverified, chooses no key or algorithm by what a token says, and does not ask
whether the subject is a person: that is `claims.require_person`.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from auth_proxy.access.claims import AccessClaims, parse_claims
from auth_proxy.access.compact_jws import ALGORITHM, parse_compact
from auth_proxy.access.key_set import KeySet
from auth_proxy.access.token_cache import (
    RefusedTokenCache,
    VerifiedToken,
    VerifiedTokenCache,
    token_digest,
)
from auth_proxy.refusals import Reason, Refusal
from service_kit.clock import Clock

_MAX_LEEWAY_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class VerifierPolicy:
    """Whose tokens are believed, and how far clocks may differ (C-07)."""

    issuer: str
    leeway_seconds: int = 60
    max_lifetime_seconds: int = 31 * 86_400  # Access sessions last a month at most
    max_token_bytes: int = 16_384

    def __post_init__(self) -> None:
        if not self.issuer or self.issuer.endswith("/"):
            raise ValueError("the issuer is the team domain without a trailing slash (R-043)")
        if not 0 <= self.leeway_seconds <= _MAX_LEEWAY_SECONDS:
            raise ValueError("the leeway is 0 to 120 seconds (C-07)")
        if self.max_lifetime_seconds <= 0 or self.max_token_bytes <= 0:
            raise ValueError("limits are positive")


class AccessVerifier:
    """Verifies Access tokens (R-012…R-014, R-043…R-047); one signature check per token and key."""

    def __init__(
        self,
        policy: VerifierPolicy,
        keys: KeySet,
        clock: Clock,
        *,
        verified: VerifiedTokenCache | None = None,
        refused: RefusedTokenCache | None = None,
    ) -> None:
        self._policy = policy
        self._keys = keys
        self._clock = clock
        # An empty cache is falsy: `or` would throw the given one away.
        if verified is None:
            verified = VerifiedTokenCache(keys, clock=clock, leeway_seconds=policy.leeway_seconds)
        self._verified = verified
        self._refused = RefusedTokenCache(clock=clock) if refused is None else refused
        self._jws = PyJWS(algorithms=[ALGORITHM])

    async def verify(self, token: str, *, audiences: frozenset[str]) -> AccessClaims:
        """The claims of a token that is valid now for one of the audiences.

        Raises Refusal, whose detail holds no token contents. No audience admits no token (R-173).
        """
        digest = self._digest(token)
        remembered = self._verified.find(digest)
        if remembered is None:
            claims = await self._prove_once(token, digest, audiences)
        else:
            claims = remembered.claims
        # Also on a hit: time has passed since, and another route has another audience.
        self._require_valid(claims, audiences)
        return claims

    def _digest(self, token: str) -> bytes:
        if not token:
            raise Refusal(Reason.TOKEN_MISSING)
        # One byte above 0x7f makes PyJWT raise UnicodeEncodeError, which is no error of its own.
        if len(token) > self._policy.max_token_bytes or not token.isascii():
            raise Refusal(Reason.TOKEN_MALFORMED, "too long or not ASCII")
        return token_digest(token)

    async def _prove_once(self, token: str, digest: bytes, audiences: frozenset[str]) -> AccessClaims:
        known = self._refused.find(digest, generation=self._keys.generation)
        if known is not None:
            self._count(known)
            raise Refusal(known, "remembered")
        generation = self._keys.generation
        try:
            verified = await self._prove(token, audiences)
        except Refusal as refusal:
            self._count(refusal.reason)
            self._refused.remember(digest, refusal.reason, generation=generation)
            raise
        self._keys.signature_verified()
        self._verified.remember(digest, verified)
        return verified.claims

    async def _prove(self, token: str, audiences: frozenset[str]) -> VerifiedToken:
        unverified = parse_compact(token)
        kid = unverified.unverified_key_id
        unverified_claims = parse_claims(unverified.unverified_payload, key_id=kid)
        # A foreign or stale token must not cause a fetch, nor a signature check.
        self._require_valid(unverified_claims, audiences)
        key = await self._keys.key(kid)
        if key is None:
            raise Refusal(Reason.TOKEN_KEY_UNKNOWN)
        self._require_signature(token, key, payload=unverified.unverified_payload)
        return VerifiedToken(unverified_claims, key)

    def _require_signature(self, token: str, key: RSAPublicKey, *, payload: bytes) -> None:
        try:
            proven = self._jws.decode_complete(token, key, algorithms=[ALGORITHM])
        except PyJWTError:
            raise Refusal(Reason.TOKEN_SIGNATURE) from None
        # What we read must be what was signed, whatever the next version of the library does.
        if proven["payload"] != payload:
            raise Refusal(Reason.TOKEN_MALFORMED, "two readings of one payload")

    def _require_valid(self, claims: AccessClaims, audiences: frozenset[str]) -> None:
        if claims.issuer != self._policy.issuer:
            raise Refusal(Reason.TOKEN_ISSUER)
        if audiences.isdisjoint(claims.audiences):
            raise Refusal(Reason.TOKEN_AUDIENCE)
        self._require_current(claims)

    def _require_current(self, claims: AccessClaims) -> None:
        now = self._clock.now().timestamp()
        leeway = self._policy.leeway_seconds
        if claims.expires_at + leeway <= now:
            raise Refusal(Reason.TOKEN_EXPIRED)
        if max(claims.issued_at, claims.not_before or 0) > now + leeway:
            raise Refusal(Reason.TOKEN_NOT_YET_VALID)
        # A signature proves that Access signed it, not that Access meant it to live for ten years.
        if not 0 < claims.expires_at - claims.issued_at <= self._policy.max_lifetime_seconds + leeway:
            raise Refusal(Reason.TOKEN_LIFETIME)

    def _count(self, reason: Reason) -> None:
        if reason is Reason.TOKEN_SIGNATURE:
            self._keys.signature_refused()
