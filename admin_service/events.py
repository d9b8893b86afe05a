"""The catalogue of what the admin service records: each event with its verb and severity (C-09).

All of them are the platform's own: no tenant reads them, and support and read_only neither (R-080).
"""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility


def _event(name: str, action: str, severity: Severity, resource_type: str) -> EventType:
    return EventType(name, action, severity, Visibility.GLOBAL, resource_type)


OPERATOR_CREATED: Final = _event("admin.operator.created", "create_operator", Severity.WARNING, "operator")
OPERATOR_DEACTIVATED: Final = _event(
    "admin.operator.deactivated", "deactivate_operator", Severity.WARNING, "operator"
)
ENROLLMENT_ISSUED: Final = _event("admin.enrollment.issued", "issue_enrollment", Severity.WARNING, "operator")
ENROLLMENT_CLAIMED: Final = _event(
    "admin.enrollment.claimed", "claim_enrollment", Severity.WARNING, "operator"
)
ENROLLMENT_FAILED: Final = _event("admin.enrollment.failed", "fail_enrollment", Severity.WARNING, "operator")

CATALOGUE: Final = (
    OPERATOR_CREATED,
    OPERATOR_DEACTIVATED,
    ENROLLMENT_ISSUED,
    ENROLLMENT_CLAIMED,
    ENROLLMENT_FAILED,
)
