"""Ways in: provisioning an operator, a new token, binding anew, and coming back (R-067…R-070, R-077, G-09).

Every way ends in a token that is shown once; nobody is ever bound to a subject here.
"""

from typing import Final

from admin_service import events
from admin_service.caller import Caller
from admin_service.operators.changes import Asked, Author, OperatorChanges
from admin_service.operators.errors import (
    AlreadyEnrolledError,
    AlreadySeededError,
    ConfirmationMismatchError,
    OperatorDeactivatedError,
    OperatorExistsError,
    OperatorNotDeactivatedError,
)
from admin_service.operators.models import IssuedEnrollment, NewOperator, Operator, OperatorState
from admin_service.operators.tokens import NewEnrollment
from service_kit.audit.events import SYSTEM
from service_kit.db.session import WriteSession
from service_kit.ids import IdFactory
from service_kit.web.once import Once

_PREFIX: Final = "adm"


class ProvisioningService:
    """Issues enrollments."""

    def __init__(self, changes: OperatorChanges, ids: IdFactory) -> None:
        self._changes = changes
        self._ids = ids

    async def create(
        self, caller: Caller, wanted: NewOperator, *, once: Once | None = None
    ) -> IssuedEnrollment:
        """Provision an operator; the token in the result is shown once (R-067, R-068).

        Raises OperatorExistsError, SuperAdminGrantForbiddenError, and what `asked_by` raises.
        """
        async with self._changes.asked_by(caller, once=once) as asked:
            asked.refuse_grant_of(wanted.role)
            return await asked.answered(await self.provision(asked.session, wanted, asked.author))

    async def seed(self, wanted: NewOperator) -> IssuedEnrollment:
        """Provision the first operator of all (R-077). Raises AlreadySeededError when there is any row."""
        async with self._changes.database.write() as session:
            # Two seeders at a time: the second one waits here, and then sees the first one's row.
            await self._changes.operators.lock_roster(session)
            if await self._changes.operators.any_exists(session):
                raise AlreadySeededError
            return await self.provision(session, wanted, Author(SYSTEM))

    async def reactivate(
        self, caller: Caller, operator_id: str, *, reason: str, once: Once | None = None
    ) -> IssuedEnrollment:
        """Let a deactivated operator enroll again, with the role that they had (G-04).

        They come back bound to nobody: whoever holds the old subject proves the address and a token anew.
        Raises OperatorNotFoundError, OperatorNotDeactivatedError, OperatorExistsError,
        SuperAdminGrantForbiddenError, and what `asked_by` raises.
        """
        async with self._changes.asked_by(caller, operator_id, once=once) as asked:
            target = asked.target(operator_id)
            if target.state is not OperatorState.DEACTIVATED:
                raise OperatorNotDeactivatedError
            asked.refuse_grant_of(target.role)
            if await self._changes.operators.live_email_exists(asked.session, target.email):
                raise OperatorExistsError
            return await asked.answered(await self._reactivate(asked, target, reason))

    async def reissue(
        self,
        caller: Caller,
        operator_id: str,
        *,
        rebind: bool = False,
        confirm: str = "",
        once: Once | None = None,
    ) -> IssuedEnrollment:
        """A new token; the old one is dead (R-070).

        With `rebind` an enrolled operator is unbound from their subject, for somebody whom the identity
        provider knows under a new one (G-09); `confirm` repeats the address. Raises
        OperatorNotFoundError, OperatorDeactivatedError, SuperAdminGrantForbiddenError,
        AlreadyEnrolledError, ConfirmationMismatchError, LastSuperAdminError, and what `asked_by` raises.
        """
        async with self._changes.asked_by(caller, operator_id, once=once) as asked:
            target = asked.target(operator_id)
            if target.state is OperatorState.DEACTIVATED:
                raise OperatorDeactivatedError
            asked.refuse_grant_of(target.role)
            if target.state is OperatorState.ACTIVE and not rebind:
                raise AlreadyEnrolledError
            if rebind and confirm.strip().lower() != target.email:
                raise ConfirmationMismatchError
            issue = self._rebind if target.state is OperatorState.ACTIVE else self._reissue
            return await asked.answered(await issue(asked, target))

    async def provision(self, session: WriteSession, wanted: NewOperator, author: Author) -> IssuedEnrollment:
        """A new pending row and its audit rows, in the caller's transaction. Raises OperatorExistsError."""
        changes = self._changes
        if await changes.operators.live_email_exists(session, wanted.email):
            raise OperatorExistsError
        operator_id = self._ids.new(_PREFIX)
        enrollment = NewEnrollment.issue(author.actor.id, changes.clock.now())
        await changes.operators.insert(session, operator_id, wanted, enrollment)
        issued = await self._issued(session, operator_id, enrollment)
        role = {"role": wanted.role.value}
        await changes.record(session, author, events.OPERATOR_CREATED, issued.operator, details=role)
        await changes.record(
            session, author, events.ENROLLMENT_ISSUED, issued.operator, details=_until(enrollment)
        )
        return issued

    async def _reactivate(self, asked: Asked, target: Operator, reason: str) -> IssuedEnrollment:
        session, author, changes = asked.session, asked.author, self._changes
        enrollment = NewEnrollment.issue(asked.asker.id, changes.clock.now())
        await changes.operators.reactivate(session, target.id, target.role, enrollment)
        issued = await self._issued(session, target.id, enrollment)
        await changes.record(
            session,
            author,
            events.OPERATOR_REACTIVATED,
            issued.operator,
            reason=reason,
            details={"role": target.role.value},
            person={"access_sub_before": target.access_sub},
        )
        await changes.record(
            session, author, events.ENROLLMENT_ISSUED, issued.operator, details=_until(enrollment)
        )
        return issued

    async def _reissue(self, asked: Asked, target: Operator) -> IssuedEnrollment:
        session, changes = asked.session, self._changes
        enrollment = NewEnrollment.issue(asked.asker.id, changes.clock.now())
        await changes.operators.unenroll(session, target.id, target.role, enrollment)
        issued = await self._issued(session, target.id, enrollment)
        await changes.record(
            session, asked.author, events.ENROLLMENT_REISSUED, issued.operator, details=_until(enrollment)
        )
        return issued

    async def _rebind(self, asked: Asked, target: Operator) -> IssuedEnrollment:
        session, author, changes = asked.session, asked.author, self._changes
        await changes.keep_one_super_admin(session, target)
        enrollment = NewEnrollment.issue(asked.asker.id, changes.clock.now())
        await changes.operators.unenroll(session, target.id, target.role, enrollment)
        issued = await self._issued(session, target.id, enrollment)
        await changes.end_bound_sessions(session, target.id, author.actor, author.origin)
        await changes.record(
            session,
            author,
            events.ENROLLMENT_REBOUND,
            issued.operator,
            details={"role": target.role.value, **_until(enrollment)},
            person={"access_sub_before": target.access_sub},
        )
        return issued

    async def _issued(
        self, session: WriteSession, operator_id: str, enrollment: NewEnrollment
    ) -> IssuedEnrollment:
        operator = await self._changes.row(session, operator_id)
        return IssuedEnrollment(operator, enrollment.token, enrollment.expires_at)


def _until(enrollment: NewEnrollment) -> dict[str, str]:
    return {"expires_at": enrollment.expires_at.isoformat()}
