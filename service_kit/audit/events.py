"""What an audit row says: event types, actors, targets and outcomes as typed values.

A service's catalogue lists its event types; the recorder takes nothing else (requirement C-09).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service_kit.identity.model import InternalIdentity


class Severity(StrEnum):
    INFO = "INFO"
    NOTICE = "NOTICE"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class Outcome(StrEnum):
    SUCCESS = "success"
    DENIED = "denied"
    FAILURE = "failure"


class AuditScope(StrEnum):
    """`global` rows are the platform's own log; `tenant` rows are what a tenant may read."""

    GLOBAL = "global"
    TENANT = "tenant"


class ActorType(StrEnum):
    GLOBAL_ADMIN = "global_admin"
    USER = "user"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


class Visibility(StrEnum):
    """Which rows an event writes."""

    GLOBAL = "global"
    TENANT = "tenant"
    DUAL = "dual"
    """One row of each scope in the same transaction, linked by `pair_id` (R-126)."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One entry of the catalogue. `action` is the verb of seed 1, where it has one."""

    name: str
    action: str
    severity: Severity
    visibility: Visibility
    resource_type: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it."""

    type: ActorType
    id: str
    role: str = ""
    email: str = ""
    name: str = ""

    @classmethod
    def of(cls, identity: InternalIdentity) -> "Actor":
        """The operator, or the person who is not one yet, behind a proven identity."""
        if identity.operator_id is None:
            return cls(ActorType.ANONYMOUS, identity.subject, "", identity.email, identity.name)
        role = identity.role.value if identity.role else ""
        return cls(ActorType.GLOBAL_ADMIN, identity.operator_id, role, identity.email, identity.name)


SYSTEM: Actor = Actor(ActorType.SYSTEM, "system")
"""A job or a command on the host: no person at a browser."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """What a search over all tenants asked, without a single value of it (R-124)."""

    digest: str
    """Keyed: a plain hash of an address could be guessed."""
    shape: str
    row_count: int
    page_no: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that happened. `details_pii` holds what must stay erasable: names, addresses.

    `pair_id` links this entry's rows to those of other entries of the same action. Only a CRITICAL
    event can have a `predicate`.
    """

    event: EventType
    actor: Actor
    resource_id: str
    organization_id: str | None = None
    outcome: Outcome = Outcome.SUCCESS
    request_id: str = ""
    ip: str = ""
    user_agent: str = ""
    reason: str = ""
    ticket_ref: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    details_pii: Mapping[str, Any] = field(default_factory=dict)
    pair_id: str | None = None
    predicate: Predicate | None = None
