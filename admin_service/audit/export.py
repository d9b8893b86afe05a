"""One export of the audit log of both services: what was asked for, its audit rows, and its bytes.

It sends nothing before its own audit row is committed, and no manifest unless every row of both services was
in it: a file without a manifest is no export.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from admin_service.audit.errors import (
    AdminEventsForbiddenError,
    AuditSourceUnavailableError,
    ExportRangeEmptyError,
    ExportRangeTooWideError,
)
from admin_service.audit.merging import RowSource, merged
from admin_service.audit.models import AuditSource
from admin_service.audit.service import Reader
from admin_service.audit.turns import ExportTurns
from admin_service.caller import Caller, audit_entry
from admin_service.events import AUDIT_LOG_EXPORT_ENDED, AUDIT_LOG_EXPORTED
from admin_service.tables import AUDIT
from service_kit.audit.events import Actor, AuditEntry, EventType, Outcome
from service_kit.audit.export_formats import ExportFormat
from service_kit.audit.export_manifest import ManifestMaker, signed
from service_kit.audit.export_rows import ExportWalk, utc_text
from service_kit.audit.export_siem import writer_of
from service_kit.audit.queries import AuditFilter
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.keys import KeyFileError, SigningKey

DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 366
_PIECE: Final = 32 * 1024
_ADMIN_EVENTS: Final = "admin"
_PERSONAL: Final = "actorEmail"


class TenantRows(Protocol):
    """The tenant service's rows, in the operator's own name."""

    def audit_export(self, delegation: str, wanted: AuditFilter) -> AbstractAsyncContextManager[RowSource]:
        """Raises UnavailableError, also while the rows are read."""
        ...


@dataclass(frozen=True, slots=True)
class ExportAsked:
    """What to export, and as what."""

    wanted: AuditFilter
    format: ExportFormat


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is exported: the filter with both ends of its time, and the words for it."""

    wanted: AuditFilter
    format: ExportFormat
    range: Mapping[str, Any]
    filters: Mapping[str, str]
    hides_admin_events: bool

    @property
    def file_name(self) -> str:
        """With both days; nothing of it comes from the query."""
        ending = "ocsf.ndjson" if self.format is ExportFormat.OCSF else self.format.value
        return f"audit-{self.range['from'][:10]}-{self.range['to'][:10]}.{ending}"

    @property
    def unfiltered(self) -> bool:
        """Nothing but time, scope and tenant chose the rows: then no chain has a gap."""
        return not self.hides_admin_events and not self.filters.keys() - {"scope", "organizationId"}


class AuditExporter:
    """Opens exports."""

    def __init__(
        self,
        database: Database,
        recorder: AuditRecorder,
        tenant: TenantRows,
        keys: Callable[[], tuple[SigningKey, ...]],
        clock: Clock,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._tenant = tenant
        self._keys = keys
        self._clock = clock
        self._turns = ExportTurns()

    def chosen(self, reader: Reader, asked: ExportAsked) -> Chosen:
        """The export with its range.

        Raises ExportRangeTooWideError, ExportRangeEmptyError, AdminEventsForbiddenError.
        """
        wanted, hides = asked.wanted, reader.hides_admin_events
        if hides and wanted.event.split(".")[0] == _ADMIN_EVENTS:
            raise AdminEventsForbiddenError
        until = wanted.until or self._clock.now()
        since = wanted.since or until - timedelta(days=DEFAULT_DAYS)
        if since >= until:
            raise ExportRangeEmptyError
        if until - since > timedelta(days=MOST_DAYS):
            raise ExportRangeTooWideError
        told = {"from": utc_text(since), "to": utc_text(until), "isDefault": wanted.since is None}
        ranged = replace(wanted, since=since, until=until)
        return Chosen(ranged, asked.format, told, _filters(wanted), hides)

    @contextlib.asynccontextmanager
    async def open(self, caller: Caller, reader: Reader, asked: ExportAsked) -> AsyncIterator["Export"]:
        """An export whose audit row is written. Nothing is sent when this raises.

        Raises what `chosen` raises, ExportBusyError, AuditSourceUnavailableError, UnavailableError.
        """
        chosen = self.chosen(reader, asked)
        if reader.delegation is None:
            raise AuditSourceUnavailableError
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._turns.turn(str(caller.actor.operator_id)))
            key = await self._key()
            try:
                theirs = await stack.enter_async_context(
                    self._tenant.audit_export(reader.delegation, chosen.wanted)
                )
            except UnavailableError as error:
                raise AuditSourceUnavailableError from error
            export_id = await self._record(
                caller, AUDIT_LOG_EXPORTED, "audit_log", _told(chosen), _person(chosen)
            )
            own = ExportWalk(
                self._database, AUDIT, chosen.wanted, hide_admin_events=reader.hides_admin_events
            )
            sources: Mapping[AuditSource, RowSource] = {AuditSource.ADMIN: own, AuditSource.TENANT: theirs}
            yield Export(self, caller, chosen, sources, key=key, export_id=export_id)

    async def _key(self) -> SigningKey:
        try:
            return (await asyncio.to_thread(self._keys))[-1]
        except KeyFileError as error:
            raise UnavailableError("AUDIT_KEY_UNAVAILABLE", "The audit signing key cannot be read") from error

    def made_at(self) -> datetime:
        return self._clock.now()

    async def ended(self, caller: Caller, export_id: str, outcome: Outcome, told: Mapping[str, Any]) -> None:
        """The row about how an export ended: its digest lets anybody recognise the file later."""
        await self._record(caller, AUDIT_LOG_EXPORT_ENDED, export_id, told, outcome=outcome)

    async def _record(
        self,
        caller: Caller,
        event: EventType,
        resource_id: str,
        details: Mapping[str, Any],
        personal: Mapping[str, Any] | None = None,
        *,
        outcome: Outcome = Outcome.SUCCESS,
    ) -> str:
        entry: AuditEntry = audit_entry(
            event,
            Actor.of(caller.actor),
            caller.origin,
            resource_id,
            outcome=outcome,
            details=details,
            details_pii=personal,
        )
        async with self._database.write() as session:
            return (await self._recorder.record(session, entry))[0]


