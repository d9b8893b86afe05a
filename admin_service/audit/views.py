"""Who read the audit log, and with which filter: one row for each session and filter (data-model 2.6).

Access tells us no session of its own, so a session is what an operator does within eight hours. Paging on,
reloading and another minute of the same day write nothing more.
"""

from collections.abc import Mapping
from typing import Any

from admin_service.audit.repository import AuditRepository
from admin_service.caller import Origin, audit_entry
from admin_service.events import AUDIT_LOG_VIEWED
from admin_service.sessions.models import SESSION_LIFETIME
from service_kit.audit.events import Actor
from service_kit.audit.queries import AuditFilter
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.identity.model import InternalIdentity


class AuditViews:
    """Writes `admin.audit_log.viewed`."""

    def __init__(
        self, database: Database, own: AuditRepository, recorder: AuditRecorder, clock: Clock
    ) -> None:
        self._database = database
        self._own = own
        self._recorder = recorder
        self._clock = clock

    async def note(self, identity: InternalIdentity, origin: Origin, wanted: AuditFilter) -> None:
        """Write the row unless it is there. Raises UnavailableError: what cannot be noted is not shown."""
        actor = Actor.of(identity)
        details, personal = _filter_of(wanted), {}
        if wanted.actor_email:  # an address that was searched for can be erased like any other
            personal = {"filterActorEmail": wanted.actor_email}
        since = self._clock.now() - SESSION_LIFETIME
        async with self._database.read() as session:
            seen = await self._own.viewed(session, AUDIT_LOG_VIEWED.name, actor.id, since)
        if {**details, **personal} in seen:
            return
        entry = audit_entry(
            AUDIT_LOG_VIEWED, actor, origin, "audit_log", details=details, details_pii=personal
        )
        async with self._database.write() as session:
            await self._recorder.record(session, entry)


def _filter_of(wanted: AuditFilter) -> Mapping[str, Any]:
    """Times by their days: a range of the panel begins at another second with every load."""
    given = {name: str(value) for name, value in wanted.as_dict().items() if value}
    given.pop("actor_email", None)
    days = {"since": wanted.since, "until": wanted.until}
    return {"filter": given | {name: at.date().isoformat() for name, at in days.items() if at is not None}}
