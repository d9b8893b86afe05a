"""The SQL of one tenant's invitations, for its own plane; it decides nothing and commits nothing."""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, RowMapping, Table

from tenant_service.invitations.code import InvitationCode
from tenant_service.invitations.models import Invitation, InvitationRole, InvitationStatus
from tenant_service.people.scope import TenantRead, TenantWrite

_FIELDS: Final = tuple(Invitation.__dataclass_fields__)
_CODE: Final = re.compile(r"(?P<id>inv_[0-7][0-9A-HJKMNP-TV-Z]{25})_(?P<secret>[0-9A-HJKMNP-TV-Z]{26})")


@dataclass(frozen=True, slots=True)
class Found:
    """An invitation, and who accepted it."""

    invitation: Invitation
    accepted_user_id: str | None


def read_code(text: str) -> InvitationCode | None:
    """The code of a link; None for any other text, and for a public id without its secret (G-16)."""
    parts = _CODE.fullmatch(text)
    return InvitationCode(parts["id"], parts["secret"]) if parts is not None else None


class TenantInvitations:
    """Invitations of one tenant at a time."""

    def __init__(self, invitations: Table) -> None:
        self._invitations = invitations

    async def by_code(self, at: TenantRead, code: InvitationCode, *, hold: bool = False) -> Found | None:
        """The tenant's invitation that the code opens; with `hold` its row stays locked until the commit."""
        query = at.scope.select(self._invitations).where(self._column("id") == code.public_id)
        row = await at.session.first(query.with_for_update() if hold else query)
        if row is None or not hmac.compare_digest(row["secret_hash"], code.secret_hash):
            return None
        return Found(_invitation(row), row["accepted_user_id"])

    async def by_id(self, at: TenantRead, invitation_id: str) -> Invitation | None:
        query = at.scope.select(self._invitations).where(self._column("id") == invitation_id)
        row = await at.session.first(query)
        return _invitation(row) if row is not None else None

    async def open_for(self, at: TenantRead, email: str) -> Invitation | None:
        """The open invitation to an address in its normal form; there is at most one."""
        query = at.scope.select(self._invitations).where(self._column("email") == email, self._is_pending)
        row = await at.session.first(query)
        return _invitation(row) if row is not None else None

    async def pending(self, at: TenantRead, *, limit: int) -> Sequence[Invitation]:
        """The open invitations, newest first."""
        query = at.scope.select(self._invitations).where(self._is_pending)
        order = (self._column("created_at").desc(), self._column("id").desc())
        return [_invitation(row) for row in await at.session.rows(query.order_by(*order).limit(limit))]

    async def add(self, at: TenantWrite, invitation: Invitation, *, secret_hash: str) -> None:
        values = {
            **asdict(invitation),
            "secret_hash": secret_hash,
            "attempts": 0,
            "updated_at": invitation.created_at,
        }
        await at.session.execute(at.scope.insert(self._invitations, values))

    async def tried(self, at: TenantWrite, invitation_id: str) -> None:
        """Count a wrong password behind this link."""
        changing = at.scope.update(self._invitations).where(self._column("id") == invitation_id)
        await at.session.execute(changing.values(attempts=self._column("attempts") + 1))

    async def accept(self, at: TenantWrite, invitation: Invitation, user_id: str, now: datetime) -> bool:
        """R-111: the last step of an acceptance; False when the invitation is open no longer."""
        values = {
            "status": InvitationStatus.ACCEPTED.value,
            "accepted_at": now,
            "accepted_user_id": user_id,
        }
        return await self._close(at, invitation, values, now)

    async def cancel(self, at: TenantWrite, invitation: Invitation, now: datetime) -> bool:
        """Make it open nothing; False when it is open no longer."""
        return await self._close(at, invitation, {"status": InvitationStatus.CANCELED.value}, now)

    async def _close(
        self, at: TenantWrite, invitation: Invitation, values: Mapping[str, Any], now: datetime
    ) -> bool:
        changing = at.scope.update(self._invitations).where(
            self._column("id") == invitation.id, self._is_pending
        )
        changed = {**values, "updated_at": now, "version": invitation.version + 1}
        return await at.session.execute(changing.values(changed)) == 1

    def _column(self, name: str) -> Column[Any]:
        return self._invitations.c[name]

    @property
    def _is_pending(self) -> Any:
        return self._column("status") == InvitationStatus.PENDING.value


def _invitation(row: RowMapping) -> Invitation:
    values: Mapping[str, Any] = {name: row[name] for name in _FIELDS}
    typed = {"role": InvitationRole(row["role"]), "status": InvitationStatus(row["status"])}
    return Invitation(**{**values, **typed})
