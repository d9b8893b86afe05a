"""The rules of recording denials: who was refused, whom it concerns, and how much the log takes.

Nothing here lets anybody in or out. Nothing is lost in silence either: what has no room of its own is
folded into one row that says how many there were.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from admin_service import events
from admin_service.denials.models import (
    FOLDED,
    MOST_AN_HOUR,
    MOST_UNPROVEN_AN_HOUR,
    NOBODY,
    WINDOW,
    Denial,
    DenialReport,
    Written,
)
from admin_service.denials.repository import DenialRepository
from admin_service.operators.models import Operator
from admin_service.operators.repository import OperatorRepository
from service_kit.audit.events import SYSTEM, Actor, ActorType, AuditEntry, Outcome
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.email_address import normalise_email


@dataclass(frozen=True, slots=True)
class _Known:
    """The operators that a report names, as their rows say it in this transaction."""

    by_id: Mapping[str, Operator]
    by_email: Mapping[str, Operator]

    def actor(self, denial: Denial) -> Actor:
        """An operator only where the row that is named is bound to the subject that was proven."""
        row = self.by_id.get(denial.operator_id or "")
        if row is not None and row.access_sub == denial.sub:  # no row has an empty one
            return Actor(ActorType.GLOBAL_ADMIN, row.id, row.role.value, denial.email, row.name)
        return Actor(ActorType.ANONYMOUS, denial.sub or NOBODY, "", denial.email)

    def owner_id(self, denial: Denial) -> str:
        """The operator who owns the address; it only names whom the event concerns (R-060)."""
        owner = self.by_email.get(_normal(denial.email))
        return owner.id if owner is not None else ""


class DenialService:
    """Writes what the sidecars refused into the audit log."""

    def __init__(
        self,
        *,
        database: Database,
        denials: DenialRepository,
        operators: OperatorRepository,
        recorder: AuditRecorder,
        clock: Clock,
    ) -> None:
        self._database = database
        self._denials = denials
        self._operators = operators
        self._recorder = recorder
        self._clock = clock

    async def record(self, report: DenialReport) -> None:
        """Write the report, all of it or nothing."""
        if not report.denials and not report.dropped:
            return
        async with self._database.write() as session:
            await self._denials.one_at_a_time(session)
            written = await self._denials.written_since(session, self._clock.now() - WINDOW)
            single, folded = _with_room(report.denials, written)
            known = await self._known(session, single)
            for denial in single:
                await self._recorder.record(session, _entry(denial, known))
            if folded or report.dropped:
                await self._recorder.record(session, _folded_entry(folded, report.dropped))

    async def _known(self, session: WriteSession, denials: Sequence[Denial]) -> _Known:
        ids = {one.operator_id for one in denials if one.operator_id is not None}
        emails = {_normal(one.email) for one in denials if one.is_subject_changed}
        return _Known(
            await self._operators.by_ids(session, ids),
            await self._operators.by_live_emails(session, emails - {""}),
        )


def _with_room(denials: Sequence[Denial], written: Written) -> tuple[Sequence[Denial], Sequence[Denial]]:
    """Those that get a row of their own, and those that do not; what matters most comes first."""
    every, unproven = MOST_AN_HOUR - written.every, MOST_UNPROVEN_AN_HOUR - written.unproven
    single: list[Denial] = []
    folded: list[Denial] = []
    for denial in sorted(denials, key=_rank):
        fits = len(single) < every and (denial.is_proven or unproven > 0)
        (single if fits else folded).append(denial)
        if fits and not denial.is_proven:
            unproven -= 1
    return single, folded


def _rank(denial: Denial) -> int:
    if denial.is_subject_changed:
        return 0
    return 1 if denial.is_proven else 2


def _entry(denial: Denial, known: _Known) -> AuditEntry:
    changed = denial.is_subject_changed
    return AuditEntry(
        event=events.ACCESS_SUBJECT_CHANGED if changed else events.ACCESS_DENIED,
        actor=known.actor(denial),
        resource_id=known.owner_id(denial) if changed else denial.route,
        outcome=Outcome.DENIED,
        request_id=denial.request_id,
        ip=denial.ip,
        user_agent=denial.user_agent,
        details={
            "reason": denial.reason,
            "count": denial.count,
            "first_at": denial.first_at.isoformat(),
            "last_at": denial.last_at.isoformat(),
            "route": denial.route,
        },
    )


def _folded_entry(folded: Sequence[Denial], dropped: int) -> AuditEntry:
    """One row for all that had no room: how many, and why they were refused."""
    reasons: Counter[str] = Counter()
    for denial in folded:
        reasons[denial.reason] += denial.count
    details: dict[str, Any] = {
        "reason": FOLDED,
        "count": reasons.total() + dropped,
        "reasons": dict(reasons),
        "dropped": dropped,
    }
    if folded:
        details["first_at"] = min(denial.first_at for denial in folded).isoformat()
        details["last_at"] = max(denial.last_at for denial in folded).isoformat()
    return AuditEntry(
        event=events.ACCESS_DENIED, actor=SYSTEM, resource_id="", outcome=Outcome.DENIED, details=details
    )


def _normal(email: str) -> str:
    """The address in its normal form, or nothing that any row could have."""
    try:
        return normalise_email(email)
    except ValueError:
        return ""