class Export:
    """One export under way; `pieces` may be read once."""

    def __init__(
        self,
        exporter: AuditExporter,
        caller: Caller,
        chosen: Chosen,
        sources: Mapping[AuditSource, RowSource],
        *,
        key: SigningKey,
        export_id: str,
    ) -> None:
        self._exporter = exporter
        self._caller = caller
        self._sources = sources
        self._key = key
        self._writer = writer_of(chosen.format)
        self.chosen = chosen
        self.export_id = export_id

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The bytes of the file. Raises UnavailableError when a source breaks off: there is no manifest."""
        maker = ManifestMaker(self._facts(), self.chosen.unfiltered)
        ended = False
        try:
            async for piece in self._rows(maker):
                yield piece
            places = {source.value: found.places for source, found in self._sources.items()}
            trailer = self._writer.trailer(signed(maker.document(places), self._key))
            # First the row, then the manifest: an export that cannot be accounted for stays unfinished.
            await self._exporter.ended(self._caller, self.export_id, Outcome.SUCCESS, _ended(maker))
            ended = True
            yield trailer
        finally:
            if not ended:
                await self._failed(maker)

    async def _rows(self, maker: ManifestMaker) -> AsyncIterator[bytes]:
        buffer = bytearray(maker.wrote(self._writer.head()))
        async for source, one in merged(self._sources):
            maker.add(source.value, one)
            buffer += maker.wrote(self._writer.row(source.value, one))
            if len(buffer) >= _PIECE:
                yield bytes(buffer)
                buffer.clear()
        if buffer:
            yield bytes(buffer)

    async def _failed(self, maker: ManifestMaker) -> None:
        with contextlib.suppress(UnavailableError):  # the row that it was begun stands
            told = {"rows": maker.rows, "bytes": maker.size}
            await self._exporter.ended(self._caller, self.export_id, Outcome.FAILURE, told)

    def _facts(self) -> Mapping[str, Any]:
        chosen, actor = self.chosen, self._caller.actor
        return {
            "exportId": self.export_id,
            "format": chosen.format.value,
            "madeAt": utc_text(self._exporter.made_at()),
            "madeFor": {"operatorId": actor.operator_id, "role": actor.role.value if actor.role else ""},
            "range": chosen.range,
            "filters": chosen.filters,
            "adminEvents": "hidden" if chosen.hides_admin_events else "included",
        }


def _ended(maker: ManifestMaker) -> Mapping[str, Any]:
    return {"rows": maker.rows, "bytes": maker.size, "digest": maker.digest}


def _filters(wanted: AuditFilter) -> Mapping[str, str]:
    given = {
        "event": wanted.event,
        "action": wanted.action,
        "actorId": wanted.actor_id,
        _PERSONAL: wanted.actor_email,
        "resourceType": wanted.resource_type,
        "resourceId": wanted.resource_id,
        "organizationId": wanted.organization_id,
        "severity": wanted.severity,
        "outcome": wanted.outcome,
        "requestId": wanted.request_id,
    }
    return {"scope": wanted.scope or "all", **{name: str(value) for name, value in given.items() if value}}


def _told(chosen: Chosen) -> Mapping[str, Any]:
    filters = {name: value for name, value in chosen.filters.items() if name != _PERSONAL}
    return {"format": chosen.format.value, "range": dict(chosen.range), "filters": filters}


def _person(chosen: Chosen) -> Mapping[str, Any]:
    """An address that was searched for can be erased like any other personal data."""
    return {"filterActorEmail": chosen.filters[_PERSONAL]} if _PERSONAL in chosen.filters else {}
