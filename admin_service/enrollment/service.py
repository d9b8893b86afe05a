"""The rules of a claim: one winner, one answer for every failure, few tries (R-061, R-062, G-17, G-18).

It tells a claimant nothing about why a claim failed; the audit log does.
"""

from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import Final

from admin_service import events
from admin_service.caller import Origin, audit_entry
from admin_service.enrollment.errors import EnrollmentLimitedError, EnrollmentRefusedError
from admin_service.enrollment.models import (
    MOST_TRIES,
    TRIES_WINDOW,
    Claimant,
    ClaimFailure,
    Enrolled,
    Limited,
)
from admin_service.enrollment.repository import Candidates, EnrollmentRepository
from admin_service.operators.models import Operator
from admin_service.operators.repository import OperatorRepository
from admin_service.operators.tokens import token_digest
from service_kit.audit.events import Actor, ActorType, AuditEntry, Outcome
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.ids import IdFactory

_PREFIX: Final = "try"


class EnrollmentService:
    """Claims operator rows."""

    def __init__(
        self,
        *,
        database: Database,
        enrollments: EnrollmentRepository,
        operators: OperatorRepository,
        recorder: AuditRecorder,
        ids: IdFactory,
        clock: Clock,
        roster_changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._enrollments = enrollments
        self._operators = operators
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._roster_changed = roster_changed

    async def claim(self, claimant: Claimant, token: str, origin: Origin) -> Enrolled:
        """The operator that the claimant is from now on.

        Raises EnrollmentRefusedError (403 `ENROLLMENT_REQUIRED`: wrong, expired, used, foreign or
        deactivated, all alike) or EnrollmentLimitedError (429 `ENROLLMENT_LIMITED`).
        """
        async with self._database.write() as session:
            outcome = await self._attempt(session, claimant, token_digest(token), origin)
        # After the commit: a failed try must stay counted and recorded.
        match outcome:
            case Enrolled():
                return outcome
            case Limited():
                raise EnrollmentLimitedError(outcome.retry_after)
            case ClaimFailure():
                raise EnrollmentRefusedError

    async def is_enrolled(self, sub: str) -> bool:
        """Whether the person is an active operator by the own table, which is ahead of the feed."""
        async with self._database.read() as session:
            return await self._enrollments.has_claimed(session, sub)

    async def _attempt(
        self, session: WriteSession, claimant: Claimant, digest: str, origin: Origin
    ) -> Enrolled | Limited | ClaimFailure:
        now = self._clock.now()
        await self._enrollments.one_at_a_time(session, claimant.sub)
        tries = await self._enrollments.tries_since(session, claimant.sub, now - TRIES_WINDOW)
        if len(tries) >= MOST_TRIES:
            # Neither counted nor recorded: whoever goes on trying fills no table and no audit log.
            return Limited(ceil((tries[0] + TRIES_WINDOW - now).total_seconds()))
        found = await self._enrollments.candidates(session, digest, claimant.sub)
        failure = _failure(found, claimant, now)
        if failure is None and found.by_token is not None:
            if await self._enrollments.claim(session, found.by_token.id, claimant, digest, now):
                return await self._won(session, found.by_token.id, claimant, origin)
            failure = ClaimFailure.LOST_RACE
        return await self._lost(session, claimant, found, failure or ClaimFailure.UNKNOWN_TOKEN, origin)

    async def _won(
        self, session: WriteSession, operator_id: str, claimant: Claimant, origin: Origin
    ) -> Enrolled:
        operator = await self._operators.by_id(session, operator_id)
        if operator is None:
            raise RuntimeError("the claimed row vanished within its own transaction")
        version = await self._operators.roster_version(session)
        await self._enrollments.forget_tries(session, claimant.sub)
        session.after_commit(self._roster_changed)
        await self._recorder.record(session, _claimed(operator, claimant, origin))
        return Enrolled(operator, version)

    async def _lost(
        self,
        session: WriteSession,
        claimant: Claimant,
        found: Candidates,
        failure: ClaimFailure,
        origin: Origin,
    ) -> ClaimFailure:
        await self._enrollments.add_try(session, self._ids.new(_PREFIX), claimant.sub, self._clock.now())
        await self._recorder.record(session, _failed(claimant, found.by_token, failure, origin))
        return failure


def _failure(found: Candidates, claimant: Claimant, now: datetime) -> ClaimFailure | None:
    """What forbids the claim as far as the rows tell; the update asks all of it again."""
    row = found.by_token
    if row is None:
        return ClaimFailure.UNKNOWN_TOKEN
    if found.by_sub is not None:
        return ClaimFailure.SUB_TAKEN
    if row.deactivated_at is not None:
        return ClaimFailure.DEACTIVATED
    if row.enrollment_expires_at is None or row.enrollment_expires_at <= now:
        return ClaimFailure.EXPIRED
    return None if row.email == claimant.email else ClaimFailure.OTHER_EMAIL


def _claimed(operator: Operator, claimant: Claimant, origin: Origin) -> AuditEntry:
    actor = Actor(ActorType.GLOBAL_ADMIN, operator.id, operator.role.value, claimant.email, operator.name)
    details = {"role": operator.role.value}
    return audit_entry(events.ENROLLMENT_CLAIMED, actor, origin, operator.id, details=details)


def _failed(
    claimant: Claimant, candidate: Operator | None, failure: ClaimFailure, origin: Origin
) -> AuditEntry:
    return audit_entry(
        events.ENROLLMENT_FAILED,
        Actor(ActorType.ANONYMOUS, claimant.sub, "", claimant.email),
        origin,
        candidate.id if candidate else "",
        outcome=Outcome.DENIED,
        details={"cause": failure.value},
    )
