"""Proves that a token was issued by this team, for this application, for this moment.

It returns nothing unverified, chooses no key or algorithm by what a token says, and does not ask
whether the subject is a person: that is `claims.require_person`.

One reading of the clock serves every judgement of a call, in the memory too: a token that is remembered
costs 2.6 µs (0.9 of them SHA-256, 0.4 the clock), where it took 3.6, and 0.3 more for who awaits. A new
one costs 56 µs, forged or not; see `signature`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auth_proxy.access.claims import AccessClaims, parse_claims
from auth_proxy.access.compact_jws import UnverifiedJws, parse_compact
from auth_proxy.access.key_set import KeySet
from auth_proxy.access.signature import require_signature
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


class _Unproven(NamedTuple):
    """A token that is right in everything but its signature, which nobody has checked."""

    digest: bytes
    generation: int
    """Of the key set when it was read."""
    unverified: UnverifiedJws
    unverified_claims: AccessClaims


class AccessVerifier:
    """Verifies Access tokens (R-012…R-014, R-043…R-047); one signature check per token and key.

    `checked` is told of each check whether the signature held; of a token that is remembered, nothing.
    """

    def __init__(
        self,
        policy: VerifierPolicy,
        keys: KeySet,
        clock: Clock,
        *,
        verified: VerifiedTokenCache | None = None,
        refused: RefusedTokenCache | None = None,
        checked: Callable[[bool], None] = lambda _holds: None,
    ) -> None:
        self._checked = checked
        self._policy = policy
        self._keys = keys
        self._clock = clock
        # An empty cache is falsy: `or` would throw the given one away.
        if verified is None:
            verified = VerifiedTokenCache(keys, clock=clock, leeway_seconds=policy.leeway_seconds)
        self._verified = verified
        self._refused = RefusedTokenCache(clock=clock) if refused is None else refused

    @property
    def remembered(self) -> tuple[int, int]:
        """How many tokens are remembered as proven, and how many as refused."""
        return len(self._verified), len(self._refused)

    async def verify(self, token: str, *, audiences: frozenset[str]) -> AccessClaims:
        """The claims of a token that is valid now for one of the audiences.

        Raises Refusal, whose detail holds no token contents. No audience admits no token (R-173).
        """
        judged = self._judge_at_once(token, audiences)
        if isinstance(judged, AccessClaims):
            return judged
        claims = self._proven(judged, await self._keys.key(judged.unverified_claims.key_id))
        # Time has passed while the key was fetched.
        self._require_valid(claims, audiences, self._clock.now().timestamp())
        return claims

    def verify_at_once(self, token: str, *, audiences: frozenset[str]) -> AccessClaims | None:
        """What `verify` gives where its key is known; None where it would be waited for.

        Raises the Refusal of `verify`. Each refusal may count as a strike against the key set, so
        whoever got one here answers with it and does not ask `verify` again.
        """
        judged = self._judge_at_once(token, audiences)
        if isinstance(judged, AccessClaims):
            return judged
        key = self._keys.known(judged.unverified_claims.key_id)
        return None if key is None else self._proven(judged, key)

    def _judge_at_once(self, token: str, audiences: frozenset[str]) -> AccessClaims | _Unproven:
        digest = self._digest(token)
        now = self._clock.now().timestamp()
        remembered = self._verified.find(digest, now)
        if remembered is None:
            return self._read_once(token, digest, audiences, now)
        # Also on a hit: time has passed since, and another route has another audience.
        self._require_valid(remembered.claims, audiences, now)
        return remembered.claims

    def _digest(self, token: str) -> bytes:
        if not token:
            raise Refusal(Reason.TOKEN_MISSING)
        if len(token) > self._policy.max_token_bytes or not token.isascii():
            raise Refusal(Reason.TOKEN_MALFORMED, "too long or not ASCII")
        return token_digest(token)

    def _read_once(self, token: str, digest: bytes, audiences: frozenset[str], now: float) -> _Unproven:
        generation = self._keys.generation
        known = self._refused.find(digest, generation=generation)
        if known is not None:
            self._count(known)
            raise Refusal(known, "remembered")
        try:
            unverified = parse_compact(token)
            claims = parse_claims(unverified.unverified_payload, key_id=unverified.unverified_key_id)
            # A foreign or stale token must not cause a fetch, nor a signature check.
            self._require_valid(claims, audiences, now)
        except Refusal as refusal:
            self._refused.remember(digest, refusal.reason, generation=generation)
            raise
        return _Unproven(digest, generation, unverified, claims)

    def _proven(self, unproven: _Unproven, key: RSAPublicKey | None) -> AccessClaims:
        try:
            if key is None:
                raise Refusal(Reason.TOKEN_KEY_UNKNOWN)  # noqa: TRY301 - remembered like the other
            require_signature(unproven.unverified, key)
        except Refusal as refusal:
            self._checked(False)  # noqa: FBT003 - the callback's only argument
            self._count(refusal.reason)
            self._refused.remember(unproven.digest, refusal.reason, generation=unproven.generation)
            raise
        self._checked(True)  # noqa: FBT003 - the callback's only argument
        self._keys.signature_verified()
        self._verified.remember(unproven.digest, VerifiedToken(unproven.unverified_claims, key))
        return unproven.unverified_claims

    def _require_valid(self, claims: AccessClaims, audiences: frozenset[str], now: float) -> None:
        policy = self._policy
        if claims.issuer != policy.issuer:
            raise Refusal(Reason.TOKEN_ISSUER)
        if audiences.isdisjoint(claims.audiences):
            raise Refusal(Reason.TOKEN_AUDIENCE)
        leeway, issued, expires = policy.leeway_seconds, claims.issued_at, claims.expires_at
        if expires + leeway <= now:
            raise Refusal(Reason.TOKEN_EXPIRED)
        latest = now + leeway
        if issued > latest or (claims.not_before is not None and claims.not_before > latest):
            raise Refusal(Reason.TOKEN_NOT_YET_VALID)
        # A signature proves that Access signed it, not that Access meant it to live for ten years.
        if not 0 < expires - issued <= policy.max_lifetime_seconds + leeway:
            raise Refusal(Reason.TOKEN_LIFETIME)

    def _count(self, reason: Reason) -> None:
        if reason is Reason.TOKEN_SIGNATURE:
            self._keys.signature_refused()
