"""What comes in and goes out of the audit endpoints.

The members of a row keep the names of the seeds (`actor_email`, `created_at`), in snake case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, StringConstraints

from admin_service.audit.export import ExportAsked
from admin_service.audit.models import AuditDetail, AuditPage, AuditRow, AuditSource, KnownEvent
from admin_service.audit.verification import Verification
from service_kit.audit.events import Outcome, Severity, Visibility
from service_kit.audit.export_formats import ExportFormat
from service_kit.audit.queries import AuditFilter
from service_kit.audit.verifying import Stretch
from service_kit.web.pages import MOST_ROWS, PageModel
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel

_FIRST_YEAR: Final = 1970

Word = Annotated[PlainText, StringConstraints(max_length=200)]
EventPattern = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_]+)*(\.\*)?$", max_length=100)]


def _utc(value: datetime) -> datetime:
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # 0001-01-01T00:00+14:00 lies before the calendar begins
        raise ValueError("must be a time after 1970") from None
    if moment.year < _FIRST_YEAR:
        raise ValueError("must be a time after 1970")
    return moment


Moment = Annotated[datetime, AfterValidator(_utc)]
"""A date or a time; without a zone it is UTC."""


class ScopeWanted(StrEnum):
    """`global` shows each action once; `tenant` shows what tenants read of it."""

    GLOBAL = "global"
    TENANT = "tenant"
    ALL = "all"


class AuditFilterQuery(QueryModel):
    """Filters; a member that is left out asks nothing."""

    event: EventPattern | None = Field(default=None, description="Exact, or a prefix such as billing.*")
    action: Word = ""
    actor_id: Word = ""
    actor_email: EmailAddress | None = None
    resource_type: Word = ""
    resource_id: Word = ""
    organization_id: Word = ""
    severity: Severity | None = None
    outcome: Outcome | None = None
    scope: ScopeWanted = ScopeWanted.GLOBAL
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")
    request_id: Word = ""

    @property
    def wanted(self) -> AuditFilter:
        return AuditFilter(
            event=self.event or "",
            action=self.action,
            actor_id=self.actor_id,
            actor_email=self.actor_email or "",
            resource_type=self.resource_type,
            resource_id=self.resource_id,
            organization_id=self.organization_id,
            severity=self.severity or "",
            outcome=self.outcome or "",
            request_id=self.request_id,
            scope="" if self.scope is ScopeWanted.ALL else self.scope.value,
            since=self.since,
            until=self.until,
        )


class AuditQuery(AuditFilterQuery):
    """A page of the list."""

    limit: int = Field(default=MOST_ROWS, ge=1, le=MOST_ROWS)
    cursor: str | None = None
    allow_partial: bool = Field(default=False, alias="allow_partial")


class ExportQuery(AuditFilterQuery):
    """The same filters as the list; 90 days up to now by default, and at most a year."""

    format: ExportFormat

    @property
    def asked(self) -> ExportAsked:
        return ExportAsked(self.wanted, self.format)


class VerifyQuery(QueryModel):
    """What to verify: every chain of both services by default."""

    chain: Word = Field(default="", description="One chain: global, or a tenant's id")
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")

    @property
    def stretch(self) -> Stretch:
        return Stretch(self.chain, self.since, self.until)


class BreakModel(ApiModel):
    """Where a chain is not what it was; `rowId` is empty when the row is missing."""

    source: AuditSource
    chain: str
    seq: int
    row_id: str
    differs: str
    column: str


class AnchorsModel(ApiModel):
    """Signed checkpoints of one service that were held against its chains."""

    source: AuditSource
    state: str
    checked: int
    newest_at: AwareDatetime | None


class VerificationModel(ApiModel):
    """Whether the log is as it was written. `checkpoints` are the services' own; `witness` are those that
    each service's peer kept of it.
    """

    ok: bool
    checked: int
    first_break: BreakModel | None
    checkpoints: list[AnchorsModel]
    witness: list[AnchorsModel]

    @classmethod
    def of(cls, found: Verification) -> Self:
        first = found.first_break
        return cls(
            ok=found.ok,
            checked=found.checked,
            first_break=BreakModel(**asdict(first)) if first is not None else None,
            checkpoints=[AnchorsModel(**asdict(one)) for one in found.checkpoints],
            witness=[AnchorsModel(**asdict(one)) for one in found.witness],
        )


class AuditRowModel(ApiModel):
    """One row: the six fields of seed 1 (R-031), those of seed 2, and its place in the hash chain.

    The place is null for a role that sees no `admin.*`: its gaps would count them (R-080).
    """

    model_config = ConfigDict(alias_generator=None)

    id: str
    source: AuditSource
    created_at: AwareDatetime
    event: str
    event_version: int
    action: str
    severity: Severity
    outcome: Outcome
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
    ip: str
    user_agent: str
    details: Mapping[str, Any]

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        values = asdict(row)
        created_at = values.pop("occurred_at")
        return cls(
            **values
            | {"created_at": created_at, "severity": Severity(row.severity), "outcome": Outcome(row.outcome)}
        )


class AuditListModel(ApiModel):
    """Rows of both services, newest first; `partial` when `missing` did not answer."""

    data: list[AuditRowModel]
    page: PageModel
    partial: bool
    missing: list[AuditSource]

    @classmethod
    def of(cls, found: AuditPage) -> Self:
        return cls(
            data=[AuditRowModel.of(row) for row in found.rows],
            page=PageModel.of(found.page),
            partial=found.partial,
            missing=list(found.missing),
        )


class PlaceModel(ApiModel):
    """A row's neighbours in its chain by their hashes alone, and the newest signed note that covers it."""

    previous_hash: str | None
    next_hash: str | None
    head_seq: int
    checkpoint: str | None = Field(description="A C2SP signed note; null when none covers the row yet.")
    checkpoint_seq: int | None


class AuditDetailModel(ApiModel):
    """One row, its twin in the other scope where the action wrote a pair (R-126), its place in the chain."""

    row: AuditRowModel
    twin: AuditRowModel | None
    place: PlaceModel | None

    @classmethod
    def of(cls, detail: AuditDetail) -> Self:
        twin = AuditRowModel.of(detail.twin) if detail.twin is not None else None
        place = PlaceModel(**asdict(detail.place)) if detail.place is not None else None
        return cls(row=AuditRowModel.of(detail.row), twin=twin, place=place)


class KnownEventModel(ApiModel):
    """One kind of event; `scope` is `global`, `tenant`, or `dual` for a row of each."""

    source: AuditSource
    event: str
    action: str
    severity: Severity
    scope: Visibility
    version: int
    resource_type: str

    @classmethod
    def of(cls, known: KnownEvent) -> Self:
        found = {"severity": Severity(known.severity), "scope": Visibility(known.scope)}
        return cls(**asdict(known) | found)


class CatalogueModel(ApiModel):
    """Every kind of event that the two services record (C-09)."""

    data: list[KnownEventModel]

    @classmethod
    def of(cls, known: Sequence[KnownEvent]) -> Self:
        return cls(data=[KnownEventModel.of(one) for one in known])
