"""The SQL of invitations; it decides nothing and commits nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Select, Table, func, insert, select, update

from service_kit.db.keyset import Position
from service_kit.db.session import ReadSession, WriteSession
from tenant_service.invitations.models import Invitation, InvitationRole, InvitationStatus
from tenant_service.newest_first import newest_first

_FIELDS: Final = tuple(field.name for field in fields(Invitation))


class InvitationRepository:
    """Invitations of all tenants, for the operators' side."""

    def __init__(self, invitations: Table) -> None:
        self._invitations = invitations

    async def add(self, session: WriteSession, invitation: Invitation, *, secret_hash: str) -> None:
        row = {
            **asdict(invitation),
            "secret_hash": secret_hash,
            "attempts": 0,
            "updated_at": invitation.created_at,
        }
        await session.execute(insert(self._invitations).values(row))

    async def by_id(
        self, session: ReadSession, organization_id: str, invitation_id: str
    ) -> Invitation | None:
        """An invitation of this tenant, whatever became of it."""
        columns = self._invitations.c
        return await self._one(
            session, columns.id == invitation_id, columns.organization_id == organization_id
        )

    async def open_for(self, session: ReadSession, organization_id: str, email: str) -> Invitation | None:
        """The open invitation of this tenant to an address in its normal form; there is at most one."""
        columns = self._invitations.c
        return await self._one(
            session, columns.organization_id == organization_id, columns.email == email, self._is_pending
        )

    async def page(
        self, session: ReadSession, organization_id: str, *, position: Position | None, limit: int
    ) -> Sequence[Invitation]:
        """The tenant's invitations, newest first, beyond the position."""
        columns = self._invitations.c
        query = select(self._invitations).where(columns.organization_id == organization_id)
        order = (columns.created_at, columns.id)
        rows = await newest_first(session, query, order, position=position, limit=limit)
        return [_invitation(row) for row in rows]

    async def renew(
        self, session: WriteSession, invitation: Invitation, *, secret_hash: str, now: datetime
    ) -> bool:
        """Give an open invitation, as the value says, a new secret; False when it is open no longer.

        The old secret opens nothing from here on.
        """
        return await self._change(
            session,
            invitation,
            secret_hash=secret_hash,
            attempts=0,
            expires_at=invitation.expires_at,
            last_sent_at=invitation.last_sent_at,
            version=invitation.version,
            updated_at=now,
        )

    async def close(
        self, session: WriteSession, invitation: Invitation, status: InvitationStatus, *, now: datetime
    ) -> bool:
        """Make an open invitation one that opens nothing; False when it is open no longer."""
        return await self._change(
            session, invitation, status=status.value, version=invitation.version + 1, updated_at=now
        )

    async def expire(self, session: WriteSession, invitation: Invitation, *, now: datetime) -> bool:
        """Mark an open invitation as expired; False when it is open no longer, or was renewed meanwhile."""
        columns = self._invitations.c
        ending = update(self._invitations).where(
            columns.id == invitation.id, self._is_pending, columns.expires_at <= now
        )
        values = {"status": InvitationStatus.EXPIRED.value, "updated_at": now, "version": columns.version + 1}
        return await session.execute(ending.values(values)) == 1

    async def all_open(self, session: ReadSession, organization_id: str) -> Sequence[Invitation]:
        """Every open invitation of the tenant."""
        columns = self._invitations.c
        query = select(self._invitations).where(columns.organization_id == organization_id, self._is_pending)
        return [_invitation(row) for row in await session.rows(query.order_by(columns.id))]

    async def overdue(self, session: ReadSession, now: datetime, *, limit: int) -> Sequence[Invitation]:
        """Invitations of all tenants that are open though their time is over, the longest waiting first."""
        columns = self._invitations.c
        query = select(self._invitations).where(self._is_pending, columns.expires_at <= now)
        rows = await session.rows(query.order_by(columns.expires_at, columns.id).limit(limit))
        return [_invitation(row) for row in rows]

    async def pending_of(
        self, session: ReadSession, organization_id: str, *, limit: int
    ) -> Sequence[Invitation]:
        """The open invitations of a tenant, newest first."""
        columns = self._invitations.c
        query = (
            select(self._invitations)
            .where(columns.organization_id == organization_id, self._is_pending)
            .order_by(columns.created_at.desc(), columns.id.desc())
        )
        return [_invitation(row) for row in await session.rows(query.limit(limit))]

    async def count_pending(self, session: ReadSession, organization_id: str | None = None) -> int:
        """How many invitations are open, of one tenant or of all."""
        query: Select[Any] = select(func.count()).select_from(self._invitations).where(self._is_pending)
        if organization_id is not None:
            query = query.where(self._invitations.c.organization_id == organization_id)
        return int(await session.scalar(query))

    async def owner_invitations(
        self, session: ReadSession, organization_ids: Sequence[str]
    ) -> Mapping[tuple[str, InvitationStatus], datetime]:
        """For each tenant and status of its owner invitations the latest expiry."""
        columns = self._invitations.c
        query = (
            select(columns.organization_id, columns.status, func.max(columns.expires_at).label("latest"))
            .where(columns.organization_id.in_(organization_ids), columns.role == InvitationRole.OWNER.value)
            .group_by(columns.organization_id, columns.status)
        )
        rows = await session.rows(query)
        return {(row["organization_id"], InvitationStatus(row["status"])): row["latest"] for row in rows}

    async def _change(self, session: WriteSession, invitation: Invitation, **values: Any) -> bool:
        columns = self._invitations.c
        own = (columns.id == invitation.id, columns.organization_id == invitation.organization_id)
        changing = update(self._invitations).where(*own, self._is_pending).values(values)
        return await session.execute(changing) == 1

    async def _one(self, session: ReadSession, *conditions: ColumnElement[bool]) -> Invitation | None:
        row = await session.first(select(self._invitations).where(*conditions))
        return _invitation(row) if row is not None else None

    @property
    def _is_pending(self) -> Any:
        return self._invitations.c.status == InvitationStatus.PENDING.value


def _invitation(row: RowMapping) -> Invitation:
    values: Mapping[str, Any] = {name: row[name] for name in _FIELDS}
    typed = {"role": InvitationRole(row["role"]), "status": InvitationStatus(row["status"])}
    return Invitation(**{**values, **typed})
