"""What the tenant service is asked, as query parameters; an empty member asks nothing."""

from collections.abc import Mapping

from service_kit.audit.queries import AuditFilter
from service_kit.audit.verifying import Stretch
from service_kit.db.keyset import Position


def given(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


def audit_parameters(wanted: AuditFilter) -> dict[str, str]:
    return given(
        {
            "event": wanted.event,
            "action": wanted.action,
            "actorId": wanted.actor_id,
            "actorEmail": wanted.actor_email,
            "resourceType": wanted.resource_type,
            "resourceId": wanted.resource_id,
            "organizationId": wanted.organization_id,
            "severity": wanted.severity,
            "outcome": wanted.outcome,
            "requestId": wanted.request_id,
            "scope": wanted.scope or "all",
            "from": wanted.since.isoformat() if wanted.since else "",
            "to": wanted.until.isoformat() if wanted.until else "",
        }
    )


def place(position: Position | None) -> dict[str, str]:
    if position is None:
        return {}
    word = "after" if position.backward else "before"
    return {f"{word}At": position.at.isoformat(), f"{word}Id": position.id}


def stretch_parameters(wanted: Stretch) -> dict[str, str]:
    """What part of the audit log to verify."""
    return given(
        {
            "chain": wanted.chain,
            "from": wanted.since.isoformat() if wanted.since else "",
            "to": wanted.until.isoformat() if wanted.until else "",
        }
    )
