"""An audit row as a typed value, wherever it was written, and pages of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, Self

from service_kit.audit.events import EventType
from service_kit.audit.export_places import RowPlace
from service_kit.web.pages import Page


class AuditSource(StrEnum):
    """Whose database holds a row."""

    ADMIN = "admin"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One audit row: the fields of seed 1 and those of seed 2 (C-09).

    `actor_email` and its neighbours are empty when the personal data was erased.
    """

    source: AuditSource
    id: str
    occurred_at: datetime
    event: str
    event_version: int
    action: str
    severity: str
    outcome: str
    actor_type: str
    actor_id: str
    actor_role: str
    actor_email: str
    actor_name: str
    target_type: str
    target_id: str
    resource_type: str
    resource_id: str
    organization_id: str | None
    scope: str
    request_id: str
    reason: str
    ticket_ref: str
    pair_id: str | None
    chain: str
    chain_seq: int | None
    hash: str | None
    prev_hash: str | None
    ip: str = ""
    user_agent: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, source: AuditSource, row: Mapping[str, Any]) -> Self:
        """From a row as `AuditQueries` names its columns; personal data that was erased is None there."""
        values = {name: row[name] for name in _REQUIRED}
        values |= {name: row.get(name) or "" for name in _PERSONAL}
        return cls(source=source, details=row["details"] or {}, **values)

    @property
    def unplaced(self) -> Self:
        """Without its place in the chain and its pair: their gaps count the rows that a role never sees."""
        return replace(self, chain_seq=None, hash=None, prev_hash=None, pair_id=None)

    @property
    def key(self) -> tuple[datetime, str]:
        """The order of the log: ids are sortable, so it is total over both sources."""
        return self.occurred_at, self.id


_PERSONAL: Final = ("actor_email", "actor_name", "ip", "user_agent")
_REQUIRED: Final = tuple(
    one.name for one in fields(AuditRow) if one.name not in {"source", "details", *_PERSONAL}
)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Rows of both sources, newest first; `missing` names the sources that did not answer."""

    page: Page[AuditRow]
    missing: tuple[AuditSource, ...] = ()

    @property
    def rows(self) -> tuple[AuditRow, ...]:
        return self.page.rows

    @property
    def partial(self) -> bool:
        return bool(self.missing)


@dataclass(frozen=True, slots=True)
class AuditDetail:
    """One row and, for an operator's act on a tenant, its twin in the other scope (R-126)."""

    row: AuditRow
    twin: AuditRow | None = None
    place: RowPlace | None = None
    """Its neighbours in the chain; None from a tenant service that does not tell."""


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many management actions a day (UTC) saw."""

    day: date
    count: int


@dataclass(frozen=True, slots=True)
class Activity:
    """One count for each of the last days, the oldest first, today last."""

    days: tuple[DayCount, ...]
    missing: tuple[AuditSource, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """One kind of event, and which service records it. `scope` is `global`, `tenant` or `dual`."""

    source: AuditSource
    event: str
    action: str
    severity: str
    scope: str
    version: int
    resource_type: str

    @classmethod
    def own(cls, known: EventType) -> Self:
        return cls(
            AuditSource.ADMIN,
            known.name,
            known.action,
            known.severity.value,
            known.visibility.value,
            known.version,
            known.resource_type,
        )
