"""Who is at a tenant's own host, and how they are named in its audit log; it knows no HTTP."""

from dataclasses import dataclass
from datetime import datetime

from service_kit.audit.events import Actor, ActorType, AuditEntry, EventType, Outcome
from tenant_service.people.models import Member, MemberRole, User
from tenant_service.people.scope import TenantScope
from tenant_service.tenants.models import Organization

_NOBODY = Actor(ActorType.ANONYMOUS, "anonymous")


@dataclass(frozen=True, slots=True)
class Visitor:
    """A request at the host of one tenant; nobody has proven anything yet."""

    tenant: Organization
    request_id: str
    ip: str
    user_agent: str

    @property
    def scope(self) -> TenantScope:
        """The tenant of the host: nothing else decides where a request reaches."""
        return TenantScope(self.tenant.id)

    def entry(  # the words of an audit row, none of which has a default that could be right
        self,
        event: EventType,
        resource_id: str,
        *,
        by: "Person | None" = None,
        outcome: Outcome = Outcome.SUCCESS,
        details: dict[str, object] | None = None,
        person: dict[str, object] | None = None,
    ) -> AuditEntry:
        """An audit row about this tenant; without `by` nobody is named as its actor."""
        return AuditEntry(
            event=event,
            actor=by.actor if by is not None else _NOBODY,
            resource_id=resource_id,
            organization_id=self.tenant.id,
            outcome=outcome,
            request_id=self.request_id,
            ip=self.ip,
            user_agent=self.user_agent,
            details=details or {},
            details_pii=person or {},
        )


@dataclass(frozen=True, slots=True)
class Person:
    """A user in their place in one tenant."""

    user: User
    role: MemberRole | None = None

    @property
    def actor(self) -> Actor:
        role = self.role.value if self.role is not None else ""
        return Actor(ActorType.USER, self.user.id, role, self.user.email, self.user.name)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A visitor whose session is proven."""

    visitor: Visitor
    session_id: str
    expires_at: datetime
    last_seen_at: datetime
    user: User
    member: Member

    @property
    def person(self) -> Person:
        return Person(self.user, self.member.role)

    @property
    def manages(self) -> bool:
        """Whether the team and the audit log are theirs to see."""
        return self.member.role in {MemberRole.OWNER, MemberRole.ADMIN}
