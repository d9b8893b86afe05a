"""Who asks a service for something, and from where: the narrow view of a request that rules need.

It knows no HTTP. A `service_kit.web.api.Call` is a `Caller` as it stands.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from service_kit.audit.events import Actor, AuditEntry, EventType, Outcome
from service_kit.identity.model import InternalIdentity


class Origin(Protocol):
    """Where a request came from; kept in audit rows."""

    @property
    def request_id(self) -> str: ...

    @property
    def ip(self) -> str: ...

    @property
    def user_agent(self) -> str: ...


class Caller(Protocol):
    """A proven identity and the origin of its request."""

    @property
    def actor(self) -> InternalIdentity: ...

    @property
    def origin(self) -> Origin: ...


def audit_entry(
    event: EventType,
    actor: Actor,
    origin: Origin | None,
    resource_id: str,
    *,
    outcome: Outcome = Outcome.SUCCESS,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
    details_pii: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """The audit row of something that this service did; a command on the host has no origin."""
    return AuditEntry(
        event=event,
        actor=actor,
        resource_id=resource_id,
        outcome=outcome,
        request_id=origin.request_id if origin else "",
        ip=origin.ip if origin else "",
        user_agent=origin.user_agent if origin else "",
        reason=reason,
        details=details or {},
        details_pii=details_pii or {},
    )
