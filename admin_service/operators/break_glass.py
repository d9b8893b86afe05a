"""A way in for a super_admin when everybody is locked out; for a command on the host alone (G-09).

No endpoint comes here. It binds nobody: the person still proves the address at Access and the token. It
also never takes the last active super_admin away (R-079): a row that cannot be unbound for that reason
gives its address to a new row and stands until somebody deactivates it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from admin_service import events
from admin_service.operators.changes import Author, OperatorChanges
from admin_service.operators.errors import SuperAdminsLeftError
from admin_service.operators.models import IssuedEnrollment, NewOperator, Operator, OperatorState
from admin_service.operators.provisioning import ProvisioningService
from admin_service.operators.tokens import NewEnrollment
from service_kit.audit.events import Actor, ActorType, EventType
from service_kit.db.session import WriteSession
from service_kit.identity.model import Role

HOST: Final = Actor(ActorType.SYSTEM, "break-glass")


class Way(StrEnum):
    """What became of the address."""

    CREATED = "created"
    REISSUED = "reissued"
    """A pending row got a new token."""
    REACTIVATED = "reactivated"
    REBOUND = "rebound"
    """An enrolled row was unbound from its subject."""
    REPLACED = "replaced"
    """It was the last active super_admin's: that row keeps standing under an address that nobody has."""


_EVENTS: Final[dict[Way, EventType]] = {
    Way.REISSUED: events.ENROLLMENT_REISSUED,
    Way.REACTIVATED: events.OPERATOR_REACTIVATED,
    Way.REBOUND: events.ENROLLMENT_REBOUND,
}


@dataclass(frozen=True, slots=True)
class BrokenGlass:
    """The enrollment that was issued; `before` is the row that the address led to, if there was one."""

    issued: IssuedEnrollment
    way: Way
    before: Operator | None


class BreakGlass:
    """Makes the owner of an address a super_admin who has yet to enroll."""

    def __init__(self, changes: OperatorChanges, provisioning: ProvisioningService) -> None:
        self._changes = changes
        self._provisioning = provisioning

    async def use(self, email: str, name: str, *, reason: str, locked_out: bool) -> BrokenGlass:
        """Issue the enrollment, with a CRITICAL audit row in the same transaction.

        `name` is for a new row. Raises SuperAdminsLeftError while there is an active super_admin and
        nobody said that they are `locked_out`, OperatorExistsError when the address is taken meanwhile.
        """
        async with self._changes.database.write() as session:
            operators = self._changes.operators
            await operators.lock(session, *(row.id for row in await operators.by_email(session, email)))
            rows = await operators.by_email(session, email)
            active = await operators.lock_active_super_admins(session)
            if active > 0 and not locked_out:
                raise SuperAdminsLeftError(active)
            before = rows[0] if rows else None
            way = _way(before, active)
            issued = await self._issue(session, NewOperator(email, name, Role.SUPER_ADMIN), way, before)
            done = BrokenGlass(issued, way, before)
            await self._record(session, done, reason, active)
        return done

    async def _issue(
        self, session: WriteSession, wanted: NewOperator, way: Way, before: Operator | None
    ) -> IssuedEnrollment:
        if before is None:
            return await self._provisioning.provision(session, wanted, Author(HOST))
        if way is Way.REPLACED:
            return await self._replace(session, before)
        enrollment = NewEnrollment.issue(HOST.id, self._changes.clock.now())
        if way is Way.REACTIVATED:
            await self._changes.operators.reactivate(session, before.id, Role.SUPER_ADMIN, enrollment)
        else:
            await self._changes.operators.unenroll(session, before.id, Role.SUPER_ADMIN, enrollment)
        after = await self._changes.row(session, before.id)
        await self._changes.end_bound_sessions(session, before.id, HOST, None)
        return IssuedEnrollment(after, enrollment.token, enrollment.expires_at)

    async def _replace(self, session: WriteSession, before: Operator) -> IssuedEnrollment:
        # RFC 2606: no mail and no login ever comes from "invalid", so Access can prove it for nobody.
        retired = f"{before.id.lower()}@replaced.invalid"
        now = self._changes.clock.now()
        await self._changes.operators.retire_address(session, before.id, retired, now=now)
        await self._changes.end_bound_sessions(session, before.id, HOST, None)
        wanted = NewOperator(before.email, before.name, Role.SUPER_ADMIN)
        return await self._provisioning.provision(session, wanted, Author(HOST))

    async def _record(self, session: WriteSession, done: BrokenGlass, reason: str, active: int) -> None:
        operator, before = done.issued.operator, done.before
        details = {
            "way": done.way.value,
            "active_super_admins": active,
            "row_before": before.id if before else "",
            "role_before": before.role.value if before else "",
            "expires_at": done.issued.expires_at.isoformat(),
        }
        person = {"access_sub_before": before.access_sub if before else None}
        for event in (*_events(done), events.BREAK_GLASS_USED):
            await self._changes.record(
                session, Author(HOST), event, operator, reason=reason, details=details, person=person
            )


def _way(before: Operator | None, active: int) -> Way:
    match before.state if before else None:
        case None:
            return Way.CREATED
        case OperatorState.PENDING:
            return Way.REISSUED
        case OperatorState.DEACTIVATED:
            return Way.REACTIVATED
        case OperatorState.ACTIVE:
            last = before is not None and before.is_active_super_admin and active <= 1
            return Way.REPLACED if last else Way.REBOUND


def _events(done: BrokenGlass) -> tuple[EventType, ...]:
    """The rows that the same change by an operator would have written."""
    own = (_EVENTS[done.way],) if done.way in _EVENTS else ()
    changed = done.before is not None and done.before.role is not done.issued.operator.role
    return (*own, events.OPERATOR_ROLE_CHANGED) if changed else own
