"""What an auditor asks of a period: how much was recorded, by whom, and whether it still stands.

It counts both services or says that it cannot: half a population is no population.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from admin_service.audit.errors import AuditSourceUnavailableError
from admin_service.audit.service import Reader
from admin_service.audit.verification import AuditVerification, Verification
from admin_service.tables import AUDIT
from admin_service.tenant_answers import AuditCountsAnswer
from service_kit.audit.export_counts import ActorCount, AuditCounts, EventCount
from service_kit.audit.verifying import Stretch
from service_kit.db.session import Database
from service_kit.errors import UnavailableError

_PRIVILEGED: Final = ("WARNING", "CRITICAL")


class TenantCounts(Protocol):
    """The tenant service, asked in the operator's name."""

    async def audit_counts(self, delegation: str, since: datetime, until: datetime) -> AuditCountsAnswer:
        """Raises UnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """The counts of a period, the most frequent first; `verification` is None until somebody asks for it."""

    since: datetime
    until: datetime
    events: Sequence[EventCount]
    actors: Sequence[ActorCount]
    verification: Verification | None = None

    @property
    def total(self) -> int:
        return sum(one.count for one in self.events)

    @property
    def by_others(self) -> int:
        """What is not in the list of actors: of the busiest of one service, the other may have cut some."""
        return self.total - sum(one.count for one in self.actors)

    @property
    def privileged(self) -> Sequence[EventCount]:
        """What was recorded as WARNING or worse."""
        return [one for one in self.events if one.severity in _PRIVILEGED]

    @property
    def refused(self) -> Sequence[EventCount]:
        """What was denied, or failed: access too."""
        return [one for one in self.events if one.outcome != "success"]


class AuditEvidence:
    """Counts and proofs over both services."""

    def __init__(self, database: Database, tenant: TenantCounts, verification: AuditVerification) -> None:
        self._database = database
        self._tenant = tenant
        self._verification = verification
        self._counts = AuditCounts(AUDIT)

    async def of(self, reader: Reader, since: datetime, until: datetime, *, verify: bool) -> Evidence:
        """Raises AuditSourceUnavailableError when the tenant service does not answer."""
        if reader.delegation is None:
            raise AuditSourceUnavailableError
        hide = reader.hides_admin_events
        async with self._database.read() as session:
            events = await self._counts.by_event(session, since, until, hide_admin_events=hide)
            actors = await self._counts.by_actor(session, since, until, hide_admin_events=hide)
        try:
            theirs = await self._tenant.audit_counts(reader.delegation, since, until)
        except UnavailableError as error:
            raise AuditSourceUnavailableError from error
        proof = await self._verification.verify(reader, Stretch()) if verify else None
        return Evidence(since, until, _events(events, theirs), _actors(actors, theirs), proof)


def _events(own: Sequence[EventCount], theirs: AuditCountsAnswer) -> Sequence[EventCount]:
    """The services record different events, so nothing is added up."""
    both = [*own, *(EventCount(**one.model_dump()) for one in theirs.events)]
    return sorted(both, key=lambda one: (-one.count, one.event, one.outcome))


def _actors(own: Sequence[ActorCount], theirs: AuditCountsAnswer) -> Sequence[ActorCount]:
    """An operator acts in both services."""
    found: dict[tuple[str, str], ActorCount] = {}
    for one in [*own, *(ActorCount(**answer.model_dump()) for answer in theirs.actors)]:
        name = (one.actor_type, one.actor_id)
        before = found.get(name)
        email, count = (before.actor_email, before.count) if before else ("", 0)
        found[name] = ActorCount(*name, email or one.actor_email, count + one.count)
    return sorted(found.values(), key=lambda one: (-one.count, one.actor_id))
