"""Refusals of the tenants' own plane.

ProblemError
├── NotAuthenticatedError
│   ├── NotSignedInError           401 NOT_SIGNED_IN
│   ├── InvalidCredentialsError    401 INVALID_CREDENTIALS
│   └── WrongPasswordError         401 INVALID_CREDENTIALS, in the seed's bytes (R-108)
├── ForbiddenError
│   ├── TenantIsSuspendedError     403 TENANT_SUSPENDED
│   └── MayNotError                403 PERMISSION_DENIED
├── NotFoundError
│   ├── NoSuchInvitationError      404 INVITATION_NOT_FOUND
│   └── NoSuchMemberError          404 MEMBER_NOT_FOUND
├── ConflictError
│   ├── AcceptedAlreadyError       409 INVITATION_ALREADY_ACCEPTED
│   ├── AcceptSuspendedError       409 TENANT_SUSPENDED
│   ├── LastOwnerError             409 LAST_OWNER
│   └── InvitationStandsError      409 INVITATION_PENDING, ALREADY_MEMBER
├── InvitationExpiredError         410 INVITATION_EXPIRED
├── PasswordTooWeakError           422 PASSWORD_TOO_WEAK
└── RateLimitedError               429 RATE_LIMITED
"""

from service_kit.errors import (
    ConflictError,
    FieldProblem,
    ForbiddenError,
    NotAuthenticatedError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    UnprocessableError,
)


class NotSignedInError(NotAuthenticatedError):
    def __init__(self) -> None:
        super().__init__("NOT_SIGNED_IN", "Sign in first")


class InvalidCredentialsError(NotAuthenticatedError):
    """One answer for an unknown address, a wrong password and a person of another tenant."""

    def __init__(self) -> None:
        super().__init__("INVALID_CREDENTIALS", "Invalid credentials")


class WrongPasswordError(NotAuthenticatedError):
    """Of an accept call: the address has an account, and this is not its password (R-108)."""

    def __init__(self) -> None:
        super().__init__("INVALID_CREDENTIALS", "Invalid credentials")


class TenantIsSuspendedError(ForbiddenError):
    def __init__(self) -> None:
        super().__init__("TENANT_SUSPENDED", "This account is suspended")


class MayNotError(ForbiddenError):
    """The member's role does not reach that far."""

    def __init__(self, needed: str) -> None:
        super().__init__("PERMISSION_DENIED", f"Only {needed} may do this", extra={"needed": needed})


class NoSuchInvitationError(NotFoundError):
    """One text for an id that never was, one of another tenant, and one that is used or canceled."""

    def __init__(self) -> None:
        super().__init__("INVITATION_NOT_FOUND", "This invitation does not exist, or was used already")


class NoSuchMemberError(NotFoundError):
    """One answer for an id that never was and for one of another tenant."""

    def __init__(self) -> None:
        super().__init__("MEMBER_NOT_FOUND", "No such member")


class AcceptedAlreadyError(ConflictError):
    def __init__(self) -> None:
        super().__init__("INVITATION_ALREADY_ACCEPTED", "This invitation was accepted already: sign in")


class AcceptSuspendedError(ConflictError):
    def __init__(self) -> None:
        super().__init__("TENANT_SUSPENDED", "This account is suspended: the invitation waits")


class LastOwnerError(ConflictError):
    def __init__(self) -> None:
        super().__init__("LAST_OWNER", "The last owner cannot be removed: make somebody else an owner first")


class InvitationStandsError(ConflictError):
    """Nobody is invited twice at once, nor into a place that they have."""

    @classmethod
    def member(cls) -> "InvitationStandsError":
        return cls("ALREADY_MEMBER", "This person is a member already")

    @classmethod
    def pending(cls) -> "InvitationStandsError":
        return cls("INVITATION_PENDING", "This person has an open invitation that only an owner may replace")


class InvitationExpiredError(ProblemError):
    status = 410

    def __init__(self) -> None:
        super().__init__("INVITATION_EXPIRED", "This invitation has expired: ask for a new one")


class PasswordTooWeakError(UnprocessableError):
    """Says which rule, never the password."""

    def __init__(self, rule: str, message: str, *, pointer: str = "/password") -> None:
        super().__init__("PASSWORD_TOO_WEAK", message, fields=(FieldProblem(pointer, rule, message),))


def too_many(seconds: float) -> RateLimitedError:
    """The refusal of a spent budget."""
    wait = max(1, round(seconds))
    return RateLimitedError(
        "RATE_LIMITED", "Too many attempts: wait a while", headers={"Retry-After": str(wait)}
    )
