"""What every change of an operator has in common: rows locked, who asks checked again, one transaction.

It decides nothing about a change. Rows are locked in the order of their ids, then the guard's row, then
the heads of the audit chains: two changes never wait for each other in a circle.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from admin_service.caller import Caller, Origin, audit_entry
from admin_service.operators.errors import (
    LastSuperAdminError,
    OperatorNotFoundError,
    SuperAdminGrantForbiddenError,
)
from admin_service.operators.models import Operator
from admin_service.operators.own_row import operator_id_of, own_row
from admin_service.operators.repository import OperatorRepository
from service_kit.audit.events import Actor, EventType
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.errors import ForbiddenError
from service_kit.identity.model import OPERATOR_PERMISSIONS, InternalIdentity, Permission, Role
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.once import AlreadyDoneError, Once

R = TypeVar("R")

EndSessions = Callable[[WriteSession, str, Actor, Origin | None], Awaitable[None]]
"""Ends every session of the operator with this id within the transaction, and records it."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who answers for a change in the audit log; a command on the host has no origin."""

    actor: Actor
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The transaction of a change, and who asks for it: their row as it is now, held until the commit."""

    session: WriteSession
    asker: Operator
    author: Author
    locked: Mapping[str, Operator]
    keys: IdempotencyStore
    once: Once | None = None

    def target(self, operator_id: str) -> Operator:
        """The locked row of the operator to change. Raises OperatorNotFoundError."""
        found = self.locked.get(operator_id)
        if found is None:
            raise OperatorNotFoundError
        return found

    def refuse_grant_of(self, role: Role) -> None:
        """Raise SuperAdminGrantForbiddenError unless who asks may hand this role out.

        R-076 is a rule of its own, so that a future role that manages operators cannot break it.
        """
        if role is Role.SUPER_ADMIN and self.asker.role is not Role.SUPER_ADMIN:
            raise SuperAdminGrantForbiddenError

    async def answered(self, result: R) -> R:
        """The result; with a key it is kept as the answer, in the transaction of the change."""
        if self.once is not None:
            await self.keys.finish(self.session, self.once.request, self.once.answer(result))
        return result


@dataclass(frozen=True, slots=True)
class OperatorChanges:
    """Opens the transaction of a change, and ends it with what others must know."""

    database: Database
    operators: OperatorRepository
    recorder: AuditRecorder
    keys: IdempotencyStore
    clock: Clock
    end_sessions: EndSessions
    end_bound_sessions: EndSessions
    """The same, when the row is to be bound to another subject."""
    roster_changed: Callable[[], None]

    @asynccontextmanager
    async def asked_by(
        self, caller: Caller, *operator_ids: str, once: Once | None = None
    ) -> AsyncIterator[Asked]:
        """A transaction that holds the rows, for somebody who may manage operators at this moment.

        Raises EnrollmentRequiredError, AccountDeactivatedError, ForbiddenError `PERMISSION_DENIED`; with
        `once` also AlreadyDoneError, and what `IdempotencyStore.begin` raises.
        """
        async with self.database.write() as session:
            locked = await self.operators.lock(session, operator_id_of(caller.actor), *operator_ids)
            asker = _still_allowed(caller.actor, locked)
            # Two requests with one key have one asker, whose row the second one waits for.
            stored = await self.keys.begin(session, once.request) if once else None
            if stored is not None:
                raise AlreadyDoneError(stored)
            author = Author(Actor.of(asker.speaks(caller.actor)), caller.origin)
            yield Asked(session, asker, author, locked, self.keys, once)

    async def keep_one_super_admin(self, session: WriteSession, leaving: Operator) -> None:
        """Raise LastSuperAdminError when nobody would be left (R-079); the guard's row stays locked.

        The CHECK of that row is the last line; asking first, under its lock, gives a clear answer.
        """
        if leaving.is_active_super_admin and await self.operators.lock_active_super_admins(session) <= 1:
            raise LastSuperAdminError

    async def row(self, session: WriteSession, operator_id: str) -> Operator:
        """The row as this transaction leaves it; every sidecar is told of it after the commit."""
        row = await self.operators.by_id(session, operator_id)
        if row is None:
            raise OperatorNotFoundError
        session.after_commit(self.roster_changed)
        return row

    async def record(
        self,
        session: WriteSession,
        author: Author,
        event: EventType,
        operator: Operator,
        *,
        reason: str = "",
        details: Mapping[str, Any],
        person: Mapping[str, Any] | None = None,
    ) -> None:
        """The audit row; call it last in the transaction. `person` is what of it must stay erasable."""
        entry = audit_entry(
            event,
            author.actor,
            author.origin,
            operator.id,
            reason=reason,
            details=details,
            details_pii={"email": operator.email, "name": operator.name, **(person or {})},
        )
        await self.recorder.record(session, entry)


def _still_allowed(identity: InternalIdentity, locked: Mapping[str, Operator]) -> Operator:
    """The row of the operator who asks, as it is inside the transaction."""
    asker = own_row(identity, locked.get(operator_id_of(identity)))
    if Permission.MANAGE_GLOBAL_ADMINS not in OPERATOR_PERMISSIONS[asker.role]:
        raise ForbiddenError("PERMISSION_DENIED", "Permission denied")
    return asker
