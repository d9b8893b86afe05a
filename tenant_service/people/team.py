"""The SQL of one tenant's members, for its own plane; it decides nothing and commits nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, Select, Table, func

from service_kit.db.keyset import Position
from tenant_service.newest_first import newest_first
from tenant_service.people.models import Member, MemberRole, PeopleTables
from tenant_service.people.scope import TenantRead, TenantWrite

_MEMBER: Final = tuple(Member.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Colleague:
    """A member with what the team knows of them."""

    id: str
    user_id: str
    name: str
    email: str
    role: MemberRole
    since: datetime


class TeamRepository:
    """Members of one tenant at a time."""

    def __init__(self, tables: PeopleTables) -> None:
        self._members: Table = tables.members
        self._users: Table = tables.users

    async def page(self, at: TenantRead, *, position: Position | None, limit: int) -> Sequence[Colleague]:
        """Members, newest first, beyond the position."""
        members = self._members.c
        order = (members.created_at, members.id)
        rows = await newest_first(at.session, self._query(at), order, position=position, limit=limit)
        return [_colleague(row) for row in rows]

    async def colleague(self, at: TenantRead, member_id: str) -> Colleague | None:
        row = await at.session.first(self._query(at).where(self._members.c.id == member_id))
        return _colleague(row) if row is not None else None

    async def has_email(self, at: TenantRead, email: str) -> bool:
        """Whether somebody with this address, in its normal form, is a member."""
        return await at.session.first(self._query(at).where(self._users.c.email == email)) is not None

    async def count(self, at: TenantRead) -> int:
        return int(await at.session.scalar(at.scope.select(self._members, func.count())))

    async def of_user(self, at: TenantRead, user_id: str) -> Member | None:
        query = at.scope.select(self._members).where(self._members.c.user_id == user_id)
        row = await at.session.first(query)
        return _member(row) if row is not None else None

    async def add(self, at: TenantWrite, member: Member) -> None:
        """Insert a member. Raises IntegrityError when the person is one already."""
        await at.session.execute(
            at.scope.insert(self._members, {**asdict(member), "role": member.role.value})
        )

    async def change_role(self, at: TenantWrite, member_id: str, role: MemberRole, now: datetime) -> None:
        """Raises IntegrityError when the tenant would be left without an owner."""
        columns = self._members.c
        changing = at.scope.update(self._members).where(columns.id == member_id)
        values = {"role": role.value, "updated_at": now, "version": columns.version + 1}
        await at.session.execute(changing.values(values))

    async def remove(self, at: TenantWrite, member_id: str) -> None:
        """Raises IntegrityError when the tenant would be left without an owner."""
        await at.session.execute(at.scope.delete(self._members).where(self._members.c.id == member_id))

    def _query(self, at: TenantRead) -> Select[Any]:
        members, users = self._members.c, self._users.c
        wanted = (
            members.id,
            members.user_id,
            members.role,
            members.created_at.label("since"),
            users.name,
            users.email,
        )
        return at.scope.select(self._members, *wanted).join(self._users, users.id == members.user_id)


def _colleague(row: RowMapping) -> Colleague:
    return Colleague(**{**row, "role": MemberRole(row["role"])})


def _member(row: RowMapping) -> Member:
    values: Mapping[str, Any] = {name: row[name] for name in _MEMBER}
    return Member(**{**values, "role": MemberRole(row["role"])})
