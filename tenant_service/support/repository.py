"""The SQL of the support search: the only query over the people of all tenants (R-120).

It decides nothing and commits nothing. What was typed is always bound, and its wildcards are plain text.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BindParameter, ColumnElement, Table, Text, and_, bindparam, func, or_, select, tuple_

from service_kit.db.session import ReadSession
from tenant_service.people.models import MemberRole, PeopleTables
from tenant_service.support.models import Field, FoundMembership, FoundUser, Match, Wanted
from tenant_service.tenants.models import TenantStatus

_LAST: Final = "\U0010ffff"
"""No text that begins with a prefix sorts after the prefix and this, byte by byte."""


class SupportRepository:
    """Users of every tenant, by address or name."""

    def __init__(self, people: PeopleTables, organizations: Table) -> None:
        self._users = people.users
        self._members = people.members
        self._organizations = organizations

    async def page(
        self, session: ReadSession, wanted: Wanted, *, after: tuple[str, str] | None, limit: int
    ) -> Sequence[FoundUser]:
        """At most `limit` users in the order of their addresses, beyond an address and id."""
        users = self._users.c
        query = select(users.id, users.email, users.name, users.email_verified)
        query = query.where(self._matches(wanted, session.dialect))
        if after is not None:
            edge = tuple_(*(bindparam(None, part, type_=Text()) for part in after))
            query = query.where(tuple_(users.email, users.id) > edge)
        rows = await session.rows(query.order_by(users.email, users.id).limit(limit))
        return [FoundUser(row["id"], row["email"], row["name"], row["email_verified"]) for row in rows]

    async def edge(self, session: ReadSession, user_id: str) -> tuple[str, str] | None:
        """Where the user stands in the order; None when they are gone."""
        users = self._users.c
        email = await session.scalar(select(users.email).where(users.id == user_id))
        return (str(email), user_id) if email is not None else None

    async def memberships(self, session: ReadSession, user_ids: Sequence[str]) -> Sequence[FoundMembership]:
        """Every tenant that these users are members of, also suspended and deleted ones."""
        members, organizations = self._members.c, self._organizations.c
        query = (
            select(
                members.user_id,
                organizations.id.label("organization_id"),
                organizations.slug,
                members.role,
                organizations.status,
            )
            .join_from(self._members, self._organizations, members.organization_id == organizations.id)
            .where(members.user_id.in_(user_ids))
            .order_by(members.user_id, organizations.slug, organizations.id)
        )
        return [
            FoundMembership(
                row["user_id"],
                row["organization_id"],
                row["slug"],
                MemberRole(row["role"]),
                TenantStatus(row["status"]),
            )
            for row in await session.rows(query)
        ]

    def _matches(self, wanted: Wanted, dialect: str) -> ColumnElement[bool]:
        by_email = self._by_email(wanted)
        return by_email if wanted.field is Field.EMAIL else or_(by_email, self._by_name(wanted, dialect))

    def _by_email(self, wanted: Wanted) -> ColumnElement[bool]:
        email: ColumnElement[str] = self._users.c.email
        value = _bound(wanted.folded)
        match wanted.match:
            case Match.EXACT:
                return email == value
            case Match.PREFIX:  # the column's order is bytewise on both databases
                return and_(email >= value, email < _bound(wanted.folded + _LAST))
            case Match.CONTAINS:
                return email.like(_bound(f"%{_literal(wanted.folded)}%"), escape="/")

    def _by_name(self, wanted: Wanted, dialect: str) -> ColumnElement[bool]:
        # lower() of the database on both sides: it and Python fold letters beyond ASCII differently.
        name, value = func.lower(self._users.c.name), func.lower(_bound(wanted.value))
        match wanted.match:
            case Match.EXACT:
                return name == value
            case Match.PREFIX:
                beyond = func.lower(_bound(wanted.value + _LAST))
                # PostgreSQL: the bytewise operators that the index knows.
                at_least, below = ("~>=~", "~<~") if dialect == "postgresql" else (">=", "<")
                return and_(name.bool_op(at_least)(value), name.bool_op(below)(beyond))
            case Match.CONTAINS:
                return name.like(func.lower(_bound(f"%{_literal(wanted.value)}%")), escape="/")


def _bound(value: str) -> BindParameter[str]:
    return bindparam(None, value, type_=Text())


def _literal(value: str) -> str:
    """The text with LIKE's wildcards made plain."""
    return value.replace("/", "//").replace("%", "/%").replace("_", "/_")
