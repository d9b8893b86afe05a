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

    def verify_at_once(self, token: str, *, audiences: frozenset[str]) -> AccessClaims | None:
        """What `verify` gives where its key is held; None otherwise. Raises Refusal."""
        ...


class Authenticator:
    """Proves the Access token of each request."""

    def __init__(self, verifier: TokenVerifier, audiences: Mapping[str, frozenset[str]]) -> None:
        self._verifier = verifier
        self._audiences = audiences

    async def authenticate(self, screened: Screened) -> VerifiedClaims:
        """Raises Refusal. The audience is the one of the host that was asked, never one that was sent."""
        token, audiences = self._asked(screened)
        return VerifiedClaims(screened, await self._verifier.verify(token, audiences=audiences))

    def authenticate_at_once(self, screened: Screened) -> VerifiedClaims | None:
        """What `authenticate` gives where the key is held; None where it would be waited for.

        Raises Refusal, which is the answer: a second question would count as a second refused token.
        """
        token, audiences = self._asked(screened)
        claims = self._verifier.verify_at_once(token, audiences=audiences)
        return None if claims is None else VerifiedClaims(screened, claims)

    def _asked(self, screened: Screened) -> tuple[str, frozenset[str]]:
        if screened.token is None:
            raise Refusal(Reason.TOKEN_MISSING)
        return screened.token, self._audiences[screened.inbound.host]


class InsecureDevAuthenticator:
    """Lets one configured address in without a token (R-049); settings open it only in development.

    It ignores whatever the client sends, so that nothing a client sends can choose the identity.
    """

    def __init__(self, email: str, clock: Clock) -> None:
        self._email = normalise_email(email)
        self._clock = clock

    async def authenticate(self, screened: Screened) -> VerifiedClaims:
        return self.authenticate_at_once(screened)

    def authenticate_at_once(self, screened: Screened) -> VerifiedClaims:
        """The configured person, at once: there is no token to prove."""
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
