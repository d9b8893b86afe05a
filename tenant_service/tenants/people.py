"""The SQL of a tenant's people as operators see them: who they are, their sessions' end, their erasure.

Each statement names its tenant. It decides nothing and commits nothing, and reads no credential.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, Table, and_, func, select, update

from service_kit.db.keyset import Position
from service_kit.db.session import ReadSession, WriteSession
from tenant_service.invitations.models import InvitationRole
from tenant_service.newest_first import newest_first


@dataclass(frozen=True, slots=True)
class Person:
    """One member of a tenant, and when they last signed in there."""

    id: str
    user_id: str
    name: str
    email: str
    role: InvitationRole
    since: datetime
    last_sign_in_at: datetime | None


class TenantPeople:
    """Members and sessions of one tenant at a time."""

    def __init__(self, users: Table, members: Table, sessions: Table) -> None:
        self._users = users
        self._members = members
        self._sessions = sessions

    async def page(
        self, session: ReadSession, organization_id: str, *, position: Position | None, limit: int
    ) -> Sequence[Person]:
        """Members, newest first, beyond the position."""
        members = self._members.c
        order = (members.created_at, members.id)
        rows = await newest_first(session, self._of(organization_id), order, position=position, limit=limit)
        return [_person(row) for row in rows]

    async def owner(self, session: ReadSession, organization_id: str) -> Person | None:
        """The owner who joined first."""
        members = self._members.c
        query = self._of(organization_id).where(members.role == InvitationRole.OWNER.value)
        row = await session.first(query.order_by(members.created_at, members.id).limit(1))
        return _person(row) if row is not None else None

    async def count(self, session: ReadSession, organization_id: str) -> int:
        query = select(func.count()).select_from(self._members)
        return int(await session.scalar(query.where(self._members.c.organization_id == organization_id)))

    async def has_member(self, session: ReadSession, organization_id: str, email: str) -> bool:
        """Whether somebody with this address, in its normal form, is a member."""
        query = self._of(organization_id).where(self._users.c.email == email)
        return await session.first(query) is not None

    async def count_open_sessions(self, session: ReadSession, organization_id: str, *, now: datetime) -> int:
        """How many sessions an end of all would end."""
        query = select(func.count()).select_from(self._sessions)
        return int(await session.scalar(query.where(*self._open_sessions(organization_id, now))))

    def _open_sessions(self, organization_id: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
        columns = self._sessions.c
        return (
            columns.organization_id == organization_id,
            columns.revoked_at.is_(None),
            columns.expires_at > now,
        )

    async def end_sessions(
        self, session: WriteSession, organization_id: str, *, now: datetime, user_id: str | None = None
    ) -> int:
        """End the tenant's open sessions, or those of one user there; how many were ended."""
        columns = self._sessions.c
        still_open = self._open_sessions(organization_id, now)
        ending = update(self._sessions).where(*still_open).values(revoked_at=now)
        if user_id is not None:
            ending = ending.where(columns.user_id == user_id)
        return await session.execute(ending)

    def _of(self, organization_id: str) -> Select[Any]:
        users, members, sessions = self._users.c, self._members.c, self._sessions.c
        here = and_(sessions.user_id == users.id, sessions.organization_id == organization_id)
        last_sign_in = select(func.max(sessions.created_at)).where(here).scalar_subquery()
        return (
            select(
                members.id,
                members.user_id,
                members.role,
                members.created_at.label("since"),
                users.name,
                users.email,
                last_sign_in.label("last_sign_in_at"),
            )
            .join_from(self._members, self._users, users.id == members.user_id)
            .where(members.organization_id == organization_id)
        )


def _person(row: RowMapping) -> Person:
    return Person(**{**row, "role": InvitationRole(row["role"])})
