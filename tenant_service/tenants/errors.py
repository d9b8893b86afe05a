"""Refusals of the tenant endpoints.

    ProblemError
    ├── BadRequestError
    │   └── ConfirmationMismatchError  400 CONFIRMATION_MISMATCH
    ├── ForbiddenError
    │   └── MayNotUndeleteError        403 PERMISSION_DENIED
    ├── NotFoundError
    │   └── TenantNotFoundError        404 TENANT_NOT_FOUND
    ├── UnprocessableError
    │   └── SlugInvalidError           422 SLUG_INVALID
    ├── ConflictError
    │   ├── SlugConflictError          409 SLUG_RESERVED, SLUG_TOMBSTONED, SLUG_TAKEN
    │   ├── TenantDeletedError         409 TENANT_DELETED
    │   ├── TenantPurgedError          409 PURGED
    │   └── TenantSuspendedError       409 TENANT_SUSPENDED
    └── PreconditionFailedError
        └── TenantChangedError         412 VERSION_CONFLICT

Each slug refusal says which rule was broken and names slugs that are free (data-model 2.7).
"""

from collections.abc import Mapping, Sequence

from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    UnprocessableError,
)
from service_kit.identity.model import Permission, roles_with
from tenant_service.tenants.slugs import SlugRule

_MESSAGES = {
    SlugRule.LENGTH: "A slug has 3 to 63 characters",
    SlugRule.CHARACTERS: "A slug has only lower-case letters, digits and hyphens",
    SlugRule.FIRST_CHARACTER: "A slug begins with a letter",
    SlugRule.LAST_CHARACTER: "A slug ends with a letter or a digit",
    SlugRule.DOUBLE_HYPHEN: "A slug has no two hyphens in a row",
    SlugRule.RESERVED: "This slug is reserved for the platform",
    SlugRule.TOMBSTONED: "This slug belonged to a deleted tenant",
    SlugRule.TAKEN: "This slug is in use",
}
_CODES = {
    SlugRule.RESERVED: "SLUG_RESERVED",
    SlugRule.TOMBSTONED: "SLUG_TOMBSTONED",
    SlugRule.TAKEN: "SLUG_TAKEN",
}


class TenantNotFoundError(NotFoundError):
    """One answer for an id that never was and for one that is out of reach."""

    def __init__(self) -> None:
        super().__init__("TENANT_NOT_FOUND", "No such tenant")


class ConfirmationMismatchError(BadRequestError):
    """What was typed is not the tenant's slug."""

    def __init__(self) -> None:
        super().__init__("CONFIRMATION_MISMATCH", "Type the tenant's slug to confirm")


class MayNotUndeleteError(ForbiddenError):
    """Restoring a deleted tenant asks for the right to delete one (G-11)."""

    def __init__(self) -> None:
        needed = Permission.TENANT_DELETE
        roles = [role.value for role in roles_with(needed)]
        extra = {"permission": needed.value, "roles": roles}
        super().__init__("PERMISSION_DENIED", "Permission denied", extra=extra)


class TenantDeletedError(ConflictError):
    def __init__(self) -> None:
        super().__init__("TENANT_DELETED", "This tenant is deleted")


class TenantPurgedError(ConflictError):
    """The time of grace is over: there is nothing to come back."""

    def __init__(self) -> None:
        super().__init__("PURGED", "This tenant was deleted too long ago to be restored")


class TenantSuspendedError(ConflictError):
    def __init__(self) -> None:
        super().__init__("TENANT_SUSPENDED", "This tenant is suspended")


class TenantChangedError(PreconditionFailedError):
    """The row is not what the caller saw; the endpoint shows what it is now (http-api 3.0)."""

    def __init__(
        self, *, current: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            "VERSION_CONFLICT",
            "Somebody changed this tenant meanwhile",
            headers=headers,
            extra={"current": current} if current is not None else None,
        )


class SlugInvalidError(UnprocessableError):
    """The text is no slug."""


class SlugConflictError(ConflictError):
    """The slug is well formed, but not to be had."""


def slug_refusal(rule: SlugRule, suggestions: Sequence[str]) -> SlugInvalidError | SlugConflictError:
    """The refusal of a slug, with its code, the rule it broke and free alternatives."""
    kind = SlugConflictError if rule in _CODES else SlugInvalidError
    code, message = _CODES.get(rule, "SLUG_INVALID"), _MESSAGES[rule]
    return kind(
        code,
        message,
        fields=(FieldProblem("/slug", code, message),),
        extra={"rule": rule.value, "suggestions": list(suggestions)},
    )
