"""The catalogue of what the admin service records: each event with its verb and severity (C-09).

All of them are the platform's own: no tenant reads them, and support and read_only neither (R-080).
"""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility
from service_kit.audit.own_events import OWN_EVENTS
from service_kit.system.events import MESSAGE_RETRIED, WORKFLOW_REQUESTED


def _event(name: str, action: str, severity: Severity, resource_type: str) -> EventType:
    return EventType(name, action, severity, Visibility.GLOBAL, resource_type)


OPERATOR_CREATED: Final = _event("admin.operator.created", "create_operator", Severity.WARNING, "operator")
OPERATOR_DEACTIVATED: Final = _event(
    "admin.operator.deactivated", "deactivate_operator", Severity.WARNING, "operator"
)
OPERATOR_ROLE_CHANGED: Final = _event(
    "admin.operator.role_changed", "change_role", Severity.WARNING, "operator"
)
OPERATOR_REACTIVATED: Final = _event(
    "admin.operator.reactivated", "reactivate_operator", Severity.WARNING, "operator"
)
ENROLLMENT_ISSUED: Final = _event("admin.enrollment.issued", "issue_enrollment", Severity.WARNING, "operator")
ENROLLMENT_REISSUED: Final = _event(
    "admin.enrollment.reissued", "reissue_enrollment", Severity.WARNING, "operator"
)
ENROLLMENT_REBOUND: Final = _event(
    "admin.enrollment.rebound", "rebind_enrollment", Severity.CRITICAL, "operator"
)
ENROLLMENT_CLAIMED: Final = _event(
    "admin.enrollment.claimed", "claim_enrollment", Severity.WARNING, "operator"
)
ENROLLMENT_FAILED: Final = _event("admin.enrollment.failed", "fail_enrollment", Severity.WARNING, "operator")
SESSION_MINTED: Final = _event("admin.session.minted", "mint_session", Severity.INFO, "operator_session")
SESSION_REVOKED: Final = _event(
    "admin.session.revoked", "revoke_session", Severity.NOTICE, "operator_session"
)
ACCESS_DENIED: Final = _event("admin.access.denied", "deny_access", Severity.NOTICE, "route")
ACCESS_SUBJECT_CHANGED: Final = _event(
    "admin.access.subject_changed", "deny_changed_subject", Severity.WARNING, "operator"
)
BREAK_GLASS_USED: Final = _event("admin.break_glass.used", "break_glass", Severity.CRITICAL, "operator")
AUDIT_LOG_VIEWED: Final = _event("admin.audit_log.viewed", "view_audit_log", Severity.INFO, "audit_log")
AUDIT_LOG_EXPORTED: Final = _event(
    "admin.audit_log.exported", "export_audit_log", Severity.WARNING, "audit_log"
)
AUDIT_LOG_EXPORT_ENDED: Final = _event(
    "admin.audit_log.export_ended", "end_audit_export", Severity.INFO, "audit_export"
)
LIST_EXPORTED: Final = _event("admin.list.exported", "export_list", Severity.WARNING, "list")

CATALOGUE: Final = (
    OPERATOR_CREATED,
    OPERATOR_ROLE_CHANGED,
    OPERATOR_DEACTIVATED,
    OPERATOR_REACTIVATED,
    ENROLLMENT_ISSUED,
    ENROLLMENT_REISSUED,
    ENROLLMENT_REBOUND,
    ENROLLMENT_CLAIMED,
    ENROLLMENT_FAILED,
    SESSION_MINTED,
    SESSION_REVOKED,
    ACCESS_DENIED,
    ACCESS_SUBJECT_CHANGED,
    BREAK_GLASS_USED,
    AUDIT_LOG_VIEWED,
    AUDIT_LOG_EXPORTED,
    AUDIT_LOG_EXPORT_ENDED,
    LIST_EXPORTED,
    MESSAGE_RETRIED,
    WORKFLOW_REQUESTED,
    *OWN_EVENTS,
)
