"""Step 3, authenticate: the token's signature, issuer, audience and time hold, or the request ends.

The header decides; a cookie is read only where configuration says so (C-05). It decides nothing
about people.
"""

from collections.abc import Mapping
from typing import Protocol

from auth_proxy.access.claims import AccessClaims
from auth_proxy.pipeline.exchange import Screened, VerifiedClaims
from auth_proxy.refusals import Reason, Refusal
from service_kit.clock import Clock
from service_kit.email_address import normalise_email


class TokenVerifier(Protocol):
    """Proves a token for a set of audiences."""

    async def verify(self, token: str, *, audiences: frozenset[str]) -> AccessClaims:
        """Raises Refusal."""
        ...


class Authenticator:
    """Proves the Access token of each request."""

    def __init__(self, verifier: TokenVerifier, audiences: Mapping[str, frozenset[str]]) -> None:
        self._verifier = verifier
        self._audiences = audiences

    async def authenticate(self, screened: Screened) -> VerifiedClaims:
        """Raises Refusal. The audience is the one of the host that was asked, never one that was sent."""
        if screened.token is None:
            raise Refusal(Reason.TOKEN_MISSING)
        audiences = self._audiences[screened.inbound.host]
        return VerifiedClaims(screened, await self._verifier.verify(screened.token, audiences=audiences))


class InsecureDevAuthenticator:
    """Lets one configured address in without a token (R-049); settings open it only in development.

    It ignores whatever the client sends, so that nothing a client sends can choose the identity.
    """

    def __init__(self, email: str, clock: Clock) -> None:
        self._email = normalise_email(email)
        self._clock = clock

    async def authenticate(self, screened: Screened) -> VerifiedClaims:
        now = int(self._clock.now().timestamp())
        claims = AccessClaims(
            issuer="local-dev",
            audiences=(),
            subject=f"local-dev-{self._email}",
            email=self._email,
            token_type="app",  # noqa: S106 - a claim's value, not a password
            common_name=None,
            issued_at=now,
            expires_at=now + 300,
            not_before=None,
            country=None,
            identity_nonce=None,
            key_id="local-dev",
        )
        return VerifiedClaims(screened, claims)
