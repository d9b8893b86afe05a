"""Words for people: what roles, states, events and permissions are called on a page.

Presentation only: an unknown name is shown as it is, never refused and never hidden.
"""

from collections.abc import Mapping
from typing import Final

from admin_service.panel.views.parts import Tone

ROLE_NAMES: Mapping[str, str] = {
    "super_admin": "Super admin",
    "support": "Support",
    "read_only": "Read only",
    "security": "Security",
}

EVENT_LABELS: Mapping[str, str] = {
    "tenant.created": "Tenant created",
    "tenant.updated": "Tenant updated",
    "tenant.restored": "Tenant restored",
    "tenant.suspended": "Tenant suspended",
    "tenant.deleted": "Tenant deleted",
    "tenant.purged": "Tenant purged",
    "tenant.undeleted": "Tenant undeleted",
    "tenant.invitation.created": "Admin invited",
    "tenant.invitation.resent": "Invitation sent again",
    "tenant.invitation.canceled": "Invitation canceled",
    "tenant.feature_flag.changed": "Feature flag changed",
    "tenant.sessions.revoked": "Tenant sessions revoked",
    "tenant.connected_account.removed": "Connected account removed",
    "billing.credits.granted": "Replies granted",
    "billing.credits.voided": "Grant voided",
    "billing.credits.expiry_changed": "Grant expiry changed",
    "billing.credits.expired": "Credits expired",
    "billing.pack.created": "Pack created",
    "billing.pack.updated": "Pack updated",
    "billing.pack.activated": "Pack activated",
    "billing.pack.deactivated": "Pack deactivated",
    "billing.pack.deleted": "Pack deleted",
    "billing.pack.reordered": "Packs reordered",
    "billing.projection.mismatch": "Billing totals differ",
    "org.invitation.accepted": "Invitation accepted",
    "org.invitation.expired": "Invitation expired",
    "org.invitation.partial_failure": "Invitation half accepted",
    "org.member.joined": "Member joined",
    "org.member.invited": "Member invited",
    "org.member.invitation_canceled": "Member's invitation canceled",
    "org.member.role_changed": "Member's role changed",
    "org.member.removed": "Member removed",
    "org.member.password_changed": "Password changed",
    "org.session.signed_in": "Signed in",
    "org.session.failed": "Sign-in failed",
    "org.session.signed_out": "Signed out",
    "org.support_access": "Support access",
    "admin.support_query.executed": "Cross-tenant search",
    "admin.support_query.rate_limited": "Search limit reached",
    "admin.support_query.checked": "Search digest checked",
    "admin.operator.created": "Operator created",
    "admin.operator.role_changed": "Operator role changed",
    "admin.operator.deactivated": "Operator deactivated",
    "admin.operator.reactivated": "Operator reactivated",
    "admin.enrollment.issued": "Enrollment issued",
    "admin.enrollment.reissued": "Enrollment reissued",
    "admin.enrollment.rebound": "Enrollment rebound",
    "admin.enrollment.claimed": "Enrollment claimed",
    "admin.enrollment.failed": "Enrollment refused",
    "admin.session.minted": "Session started",
    "admin.session.revoked": "Session revoked",
    "admin.access.denied": "Access denied",
    "admin.access.subject_changed": "Access subject changed",
    "admin.audit_log.viewed": "Audit log read",
    "admin.audit_log.exported": "Audit log exported",
    "admin.audit_log.export_ended": "Audit export ended",
    "admin.list.exported": "List exported",
    "admin.break_glass.used": "Break-glass used",
    "audit.checkpoint.witnessed": "Checkpoint witnessed",
    "audit.chain.broken": "Audit chain broken",
    "audit.personal_data.erased": "Personal data erased",
    "audit.database.restored": "Database restored from a backup",
    "system.message.retried": "Message tried again",
    "system.workflow.requested": "Workflow run by hand",
}

