"""One operator as who manages them sees them: the row, the live sessions, the last actions.

It changes nothing and queries nothing by itself: each part comes from the service that owns it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from admin_service.audit.models import AuditPage
from admin_service.audit.service import Reader
from admin_service.caller import Caller
from admin_service.operators.models import Operator
from admin_service.oversight.repository import SessionCountRepository
from admin_service.sessions.models import ListedSession
from service_kit.audit.queries import AuditFilter
from service_kit.clock import Clock
from service_kit.db.session import Database

MOST_ACTIONS: Final = 10


class Operators(Protocol):
    async def by_id(self, operator_id: str) -> Operator: ...


class Sessions(Protocol):
    async def list_of(self, caller: Caller, operator_id: str) -> Sequence[ListedSession]: ...

    async def end_one(self, caller: Caller, operator_id: str, session_id: str) -> None: ...

    async def end_all_of(self, caller: Caller, operator_id: str) -> int: ...


class AuditLog(Protocol):
    async def page(
        self, reader: Reader, wanted: AuditFilter, *, limit: int, allow_partial: bool
    ) -> AuditPage: ...


@dataclass(frozen=True, slots=True)
class OperatorOverview:
    """What the operator did last comes from both services; `actions.missing` names one that is away."""

    operator: Operator
    sessions: Sequence[ListedSession]
    actions: AuditPage


class OversightService:
    """Puts the parts together."""

    def __init__(self, operators: Operators, sessions: Sessions, audit: AuditLog) -> None:
        self._operators = operators
        self._sessions = sessions
        self._audit = audit

    async def overview(self, caller: Caller, operator_id: str, delegation: str | None) -> OperatorOverview:
        """Everything about one operator. Raises OperatorNotFoundError, and what `list_of` raises."""
        operator = await self._operators.by_id(operator_id)
        sessions, actions = await asyncio.gather(
            self._sessions.list_of(caller, operator_id),
            self._audit.page(
                Reader(caller.actor, delegation),
                AuditFilter(actor_id=operator_id),
                limit=MOST_ACTIONS,
                allow_partial=True,
            ),
        )
        return OperatorOverview(operator, sessions, actions)


class SessionCounts:
    """How many live sessions each operator of a list has."""

    def __init__(self, database: Database, counts: SessionCountRepository, clock: Clock) -> None:
        self._database = database
        self._counts = counts
        self._clock = clock

    async def of(self, operator_ids: Collection[str]) -> Mapping[str, int]:
        """By id; an operator without any is not in it. Whoever asks may manage operators: check it before."""
        async with self._database.read() as session:
            return await self._counts.live(session, operator_ids, self._clock.now())
