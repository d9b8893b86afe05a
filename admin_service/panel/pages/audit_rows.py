"""Audit rows as the pages show them: from the merged log, and from a tenant's own answer."""

from admin_service.audit.models import AuditRow as LogRow
from admin_service.panel.views.audit import AuditRow
from admin_service.tenant_answers import AuditRow as TenantAuditRow


def shown_row(row: LogRow | TenantAuditRow) -> AuditRow:
    """An empty member, or one that was erased, is shown as absent."""
    return AuditRow(
        id=row.id,
        occurred_at=row.occurred_at,
        actor_email=row.actor_email or None,
        event=row.event,
        severity=row.severity,
        outcome=row.outcome,
        action=row.action or None,
        resource_type=row.resource_type or None,
        resource_id=row.resource_id or None,
        details=row.details,
        actor_role=row.actor_role or None,
        actor_type=row.actor_type,
        organization_id=row.organization_id,
    )