PERMISSION_LABELS: Mapping[str, str] = {
    "tenant.create": "create tenants",
    "tenant.invite_admin": "invite tenant admins",
    "tenant.suspend": "suspend and restore tenants",
    "tenant.list": "list tenants",
    "tenant.view": "view a tenant",
    "tenant.update": "edit tenants",
    "tenant.feature_flags": "change feature flags",
    "tenant.delete": "delete tenants",
    "billing.view": "view billing",
    "billing.grant": "grant replies",
    "billing.manage_packs": "manage credit packs",
    "platform.view_audit_logs_global": "read the audit log",
    "platform.view_admin_audit_events": "read operator events",
    "platform.export_audit": "export the audit log",
    "platform.manage_global_admins": "manage operators",
    "platform.view_system_metrics": "view system state",
}

FILTER_LABELS: Mapping[str, str] = {
    "event": "Event",
    "action": "Action",
    "actorEmail": "Actor",
    "resourceType": "Resource",
    "resourceId": "Resource id",
    "organizationId": "Tenant",
    "severity": "Severity",
    "outcome": "Outcome",
    "from": "From",
    "to": "To",
}

OWNER_LABELS: Mapping[str, str] = {
    "active": "Joined",
    "accepted": "Joined",
    "pending": "Invited",
    "expired": "Invitation expired",
    "none": "No owner",
}

CURRENCY_NAMES: Mapping[str, str] = {"INR": "Indian rupee (INR)", "USD": "US dollar (USD)"}

SOURCE_NAMES: Mapping[str, str] = {"tenant": "tenant service", "admin": "admin service"}

# (tone, icon): a status is text, icon and colour together, never colour alone (panel.md, rule 9)
STATUS_LOOKS: Mapping[str, tuple[Tone, str]] = {
    "active": ("success", "status-on"),
    "accepted": ("success", "status-on"),
    "connected": ("success", "status-on"),
    "success": ("success", "check"),
    "suspended": ("warning", "status-paused"),
    "pending": ("info", "status-pending"),
    "invited": ("info", "status-pending"),
    "expired": ("warning", "status-paused"),
    "deactivated": ("neutral", "status-off"),
    "canceled": ("neutral", "status-off"),
    "on": ("success", "status-on"),
    "off": ("neutral", "status-off"),
    "deleted": ("neutral", "status-off"),
    "none": ("neutral", "status-off"),
    "disconnected": ("warning", "status-paused"),
    "error": ("danger", "alert"),
    "denied": ("warning", "denied"),
    "failure": ("danger", "alert"),
    "CRITICAL": ("danger", "alert"),
    "WARNING": ("warning", "alert"),
    "NOTICE": ("info", "status-on"),
    "INFO": ("neutral", "status-on"),
}


def role_name(role: str) -> str:
    return ROLE_NAMES.get(role, role)


def event_label(event: str) -> str:
    """The catalogue's event in words; an event that this build does not know is spelled out from its name."""
    return EVENT_LABELS.get(event) or sentence(event.replace(".", " "))


def permission_label(permission: str) -> str:
    return PERMISSION_LABELS.get(permission, permission)


def owner_label(state: str) -> str:
    return OWNER_LABELS.get(state, sentence(state))


def currency_name(currency: str) -> str:
    return CURRENCY_NAMES.get(currency, currency)


def filter_label(name: str) -> str:
    return FILTER_LABELS.get(name, name)


def source_name(source: str) -> str:
    return SOURCE_NAMES.get(source, source)


def sentence(name: str) -> str:
    """`lead_form` → `Lead form`."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:].lower() if words.isupper() else words[:1].upper() + words[1:]


_PROVIDERS: Final = {"whatsapp": "WhatsApp", "sms": "SMS"}


def provider_name(provider: str) -> str:
    """A channel as its makers write it."""
    return _PROVIDERS.get(provider, sentence(provider))


def status_tone(status: str) -> Tone:
    return STATUS_LOOKS.get(status, ("neutral", ""))[0]


def status_icon(status: str) -> str:
    return STATUS_LOOKS.get(status, ("", "status-off"))[1]
