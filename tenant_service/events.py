"""The event catalogue of the tenant service (http-api 3.3): what its audit rows may say."""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility
from service_kit.audit.own_events import OWN_EVENTS
from service_kit.system.events import MESSAGE_RETRIED, WORKFLOW_REQUESTED
from tenant_service.billing_events import BILLING_EVENTS
from tenant_service.people_events import PEOPLE_EVENTS

TENANT_CREATED: Final = EventType(
    name="tenant.created",
    action="create_tenant",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)
"""An operator made a tenant and invited its owner (R-102)."""

TENANT_UPDATED: Final = EventType(
    name="tenant.updated",
    action="update_tenant",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)
"""An operator changed name, plan, address or currency (G-02)."""

TENANT_SUSPENDED: Final = EventType(
    name="tenant.suspended",
    action="suspend_tenant",
    severity=Severity.WARNING,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)

TENANT_RESTORED: Final = EventType(
    name="tenant.restored",
    action="restore_tenant",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)

TENANT_DELETED: Final = EventType(
    name="tenant.deleted",
    action="delete_tenant",
    severity=Severity.WARNING,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)

TENANT_UNDELETED: Final = EventType(
    name="tenant.undeleted",
    action="undelete_tenant",
    severity=Severity.WARNING,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)
"""A deleted tenant came back within its time of grace (G-11)."""

TENANT_PURGED: Final = EventType(
    name="tenant.purged",
    action="purge_tenant",
    severity=Severity.WARNING,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)
"""The time of grace is over: what was known of people is erased."""

INVITATION_CREATED: Final = EventType(
    name="tenant.invitation.created",
    action="invite_admin",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="invitation",
)

INVITATION_RESENT: Final = EventType(
    name="tenant.invitation.resent",
    action="resend_invitation",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="invitation",
)

INVITATION_CANCELED: Final = EventType(
    name="tenant.invitation.canceled",
    action="cancel_invitation",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="invitation",
)

INVITATION_EXPIRED: Final = EventType(
    name="org.invitation.expired",
    action="expire_invitation",
    severity=Severity.INFO,
    visibility=Visibility.TENANT,
    resource_type="invitation",
)

FEATURE_FLAG_CHANGED: Final = EventType(
    name="tenant.feature_flag.changed",
    action="change_feature_flag",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="feature_flag",
)

SESSIONS_REVOKED: Final = EventType(
    name="tenant.sessions.revoked",
    action="revoke_sessions",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)

CONNECTED_ACCOUNT_REMOVED: Final = EventType(
    name="tenant.connected_account.removed",
    action="remove_connected_account",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="connected_account",
)

SUPPORT_QUERY_EXECUTED: Final = EventType(
    name="admin.support_query.executed",
    action="support_search",
    severity=Severity.CRITICAL,
    visibility=Visibility.GLOBAL,
    resource_type="user",
)
"""An operator searched the people of all tenants, or turned to a further page (R-121, R-122)."""

SUPPORT_QUERY_RATE_LIMITED: Final = EventType(
    name="admin.support_query.rate_limited",
    action="support_search",
    severity=Severity.WARNING,
    visibility=Visibility.GLOBAL,
    resource_type="user",
)
"""An operator's budget of searches was spent; once for each stretch of an hour (R-123)."""

SUPPORT_QUERY_CHECKED: Final = EventType(
    name="admin.support_query.checked",
    action="check_predicate",
    severity=Severity.NOTICE,
    visibility=Visibility.GLOBAL,
    resource_type="audit_event",
)
"""Somebody asked whether a recorded search was for certain values (R-124)."""

ORG_SUPPORT_ACCESS: Final = EventType(
    name="org.support_access",
    action="support_search",
    severity=Severity.NOTICE,
    visibility=Visibility.TENANT,
    resource_type="user",
)
"""What a tenant reads when people of theirs stood in a search's result (R-126)."""

CATALOGUE: Final = (
    TENANT_CREATED,
    TENANT_UPDATED,
    TENANT_SUSPENDED,
    TENANT_RESTORED,
    TENANT_DELETED,
    TENANT_UNDELETED,
    TENANT_PURGED,
    INVITATION_CREATED,
    INVITATION_RESENT,
    INVITATION_CANCELED,
    INVITATION_EXPIRED,
    FEATURE_FLAG_CHANGED,
    SESSIONS_REVOKED,
    CONNECTED_ACCOUNT_REMOVED,
    SUPPORT_QUERY_EXECUTED,
    SUPPORT_QUERY_RATE_LIMITED,
    SUPPORT_QUERY_CHECKED,
    ORG_SUPPORT_ACCESS,
    MESSAGE_RETRIED,
    WORKFLOW_REQUESTED,
    *BILLING_EVENTS,
    *PEOPLE_EVENTS,
    *OWN_EVENTS,
)
