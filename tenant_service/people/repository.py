"""The SQL of users and members: plain reads and inserts; it decides nothing and commits nothing.

Every read of members names its organization. The one search over all tenants stands in `support`, and
nowhere else (R-120).
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from sqlalchemy import RowMapping, func, insert, select

from service_kit.db.session import ReadSession, WriteSession
from tenant_service.people.models import Member, MemberRole, PeopleTables, User

_USER: Final = tuple(field.name for field in fields(User))
_MEMBER: Final = tuple(field.name for field in fields(Member))


class UserRepository:
    """Users by the one key that their tenant gave: an address, or an id that a member row names."""

    def __init__(self, tables: PeopleTables) -> None:
        self._users = tables.users

    async def add(self, session: WriteSession, user: User) -> None:
        """Insert a user. Raises IntegrityError when the address is taken."""
        await session.execute(insert(self._users).values(asdict(user)))

    async def by_id(self, session: ReadSession, user_id: str) -> User | None:
        row = await session.first(select(self._users).where(self._users.c.id == user_id))
        return _user(row) if row is not None else None

    async def by_email(self, session: ReadSession, email: str) -> User | None:
        """The user of an address in its normal form."""
        row = await session.first(select(self._users).where(self._users.c.email == email))
        return _user(row) if row is not None else None


class MemberRepository:
    """Members of one organization at a time."""

    def __init__(self, tables: PeopleTables) -> None:
        self._members = tables.members

    async def add(self, session: WriteSession, member: Member) -> None:
        """Insert a member. Raises IntegrityError when the person is one already."""
        await session.execute(insert(self._members).values({**asdict(member), "role": member.role.value}))

    async def of_user(self, session: ReadSession, organization_id: str, user_id: str) -> Member | None:
        columns = self._members.c
        query = select(self._members).where(
            columns.organization_id == organization_id, columns.user_id == user_id
        )
        row = await session.first(query)
        return _member(row) if row is not None else None

    async def count(self, session: ReadSession, organization_id: str) -> int:
        query = select(func.count()).select_from(self._members)
        return int(await session.scalar(query.where(self._members.c.organization_id == organization_id)))


def _user(row: RowMapping) -> User:
    return User(**{name: row[name] for name in _USER})


def _member(row: RowMapping) -> Member:
    values: Mapping[str, Any] = {name: row[name] for name in _MEMBER}
    return Member(**{**values, "role": MemberRole(row["role"])})
