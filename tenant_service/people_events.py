"""What the tenants' own plane records: what their people did (http-api 3.3)."""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility

INVITATION_ACCEPTED: Final = EventType(
    "org.invitation.accepted", "accept_invitation", Severity.NOTICE, Visibility.TENANT, "invitation"
)
INVITATION_PARTIAL_FAILURE: Final = EventType(
    "org.invitation.partial_failure", "accept_invitation", Severity.WARNING, Visibility.DUAL, "invitation"
)
"""A user was made, and then their membership could not be: the same link works again (R-112)."""

MEMBER_JOINED: Final = EventType(
    "org.member.joined", "accept_invitation", Severity.INFO, Visibility.TENANT, "member"
)
MEMBER_INVITED: Final = EventType(
    "org.member.invited", "invite_member", Severity.INFO, Visibility.TENANT, "invitation"
)
INVITATION_WITHDRAWN: Final = EventType(
    "org.member.invitation_canceled", "cancel_invitation", Severity.INFO, Visibility.TENANT, "invitation"
)
MEMBER_ROLE_CHANGED: Final = EventType(
    "org.member.role_changed", "change_member_role", Severity.INFO, Visibility.TENANT, "member"
)
MEMBER_REMOVED: Final = EventType(
    "org.member.removed", "remove_member", Severity.INFO, Visibility.TENANT, "member"
)
PASSWORD_CHANGED: Final = EventType(
    "org.member.password_changed", "change_password", Severity.INFO, Visibility.TENANT, "user"
)
SIGNED_IN: Final = EventType("org.session.signed_in", "sign_in", Severity.INFO, Visibility.TENANT, "session")
SIGN_IN_FAILED: Final = EventType(
    "org.session.failed", "sign_in", Severity.INFO, Visibility.TENANT, "session"
)
SIGNED_OUT: Final = EventType(
    "org.session.signed_out", "sign_out", Severity.INFO, Visibility.TENANT, "session"
)

PEOPLE_EVENTS: Final = (
    INVITATION_ACCEPTED,
    INVITATION_PARTIAL_FAILURE,
    MEMBER_JOINED,
    MEMBER_INVITED,
    INVITATION_WITHDRAWN,
    MEMBER_ROLE_CHANGED,
    MEMBER_REMOVED,
    PASSWORD_CHANGED,
    SIGNED_IN,
    SIGN_IN_FAILED,
    SIGNED_OUT,
)
