"""A tenant's own audit log, for its owners and admins: rows of its own view, and nobody else's (R-127).

What an operator did stands there with the operator's name, as done "via system operator", and with why;
their address, their network and the platform's own view do not.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service_kit.audit.events import ActorType, AuditScope
from service_kit.audit.export_formats import csv_line, guarded
from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.db.keyset import Position
from service_kit.web.pages import Page, cut, read_cursor
from service_kit.web.paging import CursorCodec
from tenant_service.people.managing import require_manager
from tenant_service.people.scope import TenantDatabase
from tenant_service.people.visitor import SignedIn

VIA_OPERATOR: Final = "system operator"
_BATCH: Final = 200
_COLUMNS: Final = (
    "created_at",
    "id",
    "event",
    "action",
    "severity",
    "outcome",
    "actor_type",
    "actor_name",
    "via",
    "justification",
    "resource_type",
    "resource_id",
    "details",
)


@dataclass(frozen=True, slots=True)
class LogRow:
    """One thing that happened, as the tenant may know it."""

    id: str
    occurred_at: datetime
    event: str
    action: str
    severity: str
    outcome: str
    actor_type: str
    actor_name: str | None
    actor_email: str | None
    via: str | None
    justification: str | None
    resource_type: str
    resource_id: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TenantLog:
    """Reads the log of one tenant at a time."""

    database: TenantDatabase
    audit: AuditQueries
    cursors: CursorCodec

    async def page(self, by: SignedIn, *, cursor: str | None, limit: int) -> Page[LogRow]:
        """Rows, newest first. Raises MayNotError, BadRequestError `INVALID_CURSOR`."""
        require_manager(by)
        bound = {"list": "tenant_log", "tenant": by.visitor.tenant.id}
        position = read_cursor(self.cursors, cursor, bound)
        return cut(
            await self._rows(by, position, limit + 1),
            limit=limit,
            position=position,
            key=lambda row: (row.occurred_at, row.id),
            encode=lambda place: self.cursors.encode(place, bound),
        )

    async def csv(self, by: SignedIn) -> AsyncGenerator[bytes]:
        """The whole log as CSV, newest first, some hundred rows at a time. Raises MayNotError."""
        require_manager(by)
        yield csv_line(_COLUMNS)
        position: Position | None = None
        while rows := await self._rows(by, position, _BATCH):
            yield b"".join(csv_line(map(guarded, _cells(row))) for row in rows)
            position = Position(rows[-1].occurred_at, rows[-1].id)

    async def _rows(self, by: SignedIn, position: Position | None, limit: int) -> list[LogRow]:
        wanted = AuditFilter(organization_id=by.visitor.tenant.id, scope=AuditScope.TENANT.value)
        async with self.database.read(by.visitor.scope) as at:
            rows = await self.audit.page(
                at.session, wanted, hide_admin_events=True, position=position, limit=limit
            )
        return [_row(row) for row in rows]


def _row(row: Mapping[str, Any]) -> LogRow:
    by_operator = row["actor_type"] == ActorType.GLOBAL_ADMIN.value
    return LogRow(
        id=row["id"],
        occurred_at=row["occurred_at"],
        event=row["event"],
        action=row["action"],
        severity=row["severity"],
        outcome=row["outcome"],
        actor_type="operator" if by_operator else row["actor_type"],
        actor_name=row["actor_name"] or None,
        actor_email=None if by_operator else row["actor_email"] or None,
        via=VIA_OPERATOR if by_operator else None,
        justification=row["reason"] or None if by_operator else None,
        resource_type=row["resource_type"],
        resource_id=row["resource_id"],
        details=row["details"],
    )


def _cells(row: LogRow) -> tuple[str, ...]:
    return (
        row.occurred_at.isoformat(),
        row.id,
        row.event,
        row.action,
        row.severity,
        row.outcome,
        row.actor_type,
        row.actor_name or "",
        row.via or "",
        row.justification or "",
        row.resource_type,
        row.resource_id,
        json.dumps(dict(row.details), ensure_ascii=False, sort_keys=True),
    )
