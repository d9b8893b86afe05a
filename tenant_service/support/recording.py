"""The audit rows of the support search: what the platform reads of it, and what each tenant reads.

No row holds a value that was searched for (R-124).
"""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from service_kit.audit.chain import canonical_json
from service_kit.audit.events import AuditEntry, EventType, Outcome, Predicate
from service_kit.db.session import WriteSession
from service_kit.ids import IdFactory
from tenant_service.asking import Asker
from tenant_service.events import (
    ORG_SUPPORT_ACCESS,
    SUPPORT_QUERY_CHECKED,
    SUPPORT_QUERY_EXECUTED,
    SUPPORT_QUERY_RATE_LIMITED,
)
from tenant_service.recording import Recorder
from tenant_service.support.models import BUDGET, FoundMembership, FoundUser, Wanted
from tenant_service.support.predicates import QUERY_ID, PredicateKey

_RESOURCE: Final = "search"


@dataclass(frozen=True, slots=True)
class Shown:
    """One page as it will be shown, if its rows can be written."""

    wanted: Wanted
    users: Sequence[FoundUser]
    memberships: Sequence[FoundMembership]
    limit: int
    page_no: int
    cursor_digest: str | None
    justification: str
    ticket_ref: str


@dataclass(frozen=True, slots=True)
class SearchLog:
    """Writes the rows, each in its caller's transaction, which ends with what the recorder raises (R-121)."""

    recorder: Recorder
    ids: IdFactory
    key: PredicateKey
    tells_tenants: bool

    async def executed(self, session: WriteSession, asker: Asker, shown: Shown) -> str:
        """The CRITICAL row, and one for each tenant whose people are shown; the first one's id."""
        entries = [self._executed(asker, shown)]
        if self.tells_tenants:
            entries += _told(asker, shown)
        pair_id = self.ids.new("pair") if len(entries) > 1 else None
        written = [await self._write(session, entry, pair_id) for entry in entries]
        return written[0]

    async def rate_limited(self, session: WriteSession, asker: Asker) -> None:
        details = {"limit": BUDGET.most, "windowSeconds": int(BUDGET.window.total_seconds())}
        entry = _entry(SUPPORT_QUERY_RATE_LIMITED, asker, details=details, outcome=Outcome.DENIED)
        await self._write(session, entry)

    async def checked(self, session: WriteSession, asker: Asker, event_id: str, *, matches: bool) -> None:
        """That somebody asked, and what they learned; never what they typed."""
        entry = _entry(SUPPORT_QUERY_CHECKED, asker, event_id, details={"matches": matches})
        await self._write(session, entry)

    async def _write(self, session: WriteSession, entry: AuditEntry, pair_id: str | None = None) -> str:
        ids = await self.recorder.record(session, replace(entry, pair_id=pair_id))
        return ids[0]

    def _executed(self, asker: Asker, shown: Shown) -> AuditEntry:
        predicate = Predicate(
            digest=self.key.predicate(shown.wanted, limit=shown.limit, cursor=shown.cursor_digest),
            shape=canonical_json(shown.wanted.shape).decode(),
            row_count=len(shown.users),
            page_no=shown.page_no,
        )
        details = {
            "queryId": QUERY_ID,
            "limit": shown.limit,
            "cursorDigest": shown.cursor_digest,
            "resultIdsDigest": self.key.result([user.id for user in shown.users]),
        }
        return _entry(SUPPORT_QUERY_EXECUTED, asker, shown=shown, details=details, predicate=predicate)


def _told(asker: Asker, shown: Shown) -> list[AuditEntry]:
    """What each tenant reads: who looked, why, and at how many of their people. In the order of locks."""
    people = Tally(membership.organization_id for membership in shown.memberships)
    return [
        _entry(
            ORG_SUPPORT_ACCESS,
            asker,
            shown=shown,
            details={"people": people[organization_id]},
            organization_id=organization_id,
        )
        for organization_id in sorted(people)
    ]


def _entry(
    event: EventType,
    asker: Asker,
    resource_id: str = _RESOURCE,
    *,
    details: Mapping[str, Any],
    shown: Shown | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    organization_id: str | None = None,
    predicate: Predicate | None = None,
) -> AuditEntry:
    return AuditEntry(
        event=event,
        actor=asker.actor,
        resource_id=resource_id,
        organization_id=organization_id,
        outcome=outcome,
        request_id=asker.request_id,
        ip=asker.ip,
        user_agent=asker.user_agent,
        reason=shown.justification if shown else "",
        ticket_ref=shown.ticket_ref if shown else "",
        details=details,
        predicate=predicate,
    )
