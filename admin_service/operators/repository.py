"""Every statement about operators. Rules live in the services; guards live in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Text,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from admin_service.operators.errors import OperatorExistsError
from admin_service.operators.models import (
    GLOBAL_ADMINS,
    ROSTER_VERSION,
    SUPER_ADMIN_GUARD,
    NewOperator,
    Operator,
    OperatorFilter,
    OperatorState,
    Sighting,
)
from admin_service.operators.tokens import NewEnrollment
from service_kit.db.columns import UtcDateTime
from service_kit.db.keyset import Position
from service_kit.db.matching import contains
from service_kit.db.session import ReadSession, WriteSession
from service_kit.identity.model import Role

_T = GLOBAL_ADMINS.c
# Never the digest of a token: what is not read cannot leak.
_COLUMNS = (
    _T.id,
    _T.email,
    _T.name,
    _T.role,
    _T.cf_access_sub,
    _T.enrollment_token_expires_at,
    _T.last_active_at,
    _T.deactivated_at,
    _T.created_at,
    _T.created_by,
    _T.version,
)


def select_operators() -> Select[Any]:
    """The columns that `to_operator` reads."""
    return select(*_COLUMNS)


def to_operator(row: RowMapping) -> Operator:
    return Operator(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        access_sub=row["cf_access_sub"],
        enrollment_expires_at=row["enrollment_token_expires_at"],
        last_active_at=row["last_active_at"],
        deactivated_at=row["deactivated_at"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        version=row["version"],
    )


class OperatorRepository:
    """The operators' table."""

    async def by_id(self, session: ReadSession, operator_id: str) -> Operator | None:
        row = await session.first(select_operators().where(_T.id == operator_id))
        return to_operator(row) if row is not None else None

    async def by_ids(self, session: ReadSession, operator_ids: Collection[str]) -> dict[str, Operator]:
        """The rows that exist, by id."""
        if not operator_ids:
            return {}
        query = select_operators().where(_T.id.in_(operator_ids))
        return {row["id"]: to_operator(row) for row in await session.rows(query)}

    async def by_live_emails(self, session: ReadSession, emails: Collection[str]) -> dict[str, Operator]:
        """Who owns these addresses now: to say whom something concerns, never to let anybody in (R-060)."""
        if not emails:
            return {}
        query = select_operators().where(_T.email.in_(emails), _T.deactivated_at.is_(None))
        return {row["email"]: to_operator(row) for row in await session.rows(query)}

    async def by_email(self, session: ReadSession, email: str) -> Sequence[Operator]:
        """Every row that the address ever had: for a command on the host, never to let anybody in (R-060).

        The live one first; then the one that is bound to a person, then the newest.
        """
        order = (_T.deactivated_at.is_not(None), _T.cf_access_sub.is_(None), _T.created_at.desc(), _T.id)
        query = select_operators().where(_T.email == email).order_by(*order)
        return [to_operator(row) for row in await session.rows(query)]

    async def lock(self, session: WriteSession, *operator_ids: str) -> dict[str, Operator]:
        """The rows by id, held until the commit.

        Always in the order of the ids: two transactions never wait for each other in a circle.
        """
        query = select_operators().where(_T.id.in_(operator_ids)).order_by(_T.id).with_for_update()
        return {row["id"]: to_operator(row) for row in await session.rows(query)}

    async def lock_active_super_admins(self, session: WriteSession) -> int:
        """How many there are, held until the commit; lock operators first."""
        query = select(SUPER_ADMIN_GUARD.c.active).where(SUPER_ADMIN_GUARD.c.id == 1).with_for_update()
        return int(await session.scalar(query) or 0)

    async def lock_roster(self, session: WriteSession) -> int:
        """The roster version; every other change of an operator waits until the commit."""
        query = select(ROSTER_VERSION.c.version).where(ROSTER_VERSION.c.id == 1).with_for_update()
        return int(await session.scalar(query))

    async def roster_version(self, session: ReadSession) -> int:
        return int(await session.scalar(select(ROSTER_VERSION.c.version).where(ROSTER_VERSION.c.id == 1)))

    async def any_exists(self, session: ReadSession) -> bool:
        return await session.scalar(select(_T.id).limit(1)) is not None

    async def live_email_exists(self, session: ReadSession, email: str) -> bool:
        query = select(_T.id).where(_T.email == email, _T.deactivated_at.is_(None))
        return await session.scalar(query) is not None

    async def page(
        self, session: ReadSession, wanted: OperatorFilter, *, position: Position | None, limit: int
    ) -> Sequence[Operator]:
        """Up to `limit` operators, newest first; going back, the ones nearest to the position."""
        query = select_operators().where(*_conditions(wanted)).limit(limit)
        key, backward = tuple_(_T.created_at, _T.id), position is not None and position.backward
        if position is not None:
            edge = tuple_(literal(position.at, UtcDateTime()), literal(position.id, Text()))
            query = query.where(key > edge if backward else key < edge)
        order = (_T.created_at, _T.id) if backward else (_T.created_at.desc(), _T.id.desc())
        rows = [to_operator(row) for row in await session.rows(query.order_by(*order))]
        return rows[::-1] if backward else rows

    async def insert(
        self,
        session: WriteSession,
        operator_id: str,
        wanted: NewOperator,
        enrollment: NewEnrollment,
    ) -> None:
        """A pending operator. Raises OperatorExistsError when a live one got the address meanwhile."""
        row = {
            "id": operator_id,
            "email": wanted.email,
            "name": wanted.name,
            "role": wanted.role.value,
            **_issued(enrollment),
            "created_by": enrollment.issued_by,
            "created_at": enrollment.issued_at,
            "version": 1,
        }
        try:
            await session.execute(insert(GLOBAL_ADMINS).values(**row))
        except IntegrityError as error:
            raise OperatorExistsError from error

    async def deactivate(
        self, session: WriteSession, operator_id: str, *, by: str, reason: str, now: datetime
    ) -> None:
        """The token of a pending operator dies with the row (G-17)."""
        await session.execute(
            update(GLOBAL_ADMINS)
            .where(_T.id == operator_id)
            .values(
                deactivated_at=now,
                deactivated_by=by,
                deactivation_reason=reason,
                enrollment_token_hash=None,
                enrollment_token_expires_at=None,
                updated_at=now,
                version=_T.version + 1,
            )
        )

    async def unenroll(
        self, session: WriteSession, operator_id: str, role: Role, enrollment: NewEnrollment
    ) -> None:
        """Live, bound to nobody, and waiting for this token; an older one is dead from now on (R-070)."""
        values = {
            **_issued(enrollment),
            "role": role.value,
            "cf_access_sub": None,
            "deactivated_at": None,
            "deactivated_by": None,
            "deactivation_reason": None,
            "version": _T.version + 1,
        }
        await session.execute(update(GLOBAL_ADMINS).where(_T.id == operator_id).values(**values))

    async def reactivate(
        self, session: WriteSession, operator_id: str, role: Role, enrollment: NewEnrollment
    ) -> None:
        """A deactivated row, live and unenrolled. Raises OperatorExistsError when its address is taken."""
        try:
            await self.unenroll(session, operator_id, role, enrollment)
        except IntegrityError as error:
            raise OperatorExistsError from error

    async def change_role(
        self, session: WriteSession, operator_id: str, role: Role, *, now: datetime
    ) -> None:
        await session.execute(
            update(GLOBAL_ADMINS)
            .where(_T.id == operator_id)
            .values(role=role.value, updated_at=now, version=_T.version + 1)
        )

    async def retire_address(
        self, session: WriteSession, operator_id: str, address: str, *, now: datetime
    ) -> None:
        """Give a row an address that nobody has, so that its own is free for a new row."""
        await session.execute(
            update(GLOBAL_ADMINS)
            .where(_T.id == operator_id)
            .values(email=address, updated_at=now, version=_T.version + 1)
        )

    async def mark_seen(self, session: WriteSession, sighting: Sighting) -> None:
        """Move `last_active_at` forward, never back; it is no change that anybody must see."""
        earlier = or_(_T.last_active_at.is_(None), _T.last_active_at < sighting.at)
        await session.execute(
            update(GLOBAL_ADMINS)
            .where(_T.id == sighting.operator_id, earlier)
            .values(last_active_at=sighting.at)
        )


def _issued(enrollment: NewEnrollment) -> dict[str, Any]:
    return {
        "enrollment_token_hash": enrollment.digest,
        "enrollment_token_expires_at": enrollment.expires_at,
        "enrollment_issued_by": enrollment.issued_by,
        "enrollment_issued_at": enrollment.issued_at,
        "updated_at": enrollment.issued_at,
    }


def _conditions(wanted: OperatorFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    match wanted.state:
        case OperatorState.ACTIVE:
            conditions += [_T.deactivated_at.is_(None), _T.cf_access_sub.is_not(None)]
        case OperatorState.PENDING:
            conditions += [_T.deactivated_at.is_(None), _T.cf_access_sub.is_(None)]
        case OperatorState.DEACTIVATED:
            conditions.append(_T.deactivated_at.is_not(None))
        case None:
            pass
    if wanted.role is not None:
        conditions.append(_T.role == wanted.role.value)
    if wanted.q:
        conditions.append(contains(wanted.q, _T.email, func.lower(_T.name)))
    return conditions
