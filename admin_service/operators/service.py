"""The rules about operators: who may provision, list and deactivate whom (R-064…R-081).

It speaks neither HTTP nor SQL. Every change is one transaction with its audit rows last, and the
operator who asks is checked again inside it: somebody may have deactivated them a moment ago.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from admin_service import events
from admin_service.caller import Caller, Origin, audit_entry
from admin_service.operators.errors import (
    AlreadySeededError,
    LastSuperAdminError,
    OperatorExistsError,
    OperatorNotFoundError,
    SelfDeactivationError,
    SuperAdminGrantForbiddenError,
)
from admin_service.operators.models import (
    IssuedEnrollment,
    NewOperator,
    Operator,
    OperatorFilter,
    OperatorState,
    Sighting,
)
from admin_service.operators.own_row import operator_id_of, own_row
from admin_service.operators.repository import OperatorRepository
from admin_service.operators.tokens import TOKEN_LIFETIME, new_enrollment_token, token_digest
from admin_service.paging import MOST_ROWS, Page, cut, read_cursor
from service_kit.audit.events import SYSTEM, Actor
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.errors import ForbiddenError
from service_kit.identity.model import OPERATOR_PERMISSIONS, InternalIdentity, Permission, Role
from service_kit.ids import IdFactory
from service_kit.web.paging import CursorCodec

_PREFIX: Final = "adm"


class SessionEnder(Protocol):
    """Where an operator's sessions are; they die with the row, in the same transaction."""

    async def end_all(
        self, session: WriteSession, operator_id: str, by: Actor, origin: Origin | None
    ) -> None: ...


