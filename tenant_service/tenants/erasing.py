"""The SQL that erases a deleted tenant's people; it decides nothing and commits nothing.

A person who is a member elsewhere stays a user; one who is nowhere any more is forgotten wholly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Table, delete, select, union

from service_kit.db.session import WriteSession
from service_kit.jobs.tables import MessageState


@dataclass(frozen=True, slots=True)
class ErasedTables:
    """Where a tenant's people are written down."""

    users: Table
    credentials: Table
    members: Table
    sessions: Table
    invitations: Table
    connected_accounts: Table
    feature_flags: Table
    outbox: Table


class TenantErasure:
    """Forgets the people of one tenant."""

    def __init__(self, tables: ErasedTables) -> None:
        self._tables = tables

    async def erase(self, session: WriteSession, organization_id: str) -> Mapping[str, int]:
        """Erase within the transaction; how many rows of each kind."""
        tables = self._tables
        people = await self._people(session, organization_id)
        await self._unsent(session, organization_id)
        erased = {
            "sessions": await self._all_of(session, tables.sessions, organization_id),
            "invitations": await self._all_of(session, tables.invitations, organization_id),
            "connectedAccounts": await self._all_of(session, tables.connected_accounts, organization_id),
            "featureFlags": await self._all_of(session, tables.feature_flags, organization_id),
            "members": await self._all_of(session, tables.members, organization_id),
        }
        return {**erased, "users": sum([await self._forget(session, person) for person in people])}

    async def _people(self, session: WriteSession, organization_id: str) -> Sequence[str]:
        """Users who are members, who once came by an invitation, or whose address was ever invited."""
        members, invitations, users = self._tables.members.c, self._tables.invitations.c, self._tables.users.c
        invited = select(invitations.email).where(invitations.organization_id == organization_id)
        everybody = union(
            select(members.user_id.label("id")).where(members.organization_id == organization_id),
            select(invitations.accepted_user_id)
            .where(invitations.organization_id == organization_id)
            .where(invitations.accepted_user_id.is_not(None)),
            select(users.id).where(users.email.in_(invited)),
        )
        return sorted(row["id"] for row in await session.rows(everybody))

    async def _all_of(self, session: WriteSession, table: Table, organization_id: str) -> int:
        return await session.execute(delete(table).where(table.c.organization_id == organization_id))

    async def _unsent(self, session: WriteSession, organization_id: str) -> None:
        """Letters that never went out; one that is on its way is erased by its sender."""
        outbox = self._tables.outbox
        waiting = outbox.c.state != MessageState.IN_FLIGHT.value
        await session.execute(delete(outbox).where(outbox.c.organization_id == organization_id, waiting))

    async def _forget(self, session: WriteSession, user_id: str) -> int:
        """Erase a user who is a member nowhere any more."""
        tables = self._tables
        elsewhere = select(tables.members.c.id).where(tables.members.c.user_id == user_id).limit(1)
        # The user's row is the lock: somebody may be joining another tenant at this moment.
        await session.first(select(tables.users.c.id).where(tables.users.c.id == user_id).with_for_update())
        if await session.first(elsewhere) is not None:
            return 0
        await session.execute(delete(tables.sessions).where(tables.sessions.c.user_id == user_id))
        await session.execute(delete(tables.credentials).where(tables.credentials.c.user_id == user_id))
        return await session.execute(delete(tables.users).where(tables.users.c.id == user_id))
