"""What billing writes into the audit log (http-api 3.3; R-032); consume and reserve write nothing."""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility


def _credits(name: str, action: str) -> EventType:
    return EventType(
        name=f"billing.credits.{name}",
        action=action,
        severity=Severity.NOTICE,
        visibility=Visibility.DUAL,
        resource_type="billing",
    )


def _pack(name: str, action: str) -> EventType:
    return EventType(
        name=f"billing.pack.{name}",
        action=action,
        severity=Severity.NOTICE,
        visibility=Visibility.GLOBAL,
        resource_type="credit_pack",
    )


CREDITS_GRANTED: Final = _credits("granted", "grant_replies")
"""An operator granted replies to a tenant (R-023); a large grant is a WARNING."""
CREDITS_VOIDED: Final = _credits("voided", "void_grant")
CREDITS_EXPIRY_CHANGED: Final = _credits("expiry_changed", "change_expiry")

PACK_CREATED: Final = _pack("created", "create_pack")
PACK_UPDATED: Final = _pack("updated", "update_pack")
PACK_ACTIVATED: Final = _pack("activated", "activate_pack")
PACK_DEACTIVATED: Final = _pack("deactivated", "deactivate_pack")
PACK_DELETED: Final = _pack("deleted", "delete_pack")
PACKS_REORDERED: Final = _pack("reordered", "reorder_packs")

CREDITS_EXPIRED: Final = EventType(
    name="billing.credits.expired",
    action="expire_credits",
    severity=Severity.INFO,
    visibility=Visibility.TENANT,
    resource_type="billing",
)
"""A grant ended with something left."""

PROJECTION_MISMATCH: Final = EventType(
    name="billing.projection.mismatch",
    action="verify_ledger",
    severity=Severity.CRITICAL,
    visibility=Visibility.GLOBAL,
    resource_type="billing",
)
"""A tenant's totals are not what its ledger says."""

BILLING_EVENTS: Final = (
    CREDITS_GRANTED,
    CREDITS_VOIDED,
    CREDITS_EXPIRY_CHANGED,
    CREDITS_EXPIRED,
    PROJECTION_MISMATCH,
    PACK_CREATED,
    PACK_UPDATED,
    PACK_ACTIVATED,
    PACK_DEACTIVATED,
    PACK_DELETED,
    PACKS_REORDERED,
)
