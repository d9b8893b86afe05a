"""Refusals of the tenant endpoints.

    ProblemError
    ├── NotFoundError
    │   └── TenantNotFoundError   404 TENANT_NOT_FOUND
    ├── UnprocessableError
    │   └── SlugInvalidError      422 SLUG_INVALID
    └── ConflictError
        └── SlugConflictError     409 SLUG_RESERVED, SLUG_TOMBSTONED, SLUG_TAKEN

Each slug refusal says which rule was broken and names slugs that are free (data-model 2.7).
"""

from collections.abc import Sequence

from service_kit.errors import ConflictError, FieldProblem, NotFoundError, UnprocessableError
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
