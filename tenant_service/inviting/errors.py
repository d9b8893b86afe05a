"""Refusals of the invitation endpoints.

ProblemError
├── NotFoundError
│   └── InvitationNotFoundError    404 INVITATION_NOT_FOUND
└── ConflictError
    ├── AlreadyMemberError         409 ALREADY_MEMBER
    └── InvitationNotPendingError  409 INVITATION_NOT_PENDING
"""

from service_kit.errors import ConflictError, NotFoundError


class InvitationNotFoundError(NotFoundError):
    """One answer for an id that never was and for one of another tenant."""

    def __init__(self) -> None:
        super().__init__("INVITATION_NOT_FOUND", "No such invitation")


class AlreadyMemberError(ConflictError):
    def __init__(self) -> None:
        super().__init__("ALREADY_MEMBER", "This person is a member already")


class InvitationNotPendingError(ConflictError):
    """It was accepted, canceled or has expired: invite anew."""

    def __init__(self) -> None:
        super().__init__("INVITATION_NOT_PENDING", "This invitation is not open any more")
