"""Reading this service's audit log with the reader's own rights; `admin.*` is hidden in the SQL (R-080).

Nothing here writes: rows are made by the transactions that they tell of.
"""

import asyncio
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, time, timedelta

from service_kit.audit.export_counts import AuditCounts
from service_kit.audit.export_places import ChainPlaces
from service_kit.audit.export_rows import ExportWalk
from service_kit.audit.proving import AuditProver
from service_kit.audit.queries import AuditQueries
from service_kit.audit.tables import AuditTables
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.errors import NotFoundError
from service_kit.ids import is_id
from tenant_service.asking import Asker
from tenant_service.audit.repository import ActivityRepository
from tenant_service.audit.schemas import (
    AuditActivity,
    AuditCountsModel,
    AuditDetail,
    AuditPlace,
    AuditProof,
    AuditQuery,
    AuditRow,
    AuditRows,
    CataloguedEvent,
    CountedActor,
    CountedEvent,
    CountsQuery,
    DayCount,
    EventCatalogue,
    VerifyQuery,
)
from tenant_service.events import CATALOGUE


@dataclass(frozen=True, slots=True)
class AuditService:
    """The tenant service's half of the federated audit log (data-model 2.6)."""

    database: Database
    queries: AuditQueries
    activity_repository: ActivityRepository
    clock: Clock
    prover: AuditProver
    tables: AuditTables
    places: ChainPlaces
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    """A verification reads the whole log: a second one waits for the first."""

    async def verify(self, query: VerifyQuery) -> AuditProof:
        """Prove the chains, the checkpoints and the witness of them."""
        async with self.one_at_a_time:
            return AuditProof.of(await self.prover.prove(query.stretch))

    async def rows(self, asker: Asker, query: AuditQuery) -> AuditRows:
        async with self.database.read() as session:
            rows = await self.queries.page(
                session,
                query.filter,
                hide_admin_events=asker.hides_admin_events,
                position=query.position,
                limit=query.limit,
            )
        return AuditRows(data=[AuditRow.of(row) for row in rows])

    async def detail(self, asker: Asker, event_id: str) -> AuditDetail:
        """One row with its twin. Raises NotFoundError, also for a row that the caller may not see."""
        hide = asker.hides_admin_events
        if not is_id(event_id, "aud"):
            raise _not_found()
        async with self.database.read() as session:
            row = await self.queries.by_id(session, event_id, hide_admin_events=hide)
            if row is None:
                raise _not_found()
            twin = await self.queries.twin(session, row, hide_admin_events=hide)
            place = await self.places.of(session, row)
        return AuditDetail(
            row=AuditRow.of(row),
            twin=AuditRow.of(twin) if twin is not None else None,
            place=AuditPlace.of(place),
        )

    def export(self, asker: Asker, query: AuditQuery) -> ExportWalk:
        """Every row that fits the filter, with all that its hash covers; a place and a limit ask nothing."""
        return ExportWalk(
            self.database, self.tables, query.filter, hide_admin_events=asker.hides_admin_events
        )

    def catalogue(self) -> EventCatalogue:
        """What this service can record."""
        return EventCatalogue(data=[CataloguedEvent.of(known) for known in CATALOGUE])

    async def counts(self, asker: Asker, query: CountsQuery) -> AuditCountsModel:
        """How much was recorded, by event and by actor."""
        counts, hide = AuditCounts(self.tables), asker.hides_admin_events
        async with self.database.read() as session:
            events = await counts.by_event(session, query.since, query.until, hide_admin_events=hide)
            actors = await counts.by_actor(session, query.since, query.until, hide_admin_events=hide)
        return AuditCountsModel(
            events=[CountedEvent(**asdict(one)) for one in events],
            actors=[CountedActor(**asdict(one)) for one in actors],
        )

    async def activity(self, asker: Asker, *, days: int) -> AuditActivity:
        """Actions per UTC day, oldest first, today last."""
        today = self.clock.now().astimezone(UTC).date()
        first = today - timedelta(days=days - 1)
        async with self.database.read() as session:
            counts = await self.activity_repository.per_day(
                session,
                since=datetime.combine(first, time(), UTC),
                hide_admin_events=asker.hides_admin_events,
            )
        every = [first + timedelta(days=number) for number in range(days)]
        return AuditActivity(data=[DayCount(day=day, count=counts.get(day, 0)) for day in every])


def _not_found() -> NotFoundError:
    return NotFoundError("AUDIT_EVENT_NOT_FOUND", "No such audit event")
