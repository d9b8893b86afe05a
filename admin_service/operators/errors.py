"""Refusals about operators.

ProblemError
├── BadRequestError
│   └── ConfirmationMismatchError      what was typed is not the operator's address (G-09)
├── ForbiddenError
│   ├── EnrollmentRequiredError        no enrolled row for this person (R-063)
│   ├── AccountDeactivatedError        (R-064)
│   └── SuperAdminGrantForbiddenError  only a super_admin makes one (R-076)
├── NotFoundError
│   └── OperatorNotFoundError
├── ConflictError
│   ├── OperatorExistsError
│   ├── SelfDeactivationError          (R-078)
│   ├── SelfRoleChangeError
│   ├── LastSuperAdminError            (R-079)
│   ├── AlreadyEnrolledError           a new token without rebinding (G-09)
│   ├── OperatorDeactivatedError       only reactivation helps
│   └── OperatorNotDeactivatedError
└── PreconditionFailedError
    └── VersionConflictError           the row is not what the caller saw; carries what it is now
AlreadySeededError                     the seeding command, not a request (R-077)
SuperAdminsLeftError                   the break-glass command: somebody may do it in the panel

Each is one class: callers match on the type, never on the text.
"""

from admin_service.operators.models import Operator
from service_kit.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
)


class ConfirmationMismatchError(BadRequestError):
    def __init__(self) -> None:
        super().__init__("CONFIRMATION_MISMATCH", "Type the operator's e-mail address to confirm")


class EnrollmentRequiredError(ForbiddenError):
    def __init__(self) -> None:
        super().__init__("ENROLLMENT_REQUIRED", "Not authorized")


class AccountDeactivatedError(ForbiddenError):
    def __init__(self) -> None:
        super().__init__("ACCOUNT_DEACTIVATED", "Account deactivated")


class SuperAdminGrantForbiddenError(ForbiddenError):
    def __init__(self) -> None:
        super().__init__("SUPER_ADMIN_GRANT_FORBIDDEN", "Only a super_admin can grant super_admin")


class OperatorNotFoundError(NotFoundError):
    def __init__(self) -> None:
        super().__init__("OPERATOR_NOT_FOUND", "There is no such operator")


class OperatorExistsError(ConflictError):
    def __init__(self) -> None:
        super().__init__("OPERATOR_EXISTS", "An operator with this address exists already")


class SelfDeactivationError(ConflictError):
    def __init__(self) -> None:
        super().__init__("SELF_DEACTIVATION_FORBIDDEN", "You cannot deactivate yourself")


class SelfRoleChangeError(ConflictError):
    def __init__(self) -> None:
        super().__init__("SELF_ROLE_CHANGE_FORBIDDEN", "You cannot change your own role")


class LastSuperAdminError(ConflictError):
    def __init__(self) -> None:
        super().__init__("LAST_SUPER_ADMIN", "The last active super_admin cannot be removed")


class AlreadyEnrolledError(ConflictError):
    def __init__(self) -> None:
        super().__init__("ALREADY_ENROLLED", "This operator is enrolled; rebind to enroll them anew")


class OperatorDeactivatedError(ConflictError):
    def __init__(self) -> None:
        super().__init__("OPERATOR_DEACTIVATED", "This operator is deactivated; reactivate them first")


class OperatorNotDeactivatedError(ConflictError):
    def __init__(self) -> None:
        super().__init__("OPERATOR_NOT_DEACTIVATED", "This operator is not deactivated")


class VersionConflictError(PreconditionFailedError):
    """`current` is the row as it is; the endpoint shows it (http-api 3.0)."""

    def __init__(self, current: Operator) -> None:
        super().__init__("VERSION_CONFLICT", "Somebody changed this operator meanwhile")
        self.current = current


class AlreadySeededError(Exception):
    """There is an operator already: the first one comes from seeding, every other one from an operator."""


class SuperAdminsLeftError(Exception):
    """There are active super_admins, and nobody said that they are locked out."""

    def __init__(self, active: int) -> None:
        super().__init__(f"{active} active")
        self.active = active
