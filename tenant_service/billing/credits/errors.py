"""Refusals of the credit endpoints.

ProblemError
├── NotFoundError        404 TENANT_NOT_FOUND, GRANT_NOT_FOUND, RESERVATION_NOT_FOUND, TXN_NOT_FOUND
├── ConflictError        409 INSUFFICIENT_CREDITS, TENANT_SUSPENDED, TENANT_DELETED, GRANT_ALREADY_VOIDED,
│                            GRANT_EXHAUSTED, GRANT_EXPIRED, RESERVATION_NOT_HELD, RESERVATION_EXPIRED,
│                            TXN_NOT_RESTORABLE, TXN_ALREADY_RESTORED
├── ForbiddenError       403 GRANT_ABOVE_SUPPORT_MAX (it names who may)
├── UnprocessableError   422 IDEMPOTENCY_KEY_REUSED, VALIDATION_FAILED
├── BadRequestError      400 IDEMPOTENCY_KEY_REQUIRED
└── RateLimitedError     429 GRANT_DAILY_CAP
"""

from datetime import datetime

from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnprocessableError,
)
from service_kit.identity.model import Role


class AlreadyBookedError(Exception):
    """The key is taken: whoever meets this looks up what it was taken for."""


def tenant_not_found() -> NotFoundError:
    return NotFoundError("TENANT_NOT_FOUND", "No such tenant")


def grant_not_found() -> NotFoundError:
    return NotFoundError("GRANT_NOT_FOUND", "No such grant")


def reservation_not_found() -> NotFoundError:
    return NotFoundError("RESERVATION_NOT_FOUND", "No such reservation")


def txn_not_found() -> NotFoundError:
    return NotFoundError("TXN_NOT_FOUND", "No such transaction")


def insufficient(amount: int, available: int) -> ConflictError:
    extra = {"required": amount, "available": available}
    return ConflictError("INSUFFICIENT_CREDITS", "Not enough credits", extra=extra)


def tenant_suspended() -> ConflictError:
    return ConflictError("TENANT_SUSPENDED", "The tenant is suspended")


def tenant_deleted() -> ConflictError:
    return ConflictError("TENANT_DELETED", "The tenant is deleted")


def already_voided() -> ConflictError:
    return ConflictError("GRANT_ALREADY_VOIDED", "The grant was voided before")


def exhausted() -> ConflictError:
    return ConflictError("GRANT_EXHAUSTED", "Nothing of the grant is left")


def grant_expired() -> ConflictError:
    return ConflictError("GRANT_EXPIRED", "The grant has expired; give a new one instead")


def not_held(state: str) -> ConflictError:
    return ConflictError(
        "RESERVATION_NOT_HELD", "The reservation is not held any more", extra={"state": state}
    )


def reservation_expired(at: datetime) -> ConflictError:
    extra = {"expiredAt": at.isoformat()}
    return ConflictError("RESERVATION_EXPIRED", "The reservation was not committed in time", extra=extra)


def not_restorable(kind: str) -> ConflictError:
    return ConflictError("TXN_NOT_RESTORABLE", "Only what was consumed can be restored", extra={"kind": kind})


def already_restored(txn_id: str) -> ConflictError:
    extra = {"restoredBy": txn_id}
    return ConflictError("TXN_ALREADY_RESTORED", "The transaction was restored before", extra=extra)


def key_required() -> BadRequestError:
    return BadRequestError("IDEMPOTENCY_KEY_REQUIRED", "Send an Idempotency-Key")


def key_reused() -> UnprocessableError:
    return UnprocessableError("IDEMPOTENCY_KEY_REUSED", "This key was used for another request")


def wrong_field(name: str, code: str, message: str) -> UnprocessableError:
    field = FieldProblem(f"/{name}", code, message)
    return UnprocessableError("VALIDATION_FAILED", "A field is wrong", fields=(field,))


def above_support_max(maximum: int) -> ForbiddenError:
    """The permission is there, the amount is not: the answer names who may (matrix of http-api 3.0)."""
    return ForbiddenError(
        "GRANT_ABOVE_SUPPORT_MAX",
        f"Your role may grant up to {maximum} replies at a time",
        extra={"maximum": maximum, "roles": [Role.SUPER_ADMIN.value]},
    )


def daily_cap(maximum: int, granted: int, seconds: int) -> RateLimitedError:
    return RateLimitedError(
        "GRANT_DAILY_CAP",
        f"One operator may grant up to {maximum} replies a day",
        headers={"Retry-After": str(seconds)},
        extra={"maximum": maximum, "grantedToday": granted},
    )
