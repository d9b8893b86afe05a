"""What events are called on a tenant's own pages."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tenant.created": "The account was created",
        "tenant.updated": "The account's details were changed",
        "tenant.suspended": "The account was suspended",
        "tenant.restored": "The account was restored",
        "tenant.deleted": "The account was deleted",
        "tenant.undeleted": "The account came back",
        "tenant.invitation.created": "Somebody was invited",
        "tenant.invitation.resent": "An invitation was sent again",
        "tenant.invitation.canceled": "An invitation was taken back",
        "tenant.feature_flag.changed": "A feature was switched",
        "tenant.sessions.revoked": "Sessions were ended",
        "tenant.connected_account.removed": "A connected account was removed",
        "billing.credits.granted": "Credit was granted",
        "billing.credits.voided": "Credit was taken back",
        "billing.credits.expiry_changed": "The expiry of credit was changed",
        "billing.credits.expired": "Credit expired",
        "org.invitation.accepted": "An invitation was accepted",
        "org.invitation.expired": "An invitation expired",
        "org.invitation.partial_failure": "An invitation could not be finished",
        "org.member.joined": "A member joined",
        "org.member.invited": "Somebody was invited",
        "org.member.invitation_canceled": "An invitation was taken back",
        "org.member.role_changed": "A member's role was changed",
        "org.member.removed": "A member was removed",
        "org.member.password_changed": "A password was changed",
        "org.session.signed_in": "Somebody signed in",
        "org.session.failed": "A sign-in failed",
        "org.session.signed_out": "Somebody signed out",
        "org.support_access": "Support looked at people of this account",
    }
)


def event_words(event: str) -> str:
    """A sentence; the event's own name where there is none."""
    return _WORDS.get(event, event)
