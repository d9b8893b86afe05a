"""What the audit endpoints take and give: the rows of this service's own log, for the admin service.

The admin service merges them with its own rows; it is the one that makes cursors for people.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, model_validator

from service_kit.audit.events import EventType, Outcome, Severity, Visibility
from service_kit.audit.export_places import RowPlace
from service_kit.audit.proving import Anchored, AnchorState, Proof
from service_kit.audit.queries import AuditFilter
from service_kit.audit.verifying import Differs, Stretch, printable
from service_kit.db.keyset import Position
from service_kit.web.schemas import ApiModel, PlainText, QueryModel
from tenant_service.moments import UtcMoment

MOST_ROWS: Final = 101
"""One more than a page of 100, so that the asker learns whether there is another page."""

MOST_DAYS: Final = 366

Word = Annotated[PlainText, StringConstraints(max_length=320)]


class ScopeChoice(StrEnum):
    """Which rows to list. `global` shows each action once."""

    GLOBAL = "global"
    TENANT = "tenant"
    ALL = "all"


class AuditRow(ApiModel):
    """One audit row with all its columns; what was erased of a person is null."""

    id: str
    occurred_at: datetime
    event: str
    event_version: int
    action: str
    severity: str
    outcome: str
    scope: str
    actor_type: str
    actor_id: str
    actor_role: str
    actor_email: str | None
    actor_name: str | None
    ip: str | None
    user_agent: str | None
    target_type: str
    target_id: str
    resource_type: str
    resource_id: str
    organization_id: str | None
    request_id: str
    session_ref: str | None
    justification_code: str | None
    reason: str
    ticket_ref: str
    predicate_digest: str | None
    predicate_shape: str | None
    row_count: int | None
    page_no: int | None
    details: Mapping[str, Any]
    chain: str
    chain_seq: int
    pair_id: str | None
    pii_commitment: str
    prev_hash: str
    hash: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The row as `AuditQueries` reads it; its `details` hold the erasable ones too."""
        return cls.model_validate({name: row[name] for name in cls.model_fields})


class AuditRows(ApiModel):
    """Rows in display order, newest first."""

    data: list[AuditRow]


class AuditPlace(ApiModel):
    """A row's neighbours in its chain by their hashes, and the newest signed note that covers the row."""

    previous_hash: str | None
    next_hash: str | None
    head_seq: int
    checkpoint: str | None
    checkpoint_seq: int | None

    @classmethod
    def of(cls, place: RowPlace) -> Self:
        return cls(**asdict(place))


class AuditDetail(ApiModel):
    """One row, the other row of its dual-scope pair, and its place in its chain."""

    row: AuditRow
    twin: AuditRow | None
    place: AuditPlace


class CataloguedEvent(ApiModel):
    """One kind of event; `scope` is `global`, `tenant`, or `dual` for a row of each."""

    event: str
    action: str
    severity: Severity
    scope: Visibility
    version: int
    resource_type: str

    @classmethod
    def of(cls, known: EventType) -> Self:
        return cls(
            event=known.name,
            action=known.action,
            severity=known.severity,
            scope=known.visibility,
            version=known.version,
            resource_type=known.resource_type,
        )


class EventCatalogue(ApiModel):
    """What this service can record (C-09)."""

    data: list[CataloguedEvent]


class AuditQuery(QueryModel):
    """A filter and a raw place in the list: rows older than `before…` or newer than `after…`."""

    event: Word = ""
    action: Word = ""
    actor_id: Word = ""
    actor_email: Word = ""
    resource_type: Word = ""
    resource_id: Word = ""
    organization_id: Word = ""
    severity: Severity | None = None
    outcome: Outcome | None = None
    request_id: Word = ""
    scope: ScopeChoice = ScopeChoice.GLOBAL
    since: UtcMoment | None = Field(default=None, alias="from")
    until: UtcMoment | None = Field(default=None, alias="to")
    before_at: UtcMoment | None = None
    before_id: Word = ""
    after_at: UtcMoment | None = None
    after_id: Word = ""
    limit: int = Field(default=100, ge=1, le=MOST_ROWS)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        before = (self.before_at is not None, bool(self.before_id))
        after = (self.after_at is not None, bool(self.after_id))
        if before[0] != before[1] or after[0] != after[1] or (before[0] and after[0]):
            raise ValueError("give beforeAt with beforeId, or afterAt with afterId, or neither")
        return self

    @property
    def filter(self) -> AuditFilter:
        return AuditFilter(
            event=self.event,
            action=self.action,
            actor_id=self.actor_id,
            actor_email=self.actor_email.lower(),
            resource_type=self.resource_type,
            resource_id=self.resource_id,
            organization_id=self.organization_id,
            severity=self.severity or "",
            outcome=self.outcome or "",
            request_id=self.request_id,
            scope="" if self.scope is ScopeChoice.ALL else self.scope.value,
            since=self.since,
            until=self.until,
        )

    @property
    def position(self) -> Position | None:
        if self.before_at is not None:
            return Position(self.before_at, self.before_id)
        if self.after_at is not None:
            return Position(self.after_at, self.after_id, backward=True)
        return None


class VerifyQuery(QueryModel):
    """What to verify: every chain by default."""

    chain: Word = ""
    since: UtcMoment | None = Field(default=None, alias="from")
    until: UtcMoment | None = Field(default=None, alias="to")

    @property
    def stretch(self) -> Stretch:
        return Stretch(self.chain, self.since, self.until)


class ChainBreak(ApiModel):
    """Where a chain is not what it was; `rowId` is empty when the row is missing."""

    chain: str
    seq: int
    row_id: str
    differs: Differs
    column: str


class Anchors(ApiModel):
    """Signed checkpoints that were held against the chains."""

    state: AnchorState
    checked: int
    newest_at: datetime | None

    @classmethod
    def of(cls, anchored: Anchored) -> Self:
        return cls(state=anchored.state, checked=anchored.checked, newest_at=anchored.newest_at)


class AuditProof(ApiModel):
    """What is known of this service's audit log."""

    ok: bool
    checked: int
    first_break: ChainBreak | None
    checkpoints: Anchors
    witness: Anchors

    @classmethod
    def of(cls, proof: Proof) -> Self:
        first = proof.breaks[0] if proof.breaks else None
        return cls(
            ok=proof.ok,
            checked=proof.verified.checked,
            first_break=ChainBreak.model_validate(printable(first)) if first is not None else None,
            checkpoints=Anchors.of(proof.checkpoints),
            witness=Anchors.of(proof.witness),
        )


class CountsQuery(QueryModel):
    """A period, its end excluded."""

    since: UtcMoment = Field(alias="from")
    until: UtcMoment = Field(alias="to")


class CountedEvent(ApiModel):
    event: str
    severity: str
    outcome: str
    count: int


class CountedActor(ApiModel):
    actor_type: str
    actor_id: str
    actor_email: str
    count: int


class AuditCountsModel(ApiModel):
    """How much was recorded in a period."""

    events: list[CountedEvent]
    actors: list[CountedActor]


class ActivityQuery(QueryModel):
    """How many days, today (UTC) included."""

    days: int = Field(default=30, ge=1, le=MOST_DAYS)


class DayCount(ApiModel):
    day: date
    count: int


class AuditActivity(ApiModel):
    """One entry for each day, oldest first, also for days on which nothing happened."""

    data: list[DayCount]
