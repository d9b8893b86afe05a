"""Refusals about operators.

ProblemError
├── ForbiddenError
│   ├── EnrollmentRequiredError      no enrolled row for this person (R-063)
│   ├── AccountDeactivatedError      (R-064)
│   └── SuperAdminGrantForbiddenError  only a super_admin makes one (R-076)
├── NotFoundError
│   └── OperatorNotFoundError
└── ConflictError
    ├── OperatorExistsError
    ├── SelfDeactivationError        (R-078)
    └── LastSuperAdminError          (R-079)
AlreadySeededError                   the seeding command, not a request (R-077)

Each is one class: callers match on the type, never on the text.
"""

from service_kit.errors import ConflictError, ForbiddenError, NotFoundError


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


class LastSuperAdminError(ConflictError):
    def __init__(self) -> None:
        super().__init__("LAST_SUPER_ADMIN", "The last active super_admin cannot be removed")


class AlreadySeededError(Exception):
    """There is an operator already: the first one comes from seeding, every other one from an operator."""
