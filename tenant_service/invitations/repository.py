"""The SQL of invitations; it decides nothing and commits nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, Select, Table, func, insert, select

from service_kit.db.session import ReadSession, WriteSession
from tenant_service.invitations.models import Invitation, InvitationRole, InvitationStatus

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
            "version": 1,
        }
        await session.execute(insert(self._invitations).values(row))

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

    @property
    def _is_pending(self) -> Any:
        return self._invitations.c.status == InvitationStatus.PENDING.value


def _invitation(row: RowMapping) -> Invitation:
    values: Mapping[str, Any] = {name: row[name] for name in _FIELDS}
    typed = {"role": InvitationRole(row["role"]), "status": InvitationStatus(row["status"])}
    return Invitation(**{**values, **typed})
