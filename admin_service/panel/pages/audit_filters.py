"""Reading the audit page's filters from its URL: what makes sense is applied, the rest is named.

A filter that cannot be read is never dropped in silence: a list that looks filtered and is not would
be evidence of something that nobody checked.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol

from admin_service.panel.views.audit import DEFAULT_RANGE, OUTCOMES, RANGE_OPTIONS, SEVERITIES, AuditFilters
from service_kit.audit.queries import AuditFilter

AS_OF: Final = "asOf"
"""When the first page was read: a range ends nowhere, but its beginning must not move between pages,
because a cursor is bound to the filters it was made for."""

_SPANS: Final[Mapping[str, timedelta | None]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "all": None,
}
_LONGEST: Final = timedelta(days=365)
_MOST_CHARACTERS: Final = 320
_FIRST_DAY: Final = date(1970, 1, 1)
_LAST_DAY: Final = date(9999, 12, 30)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_CONTROLS: Final = (
    "event",
    "action",
    "actorEmail",
    "resourceType",
    "resourceId",
    "organizationId",
    "severity",
    "outcome",
    "from",
    "to",
    "range",
    "cursor",
    AS_OF,
)


class Query(Protocol):
    """The query of a URL."""

    def getall(self, key: str, default: list[str]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """What the URL asks for: for the form, for the reader, and what of it could not be used."""

    filters: AuditFilters
    wanted: AuditFilter
    as_of: datetime
    cursor: str = ""
    complaint: str = ""


def read_audit_request(query: Query, now: datetime) -> AuditRequest:
    """The request of an audit page, with one sentence for each parameter that makes no sense."""
    complaints: list[str] = []
    given = {name: _one(query, name, complaints) for name in _CONTROLS}
    _check_choice(given, "severity", SEVERITIES, complaints)
    _check_choice(given, "outcome", OUTCOMES, complaints)
    _check_choice(given, "range", tuple(name for name, _label in RANGE_OPTIONS), complaints)
    first, last = _day(given, "from", complaints), _day(given, "to", complaints)
    filters = _filters(given)
    as_of = _as_of(given[AS_OF], now)
    since, until = _bounds(filters, first, last, as_of)
    return AuditRequest(filters, _wanted(filters, since, until), as_of, given["cursor"], " ".join(complaints))


def _one(query: Query, name: str, complaints: list[str]) -> str:
    values = query.getall(name, [])
    if len(values) > 1:
        complaints.append(f"{name} was given more than once.")
        return ""
    text = values[0].strip() if values else ""
    if len(text) > _MOST_CHARACTERS or any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        complaints.append(f"{name} is no text that the log could hold.")
        return ""
    return text


def _check_choice(given: dict[str, str], name: str, options: tuple[str, ...], complaints: list[str]) -> None:
    if given[name] and given[name] not in options:
        complaints.append(f"{name} is one of {', '.join(options)}.")
        given[name] = ""


def _day(given: dict[str, str], name: str, complaints: list[str]) -> date | None:
    text = given[name]
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not _FIRST_DAY <= day <= _LAST_DAY:
        complaints.append(f"{name} is a day such as 2026-01-31.")
        given[name] = ""
        return None
    return day


def _as_of(text: str, now: datetime) -> datetime:
    """Never later than now; an unreadable one only makes the cursor not fit."""
    whole = now.replace(microsecond=0)
    return min(datetime.fromtimestamp(int(text), UTC), whole) if _SECONDS.fullmatch(text) else whole


def _filters(given: Mapping[str, str]) -> AuditFilters:
    return AuditFilters(
        event=given["event"],
        action=given["action"],
        actor_email=given["actorEmail"],
        resource_type=given["resourceType"],
        resource_id=given["resourceId"],
        organization_id=given["organizationId"],
        severity=given["severity"],
        outcome=given["outcome"],
        from_date=given["from"],
        to_date=given["to"],
        range=given["range"] or DEFAULT_RANGE,
    )


def _bounds(
    filters: AuditFilters, first: date | None, last: date | None, as_of: datetime
) -> tuple[datetime | None, datetime | None]:
    """Typed dates are whole UTC days, both included, and replace the range."""
    if filters.has_dates:
        since = datetime.combine(first, time(), UTC) if first else None
        until = datetime.combine(last + timedelta(days=1), time(), UTC) if last else None
        return since, until
    span = _SPANS[filters.range]
    return (as_of - span if span is not None else None), None


def _wanted(filters: AuditFilters, since: datetime | None, until: datetime | None) -> AuditFilter:
    return AuditFilter(
        event=filters.event,
        action=filters.action,
        actor_email=filters.actor_email.lower(),
        resource_type=filters.resource_type,
        resource_id=filters.resource_id,
        organization_id=filters.organization_id,
        severity=filters.severity,
        outcome=filters.outcome,
        # Rows of the platform's own log name no tenant in this column; the tenant's own rows do.
        scope="tenant" if filters.organization_id else "global",
        since=since,
        until=until,
    )


def export_parameters(asked: AuditRequest) -> Mapping[str, str]:
    """The same list in the words of the export, which takes moments, not days; it reaches back one year."""
    wanted = asked.wanted
    until = wanted.until or asked.as_of
    since = max(wanted.since or until - _LONGEST, until - _LONGEST)
    names = {name: value for name, value in asked.filters.chosen.items() if name not in {"from", "to"}}
    times = {"from": since.isoformat()} | ({"to": wanted.until.isoformat()} if wanted.until else {})
    return {**names, "scope": wanted.scope, **times}
