"""Changes of an enrolled operator's standing: deactivation and the role (R-064, R-076, R-078, R-079, G-01).

Nobody changes their own standing, and the last active super_admin's never changes.
"""

from collections.abc import Collection

from admin_service import events
from admin_service.caller import Caller
from admin_service.operators.changes import Asked, OperatorChanges
from admin_service.operators.errors import (
    OperatorDeactivatedError,
    SelfDeactivationError,
    SelfRoleChangeError,
    VersionConflictError,
)
from admin_service.operators.models import Operator, OperatorState
from service_kit.identity.model import Role
from service_kit.web.once import Once


class StandingService:
    """Takes standing away, and changes it."""

    def __init__(self, changes: OperatorChanges) -> None:
        self._changes = changes

    async def deactivate(
        self, caller: Caller, operator_id: str, *, reason: str = "", once: Once | None = None
    ) -> Operator:
        """Deactivate and end every session; a repeat changes nothing (R-064, R-078, R-079).

        Raises OperatorNotFoundError, SelfDeactivationError, LastSuperAdminError, and what `asked_by` raises.
        """
        async with self._changes.asked_by(caller, operator_id, once=once) as asked:
            target = asked.target(operator_id)
            if target.id == asked.asker.id:
                raise SelfDeactivationError
            if target.state is OperatorState.DEACTIVATED:
                return await asked.answered(target)
            return await asked.answered(await self._deactivate(asked, target, reason))

    async def change_role(
        self,
        caller: Caller,
        operator_id: str,
        role: Role,
        *,
        reason: str,
        expected: Collection[int],
        once: Once | None = None,
    ) -> Operator:
        """Give an operator another role; the role that they have already changes nothing (G-01).

        `expected` are the versions of the row that the caller has seen. The operator's sessions go on:
        each use of one asks the row for the role. Raises OperatorNotFoundError, SelfRoleChangeError,
        VersionConflictError, OperatorDeactivatedError, SuperAdminGrantForbiddenError,
        LastSuperAdminError, and what `asked_by` raises.
        """
        async with self._changes.asked_by(caller, operator_id, once=once) as asked:
            target = asked.target(operator_id)
            if target.id == asked.asker.id:
                raise SelfRoleChangeError
            if target.version not in expected:
                raise VersionConflictError(target)
            if target.state is OperatorState.DEACTIVATED:
                raise OperatorDeactivatedError
            asked.refuse_grant_of(role)
            if target.role is role:
                return await asked.answered(target)
            return await asked.answered(await self._change_role(asked, target, role, reason))

    async def _deactivate(self, asked: Asked, target: Operator, reason: str) -> Operator:
        session, changes = asked.session, self._changes
        await changes.keep_one_super_admin(session, target)
        await changes.operators.deactivate(
            session, target.id, by=asked.asker.id, reason=reason, now=changes.clock.now()
        )
        changed = await changes.row(session, target.id)
        await changes.end_sessions(session, target.id, asked.author.actor, asked.author.origin)
        await changes.record(
            session,
            asked.author,
            events.OPERATOR_DEACTIVATED,
            changed,
            reason=reason,
            details={"role": target.role.value, "state_before": target.state.value},
        )
        return changed

    async def _change_role(self, asked: Asked, target: Operator, role: Role, reason: str) -> Operator:
        session, changes = asked.session, self._changes
        await changes.keep_one_super_admin(session, target)
        await changes.operators.change_role(session, target.id, role, now=changes.clock.now())
        changed = await changes.row(session, target.id)
        await changes.record(
            session,
            asked.author,
            events.OPERATOR_ROLE_CHANGED,
            changed,
            reason=reason,
            details={"role_before": target.role.value, "role": role.value},
        )
        return changed
