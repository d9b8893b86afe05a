"""The refusals of the support search."""

from collections.abc import Iterable

from service_kit.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
)
from service_kit.identity.model import Permission, Role
from tenant_service.support.models import BUDGET, LEAST_CHARACTERS, Budget


class BudgetSpentError(RateLimitedError):
    """The 61st search within an hour (R-123)."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(
            "RATE_LIMITED",
            f"{BUDGET.most} searches an hour; the next one is free in {budget.seconds} seconds",
            headers={"Retry-After": str(max(budget.seconds, 1)), **limit_headers(budget)},
            extra={
                "rateLimit": {
                    "limit": budget.limit,
                    "remaining": 0,
                    "resetAt": budget.resets_at.isoformat().replace("+00:00", "Z"),
                }
            },
        )


def limit_headers(budget: Budget) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""
    window = int(BUDGET.window.total_seconds())
    return {
        "RateLimit-Policy": f'"support_query";q={budget.limit};w={window}',
        "RateLimit": f'"support_query";r={budget.remaining};t={budget.seconds}',
    }


def query_too_broad() -> BadRequestError:
    return BadRequestError(
        "QUERY_TOO_BROAD", f"Give an email, or at least {LEAST_CHARACTERS} characters of an email or name"
    )


def invalid_cursor() -> BadRequestError:
    return BadRequestError("INVALID_CURSOR", "The cursor does not belong to this search")


def role_may_not_search(roles: Iterable[Role]) -> ForbiddenError:
    """C-11: the permission is held, but this installation narrowed who may search."""
    permission = Permission.VIEW_AUDIT_LOGS_GLOBAL.value
    return ForbiddenError(
        "PERMISSION_DENIED",
        "Permission denied",
        extra={"permission": permission, "roles": [role.value for role in Role if role in set(roles)]},
    )


def no_such_search() -> NotFoundError:
    return NotFoundError("AUDIT_EVENT_NOT_FOUND", "No such audit event")


def other_form_of_digest() -> ConflictError:
    return ConflictError(
        "PREDICATE_NOT_CHECKABLE", "This search was recorded in a form that this version does not know"
    )