class OperatorService:
    """Everything that can be done with operators."""

    def __init__(
        self,
        *,
        database: Database,
        operators: OperatorRepository,
        recorder: AuditRecorder,
        ids: IdFactory,
        clock: Clock,
        cursors: CursorCodec,
        sessions: SessionEnder,
        roster_changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._operators = operators
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._cursors = cursors
        self._sessions = sessions
        self._roster_changed = roster_changed

    async def page(
        self, wanted: OperatorFilter, *, limit: int = MOST_ROWS, cursor: str | None = None
    ) -> Page[Operator]:
        """Operators, newest first. Raises BadRequestError `INVALID_CURSOR`."""
        filters = {"list": "operators", **wanted.as_dict()}
        position = read_cursor(self._cursors, cursor, filters)
        async with self._database.read() as session:
            rows = await self._operators.page(session, wanted, position=position, limit=limit + 1)
        return cut(
            rows,
            limit=limit,
            position=position,
            key=lambda operator: (operator.created_at, operator.id),
            encode=lambda place: self._cursors.encode(place, filters),
        )

    async def create(self, caller: Caller, wanted: NewOperator) -> IssuedEnrollment:
        """Provision an operator; the token in the result is shown once (R-067, R-068).

        Raises OperatorExistsError, SuperAdminGrantForbiddenError.
        """
        async with self._database.write() as session:
            actor = _still_allowed(
                caller.actor, await self._operators.lock(session, operator_id_of(caller.actor))
            )
            # a rule of its own, so that a future role with this permission cannot break it.
            if wanted.role is Role.SUPER_ADMIN and actor.role is not Role.SUPER_ADMIN:
                raise SuperAdminGrantForbiddenError
            return await self._provision(session, wanted, Actor.of(actor.speaks(caller.actor)), caller.origin)

    async def seed(self, wanted: NewOperator) -> IssuedEnrollment:
        """Provision the first operator of all (R-077). Raises AlreadySeededError when there is any row."""
        async with self._database.write() as session:
            # Two seeders at a time: the second one waits here, and then sees the first one's row.
            await self._operators.lock_roster(session)
            if await self._operators.any_exists(session):
                raise AlreadySeededError
            return await self._provision(session, wanted, SYSTEM, None)

    async def deactivate(self, caller: Caller, operator_id: str, *, reason: str = "") -> Operator:
        """Deactivate and end every session; a repeat changes nothing (R-064, R-078, R-079).

        Raises OperatorNotFoundError, SelfDeactivationError, LastSuperAdminError.
        """
        async with self._database.write() as session:
            rows = await self._operators.lock(session, operator_id_of(caller.actor), operator_id)
            actor = _still_allowed(caller.actor, rows)
            target = rows.get(operator_id)
            if target is None:
                raise OperatorNotFoundError
            if target.id == actor.id:
                raise SelfDeactivationError
            if target.state is OperatorState.DEACTIVATED:
                return target
            return await self._deactivate(session, caller, actor, target, reason)

    async def me(self, identity: InternalIdentity) -> Operator:
        """The caller's own row. Raises EnrollmentRequiredError, AccountDeactivatedError."""
        async with self._database.read() as session:
            row = await self._operators.by_id(session, operator_id_of(identity))
        return own_row(identity, row)

    async def confirmed(self, identity: InternalIdentity) -> InternalIdentity:
        """The identity with the role that its row has now: the row decides, not the token (R-039, R-064).

        A person who claims to be no operator, and a process, pass as they are.
        Raises EnrollmentRequiredError, AccountDeactivatedError.
        """
        if identity.operator_id is None:
            return identity
        return (await self.me(identity)).speaks(identity)

    async def seen(self, sightings: Sequence[Sighting]) -> None:
        """Note when operators were last at work (R-065); a time in the future counts as now."""
        now = self._clock.now()
        async with self._database.write() as session:
            for sighting in sorted(sightings, key=lambda seen: seen.operator_id):
                at = min(sighting.at, now)
                await self._operators.mark_seen(session, Sighting(sighting.operator_id, at))

    async def _provision(
        self, session: WriteSession, wanted: NewOperator, by: Actor, origin: Origin | None
    ) -> IssuedEnrollment:
        if await self._operators.live_email_exists(session, wanted.email):
            raise OperatorExistsError
        operator_id, token, now = self._ids.new(_PREFIX), new_enrollment_token(), self._clock.now()
        expires_at = now + TOKEN_LIFETIME
        await self._operators.insert(
            session,
            operator_id,
            wanted,
            token_hash=token_digest(token),
            expires_at=expires_at,
            by=by.id,
            now=now,
        )
        issued = IssuedEnrollment(await self._row(session, operator_id), token, expires_at)
        session.after_commit(self._roster_changed)
        await self._record_provision(session, issued, by, origin)
        return issued

    async def _record_provision(
        self, session: WriteSession, issued: IssuedEnrollment, by: Actor, origin: Origin | None
    ) -> None:
        operator = issued.operator
        person = {"email": operator.email, "name": operator.name}
        for event, details in (
            (events.OPERATOR_CREATED, {"role": operator.role.value}),
            (events.ENROLLMENT_ISSUED, {"expires_at": issued.expires_at.isoformat()}),
        ):
            entry = audit_entry(event, by, origin, operator.id, details=details, details_pii=person)
            await self._recorder.record(session, entry)

    async def _deactivate(
        self, session: WriteSession, caller: Caller, actor: Operator, target: Operator, reason: str
    ) -> Operator:
        # The CHECK of the guard row is the last line; asking first, under its lock, gives a clear answer.
        if target.is_active_super_admin and await self._operators.lock_active_super_admins(session) <= 1:
            raise LastSuperAdminError
        now, by = self._clock.now(), Actor.of(actor.speaks(caller.actor))
        await self._operators.deactivate(session, target.id, by=actor.id, reason=reason, now=now)
        session.after_commit(self._roster_changed)
        entry = audit_entry(
            events.OPERATOR_DEACTIVATED,
            by,
            caller.origin,
            target.id,
            reason=reason,
            details={"role": target.role.value, "state_before": target.state.value},
            details_pii={"email": target.email, "name": target.name},
        )
        changed = await self._row(session, target.id)
        await self._sessions.end_all(session, target.id, by, caller.origin)
        await self._recorder.record(session, entry)
        return changed

    async def _row(self, session: WriteSession, operator_id: str) -> Operator:
        row = await self._operators.by_id(session, operator_id)
        if row is None:
            raise OperatorNotFoundError
        return row


def _still_allowed(identity: InternalIdentity, locked: Mapping[str, Operator]) -> Operator:
    """The row of the operator who asks, as it is inside the transaction."""
    actor = own_row(identity, locked.get(operator_id_of(identity)))
    if Permission.MANAGE_GLOBAL_ADMINS not in OPERATOR_PERMISSIONS[actor.role]:
        raise ForbiddenError("PERMISSION_DENIED", "Permission denied")
    return actor
