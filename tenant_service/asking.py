"""Who asks, and from where, in the words that an audit row needs; it knows no HTTP."""

from dataclasses import dataclass

from service_kit.audit.events import Actor
from service_kit.identity.model import InternalIdentity, Permission


@dataclass(frozen=True, slots=True)
class Asker:
    """A proven caller and the origin of the request that the sidecar vouched for."""

    identity: InternalIdentity
    request_id: str = ""
    ip: str = ""
    user_agent: str = ""

    @property
    def actor(self) -> Actor:
        return Actor.of(self.identity)

    @property
    def hides_admin_events(self) -> bool:
        """R-080: whether `admin.*` rows are out of this caller's reach."""
        return not self.identity.may(Permission.VIEW_ADMIN_AUDIT_EVENTS)
