"""Reading the audit log of both services as one list (R-030…R-033, R-080, R-090).

It copies nothing and hides nothing by itself: each source filters in its own SQL by the reader's role.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import Any, Final, Protocol

from admin_service.audit.errors import (
    AdminEventsForbiddenError,
    AuditEventNotFoundError,
    AuditSourceUnavailableError,
)
from admin_service.audit.models import (
    Activity,
    AuditDetail,
    AuditPage,
    AuditRow,
    AuditSource,
    DayCount,
    KnownEvent,
)
from admin_service.audit.repository import AuditRepository
from admin_service.audit.views import AuditViews
from admin_service.caller import Origin
from admin_service.events import CATALOGUE
from admin_service.tenant_answers import EventCatalogue
from service_kit.audit.export_places import RowPlace
from service_kit.audit.queries import AuditFilter
from service_kit.clock import Clock
from service_kit.db.keyset import Position
from service_kit.db.session import Database, ReadSession
from service_kit.errors import UnavailableError
from service_kit.identity.model import InternalIdentity, Permission
from service_kit.ids import is_id
from service_kit.web.pages import MOST_ROWS, cut, read_cursor
from service_kit.web.paging import CursorCodec

_ADMIN_EVENTS: Final = "admin"
_TENANT_MISSING: Final = (AuditSource.TENANT,)


class TenantAudit(Protocol):
    """The tenant service's audit log, read in the operator's own name.

    `delegation` is the raw value of `X-Internal-Delegation` of the browser's request. A row is a
    mapping with the names of `service_kit.audit.queries.AuditQueries` (snake_case columns plus
    `actor_email`, `actor_name`, `ip`, `user_agent`; `occurred_at` an aware datetime, `details` a
    mapping). The tenant service hides `admin.*` by the role in the delegation. Each method raises
    `service_kit.errors.UnavailableError` when the tenant service does not answer.
    """

    async def audit_page(
        self, delegation: str, wanted: AuditFilter, *, position: Position | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Up to `limit` rows, newest first; going back, the ones nearest to the position."""
        ...

    async def audit_event(self, delegation: str, event_id: str) -> Mapping[str, Any] | None:
        """`{"row": …, "twin": … or None, "place": … or None}`, or None when the row does not exist or is
        hidden.
        """
        ...

    async def event_catalogue(self, delegation: str) -> EventCatalogue:
        """What the tenant service can record."""
        ...

    async def audit_activity(self, delegation: str, days: int) -> Mapping[date, int]:
        """How many global rows each of the last `days` UTC days saw; a day without any may be absent."""
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: the identity, and the delegation with which the tenant service can be asked."""

    identity: InternalIdentity
    delegation: str | None = field(repr=False)

    @property
    def hides_admin_events(self) -> bool:
        """Support and read_only never see what is done to operators (R-080)."""
        return not self.identity.may(Permission.VIEW_ADMIN_AUDIT_EVENTS)

    def row(self, source: AuditSource, found: Mapping[str, Any]) -> AuditRow:
        """A row as this reader may see it: without its place where that would count hidden rows."""
        row = AuditRow.of(source, found)
        return row.unplaced if self.hides_admin_events else row


class AuditReader:
    """The merged audit log."""

    def __init__(
        self,
        database: Database,
        own: AuditRepository,
        tenant: TenantAudit,
        clock: Clock,
        cursors: CursorCodec,
        *,
        views: AuditViews | None = None,
    ) -> None:
        self._database = database
        self._own = own
        self._tenant = tenant
        self._clock = clock
        self._cursors = cursors
        self._views = views

    async def page(
        self,
        reader: Reader,
        wanted: AuditFilter,
        *,
        limit: int = MOST_ROWS,
        cursor: str | None = None,
        allow_partial: bool = False,
        noted_from: Origin | None = None,
    ) -> AuditPage:
        """A page over both sources, by one keyset cursor that means the same to both.

        With `noted_from` the log notes who read it, once for each session and filter.

        Raises AdminEventsForbiddenError when `wanted.event` asks for `admin.*` and the role may not,
        AuditSourceUnavailableError when the tenant service is away and `allow_partial` is not set,
        BadRequestError `INVALID_CURSOR`.
        """
        if reader.hides_admin_events and wanted.event.split(".")[0] == _ADMIN_EVENTS:
            raise AdminEventsForbiddenError
        filters = {"list": "audit", **wanted.as_dict()}
        position = read_cursor(self._cursors, cursor, filters)
        # Each source is asked for the whole page and one row more: the page may lie in one of them.
        own, (theirs, missing) = await asyncio.gather(
            self._own_rows(reader, wanted, position, limit + 1),
            self._tenant_rows(reader, wanted, position, limit + 1),
        )
        if missing and not allow_partial:
            raise AuditSourceUnavailableError
        page = cut(
            sorted([*own, *theirs], key=lambda row: row.key, reverse=True),
            limit=limit,
            position=position,
            key=lambda row: row.key,
            encode=lambda place: self._cursors.encode(place, filters),
        )
        if noted_from is not None and self._views is not None:
            await self._views.note(reader.identity, noted_from, wanted)
        return AuditPage(page, missing)

    async def by_id(self, reader: Reader, event_id: str) -> AuditDetail:
        """One row, its twin, and its place in its chain, which a role that sees no `admin.*` is not told.

        Raises AuditEventNotFoundError (also for a hidden row), AuditSourceUnavailableError.
        """
        if not is_id(event_id, "aud"):
            raise AuditEventNotFoundError
        async with self._database.read() as session:
            found = await self._own_detail(session, reader, event_id)
        return found or await self._tenant_detail(reader, event_id)

    async def catalogue(self, reader: Reader) -> Sequence[KnownEvent]:
        """Every kind of event of both services. Raises AuditSourceUnavailableError."""
        if reader.delegation is None:
            raise AuditSourceUnavailableError
        try:
            theirs = await self._tenant.event_catalogue(reader.delegation)
        except UnavailableError as error:
            raise AuditSourceUnavailableError from error
        own = [KnownEvent.own(known) for known in CATALOGUE]
        return [*own, *(KnownEvent(AuditSource.TENANT, **one.model_dump()) for one in theirs.data)]

    async def activity(self, reader: Reader, *, days: int = 14) -> Activity:
        """Counts per day; the tenant service's absence only shows in `missing`."""
        today = self._clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        since = today - timedelta(days=days - 1)
        async with self._database.read() as session:
            own = await self._own.per_day(session, since, hide_admin_events=reader.hides_admin_events)
        theirs, missing = await self._tenant_days(reader, days)
        every = (since.date() + timedelta(days=number) for number in range(days))
        counts = tuple(DayCount(day, own.get(day, 0) + theirs.get(day, 0)) for day in every)
        return Activity(counts, missing)

    async def _own_rows(
        self, reader: Reader, wanted: AuditFilter, position: Position | None, limit: int
    ) -> Sequence[AuditRow]:
        async with self._database.read() as session:
            rows = await self._own.page(
                session,
                wanted,
                position=position,
                limit=limit,
                hide_admin_events=reader.hides_admin_events,
            )
        return [reader.row(AuditSource.ADMIN, row) for row in rows]

    async def _tenant_rows(
        self, reader: Reader, wanted: AuditFilter, position: Position | None, limit: int
    ) -> tuple[Sequence[AuditRow], tuple[AuditSource, ...]]:
        if reader.delegation is None:
            return (), _TENANT_MISSING
        try:
            rows = await self._tenant.audit_page(reader.delegation, wanted, position=position, limit=limit)
        except UnavailableError:
            return (), _TENANT_MISSING
        return [reader.row(AuditSource.TENANT, row) for row in rows], ()

    async def _own_detail(self, session: ReadSession, reader: Reader, event_id: str) -> AuditDetail | None:
        hide = reader.hides_admin_events
        row = await self._own.by_id(session, event_id, hide_admin_events=hide)
        if row is None:
            return None
        twin = await self._own.twin(session, row, hide_admin_events=hide)
        return AuditDetail(
            reader.row(AuditSource.ADMIN, row),
            reader.row(AuditSource.ADMIN, twin) if twin is not None else None,
            None if hide else await self._own.place(session, row),
        )

    async def _tenant_detail(self, reader: Reader, event_id: str) -> AuditDetail:
        if reader.delegation is None:
            raise AuditSourceUnavailableError
        try:
            found = await self._tenant.audit_event(reader.delegation, event_id)
        except UnavailableError as error:
            raise AuditSourceUnavailableError from error
        if found is None:
            raise AuditEventNotFoundError
        twin = reader.row(AuditSource.TENANT, found["twin"]) if found["twin"] is not None else None
        told = None if reader.hides_admin_events else found.get("place")
        place = RowPlace(**told) if told is not None else None
        return AuditDetail(reader.row(AuditSource.TENANT, found["row"]), twin, place)

    async def _tenant_days(
        self, reader: Reader, days: int
    ) -> tuple[Mapping[date, int], tuple[AuditSource, ...]]:
        if reader.delegation is None:
            return {}, _TENANT_MISSING
        try:
            return await self._tenant.audit_activity(reader.delegation, days), ()
        except UnavailableError:
            return {}, _TENANT_MISSING
