"""The audit pages: the log (P-16, R-030…R-033) and one event (P-17).

Does not filter: what a role must not read (R-080) never arrives here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from admin_service.panel.views.audit_check import PredicateCheckView
from admin_service.panel.views.list_tools import ListTools
from admin_service.panel.views.parts import Choice, Link, Pager, Tone, choices, page_url, path_segment

AUDIT_PATH = "/manage/audit"
EXPORT_PATH = "/api/admin/audit-logs/export"
EVIDENCE_PATH = "/manage/audit/evidence"
PACK_PATH = f"{EVIDENCE_PATH}/pack"
VERIFY_PATH = "/api/admin/audit-logs/verify"
EXPORT_FORMATS = (("csv", "CSV"), ("ndjson", "NDJSON"))
DEFAULT_RANGE = "90d"
RANGE_OPTIONS: tuple[tuple[str, str], ...] = (
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("all", "All time"),
)
SEVERITIES = ("INFO", "NOTICE", "WARNING", "CRITICAL")
OUTCOMES = ("success", "denied", "failure")
SUMMARY_MEMBERS = 2
ERASED_ACTOR = "erased person"
SUMMARY_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a printed page says of itself: filter and count, and whether the log was verified."""

    told: tuple[tuple[str, str], ...]
    verdict: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event with the six fields of R-031 and what the log adds to them.

    `occurred_at` is the seed's `created_at`. `actor_email` is None when nobody was known, or its
    personal data was erased.
    """

    id: str
    occurred_at: datetime
    actor_email: str | None
    event: str
    severity: str
    outcome: str
    action: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)
    actor_role: str | None = None
    actor_type: str = "global_admin"
    organization_id: str | None = None

    @property
    def actor(self) -> str:
        """Who it was. A person always had an address: where it is gone, it was erased."""
        if self.actor_email:
            return self.actor_email
        return "system" if self.actor_type == "system" else ERASED_ACTOR

    @property
    def href(self) -> str:
        return f"{AUDIT_PATH}/{path_segment(self.id)}"

    @property
    def details_json(self) -> str:
        return json.dumps(self.details, indent=2, sort_keys=True, ensure_ascii=False, default=str)

    @property
    def details_summary(self) -> str:
        """The first members in one line; the whole JSON stands below it."""
        shown = [f"{name}: {_short(value)}" for name, value in list(self.details.items())[:SUMMARY_MEMBERS]]
        left = len(self.details) - len(shown)
        return ", ".join(shown) + (f" +{left}" if left else "")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SUMMARY_LENGTH else text[: SUMMARY_LENGTH - 1] + "…"


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """The state of the filter form, exactly as the URL gave it; the names are those of the API."""

    event: str = ""
    action: str = ""
    actor_email: str = ""
    resource_type: str = ""
    resource_id: str = ""
    organization_id: str = ""
    severity: str = ""
    outcome: str = ""
    from_date: str = ""
    to_date: str = ""
    range: str = DEFAULT_RANGE

    @property
    def chosen(self) -> dict[str, str]:
        """What narrows the list, by the name of its URL parameter; the range is not among them."""
        all_filters = {
            "event": self.event,
            "action": self.action,
            "actorEmail": self.actor_email,
            "resourceType": self.resource_type,
            "resourceId": self.resource_id,
            "organizationId": self.organization_id,
            "severity": self.severity,
            "outcome": self.outcome,
            "from": self.from_date,
            "to": self.to_date,
        }
        return {name: value for name, value in all_filters.items() if value}

    @property
    def has_dates(self) -> bool:
        return bool(self.from_date or self.to_date)


@dataclass(frozen=True, slots=True)
class AuditListView:
    """P-16. `missing_sources` names the services whose rows are not in the list.

    `admin_events_hidden` is True for a role that never sees `admin.*` (R-080): the page says so.
    """

    template: ClassVar[str] = "audit_list.html"
    section: ClassVar[str] = "audit"

    rows: tuple[AuditRow, ...]
    filters: AuditFilters = field(default_factory=AuditFilters)
    events: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    resource_types: tuple[str, ...] = ()
    pager: Pager = field(default_factory=Pager)
    missing_sources: tuple[str, ...] = ()
    admin_events_hidden: bool = False
    invalid_filters: str = ""
    as_of: datetime | None = None
    tools: ListTools = field(default_factory=lambda: ListTools("audit", AUDIT_PATH, {}))
    exported: Mapping[str, str] | None = None
    """The parameters of an export of this list; None for a role that exports nothing."""

    @property
    def title(self) -> tuple[str, ...]:
        return ("Audit log",)

    @property
    def stamp(self) -> Stamp:
        """What the printed page says of itself; a page of the list is never a proof."""
        chosen = " ".join(f"{name}={value}" for name, value in self.filters.chosen.items())
        rest = "; there are more on other pages" if self.pager.needed else ""
        told = (
            ("Filters", chosen or "none"),
            ("Range", self.range_label),
            ("Events on this page", f"{len(self.rows):,}{rest}"),
        )
        if self.missing_sources:
            return Stamp(told, "INCOMPLETE: a source did not answer. This is no evidence", "danger")
        return Stamp(told, "Not verified: the page of evidence verifies the log", "warning")

    @property
    def exports(self) -> tuple[Link, ...]:
        """The list as a file, with the filters that are on, and the proof of the log."""
        if self.exported is None:
            return ()
        files = [
            Link(label, page_url(EXPORT_PATH, {**self.exported, "format": name}))
            for name, label in EXPORT_FORMATS
        ]
        return (*files, Link("Verify", VERIFY_PATH), Link("Evidence", EVIDENCE_PATH))

    @property
    def range_choices(self) -> tuple[Choice, ...]:
        """A chip gives up the typed dates: a range and two dates would contradict each other."""
        kept = {name: value for name, value in self.filters.chosen.items() if name not in {"from", "to"}}
        chosen = None if self.filters.has_dates else self.filters.range
        return choices(AUDIT_PATH, {**kept, "range": chosen, **self.tools.looks}, "range", RANGE_OPTIONS)

    @property
    def range_label(self) -> str:
        if self.filters.has_dates:
            return "in these dates"
        words = {
            "24h": "in the last 24 hours",
            "7d": "in the last 7 days",
            "30d": "in the last 30 days",
            "90d": "in the last 90 days",
        }
        return words.get(self.filters.range, "since the beginning")

    @property
    def removals(self) -> tuple[tuple[str, str, str], ...]:
        """(name, value, address without it) for each filter that is on."""
        chosen = self.filters.chosen
        return tuple(
            (name, value, page_url(AUDIT_PATH, {**self._with_range, name: None}))
            for name, value in chosen.items()
        )

    @property
    def all_time(self) -> str:
        return page_url(AUDIT_PATH, {**self.filters.chosen, "from": None, "to": None, "range": "all"})

    @property
    def clear(self) -> str:
        return AUDIT_PATH

    @property
    def _with_range(self) -> dict[str, str | None]:
        spoken = None if self.filters.range == DEFAULT_RANGE else self.filters.range
        return {**self.filters.chosen, "range": spoken, **self.tools.looks}


@dataclass(frozen=True, slots=True)
class AuditDetailView:
    """P-17: one event, its twin in the other scope, and its place in the hash chain."""

    template: ClassVar[str] = "audit_detail.html"
    section: ClassVar[str] = "audit"

    row: AuditRow
    chain: str
    chain_seq: int | None
    hash: str | None
    prev_hash: str | None
    scope: str
    request_id: str | None = None
    pair_id: str | None = None
    twin: AuditRow | None = None
    twin_chain: str | None = None
    reason: str | None = None
    ticket_ref: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    twin_seq: int | None = None
    twin_hash: str | None = None
    next_hash: str | None = None
    head_seq: int | None = None
    checkpoint: str | None = None
    """The newest signed note that covers the row, as text."""

    checkpoint_seq: int | None = None
    check: PredicateCheckView | None = None
    """The question about a search; None where there is none, or the role may not ask."""

    @property
    def receipt(self) -> str:
        """What proves later that this row stood here: to be kept outside of the services."""
        members = {
            "event_id": self.row.id,
            "event": self.row.event,
            "occurred_at": self.row.occurred_at,
            "chain": self.chain,
            "chain_seq": self.chain_seq,
            "prev_hash": self.prev_hash,
            "hash": self.hash,
            "next_hash": self.next_hash,
            "twin": self.twin.id if self.twin else None,
            "checkpoint": self.checkpoint,
        }
        return json.dumps(members, indent=2, ensure_ascii=False, default=str)

    @property
    def title(self) -> tuple[str, ...]:
        return (self.row.event, "Audit log")
