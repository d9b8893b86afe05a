"""The closed sets of billing: what a column can hold, for the tables and for the code that reads them."""

from enum import StrEnum


class Account(StrEnum):
    """Where credit can be. Whatever was issued is in exactly one of the others."""

    ISSUED = "issued"
    AVAILABLE = "available"
    RESERVED = "reserved"
    CONSUMED = "consumed"
    EXPIRED = "expired"
    VOIDED = "voided"


class Kind(StrEnum):
    """What happened: the kinds of a transaction."""

    GRANT = "grant"
    CONSUME = "consume"
    RESERVE = "reserve"
    COMMIT = "commit"
    RELEASE = "release"
    RESTORE = "restore"
    EXPIRE = "expire"
    VOID = "void"
    ADJUST = "adjust"


class Category(StrEnum):
    """Stripe's words, which operators know, and one for corrections."""

    PROMOTIONAL = "promotional"
    PAID = "paid"
    ADJUSTMENT = "adjustment"


class Source(StrEnum):
    OPERATOR_GRANT = "operator_grant"
    PACK_PURCHASE = "pack_purchase"
    CORRECTION = "correction"


class ReservationState(StrEnum):
    HELD = "held"
    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


class ActorKind(StrEnum):
    """Who moved credit: an operator, the product's runtime, or a job of ours."""

    OPERATOR = "operator"
    RUNTIME = "runtime"
    SYSTEM = "system"


class PurchaseStatus(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    REFUNDED = "refunded"
