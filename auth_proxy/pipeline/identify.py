"""Step 4, identify: a person, not a machine, whom no header contradicts.

This is the only place that reads Cf-Access-Authenticated-User-Email, and only to compare it: equal
it is dropped, different it refuses (R-170, R-171).
"""

from auth_proxy.access.claims import require_person
from auth_proxy.pipeline.exchange import Person, VerifiedClaims
from auth_proxy.refusals import Reason, Refusal
from service_kit.email_address import normalise_email


def identify(verified: VerifiedClaims, *, accepted_types: frozenset[str]) -> Person:
    """Raises Refusal for a service token, a wrong type, a missing claim or a contradiction."""
    identity = require_person(verified.claims, accepted_types=accepted_types)
    claimed = verified.screened.claimed_email
    if claimed is not None and _normal(claimed) != identity.email:
        raise Refusal(Reason.EMAIL_HEADER_CONTRADICTS).of(identity.sub, identity.email)
    return Person(verified.screened, identity.sub, identity.email, identity.expires_at)


def _normal(value: str) -> str | None:
    try:
        return normalise_email(value)
    except ValueError:
        return None
