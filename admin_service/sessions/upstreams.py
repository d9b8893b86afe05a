"""Who may ask whether a token is a session: the API of an upstream, with what the sidecar sent it (ADR 0019).

Everywhere else an identity for another audience stays what it is, a foreign one. What an upstream shows
is no leave to act for the operator: it says whose session may be asked about, and nothing more.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from service_kit.clock import Clock
from service_kit.identity.model import InternalIdentity
from service_kit.identity.replay import ReplayGuard
from service_kit.identity.verifying import (
    IdentityReason,
    IdentityRejectedError,
    IdentityVerifier,
    PublicKeys,
    VerifierPolicy,
)

SESSION_CHECK: Final = "/api/access-sso/session"


class SessionCheckVerifier(IdentityVerifier):
    """The service's own verifier, which at one endpoint also takes the identities of named upstreams."""

    def __init__(
        self,
        policy: VerifierPolicy,
        keys: PublicKeys,
        replay: ReplayGuard,
        clock: Clock,
        *,
        upstreams: Sequence[str] = (),
    ) -> None:
        super().__init__(policy, keys, replay, clock)
        self._upstreams = tuple(
            IdentityVerifier(replace(policy, audience=audience), keys, replay, clock)
            for audience in upstreams
        )

    async def verify(self, token: str, *, method: str, target: str) -> InternalIdentity:
        """As the service's own; and at the session check, an upstream's. Raises IdentityRejectedError."""
        if (method, target) == ("GET", SESSION_CHECK):
            for upstream in self._upstreams:
                shown = await _shown(upstream, token)
                if shown is not None:
                    return shown
        return await super().verify(token, method=method, target=target)


async def _shown(upstream: IdentityVerifier, token: str) -> InternalIdentity | None:
    """The person, if the token is for this upstream.

    Operator and role are left out: whether there still is one is what the endpoint answers, from the
    row, with the same 401 for every reason.
    """
    try:
        identity = await upstream.verify_shown(token)
    except IdentityRejectedError as error:
        if error.reason is IdentityReason.AUDIENCE:
            return None
        raise
    return replace(identity, operator_id=None, role=None, roster_version=None)
