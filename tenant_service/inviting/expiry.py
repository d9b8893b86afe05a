"""The end of invitations that nobody accepted in time, as a job (R-103).

An invitation is dead the moment its time is over, whether or not this ran: it only says so in the table
and in the tenant's own log.
"""

from dataclasses import dataclass
from datetime import datetime

from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.db.session import Database
from tenant_service.events import INVITATION_EXPIRED
from tenant_service.invitations.models import Invitation
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.recording import Recorder


@dataclass(frozen=True, slots=True)
class InvitationExpiry:
    """Ends overdue invitations, one transaction each."""

    database: Database
    invitations: InvitationRepository
    recorder: Recorder

    async def expire_invitations(self, now: datetime, limit: int) -> int:
        """End at most `limit` overdue invitations; how many were ended. It may be run again at any time."""
        async with self.database.read() as session:
            overdue = await self.invitations.overdue(session, now, limit=limit)
        return sum([await self._expire(invitation, now) for invitation in overdue])

    async def _expire(self, invitation: Invitation, now: datetime) -> bool:
        async with self.database.write() as session:
            if not await self.invitations.expire(session, invitation, now=now):
                return False
            await self.recorder.record(
                session,
                AuditEntry(
                    event=INVITATION_EXPIRED,
                    actor=SYSTEM,
                    resource_id=invitation.id,
                    organization_id=invitation.organization_id,
                    details={"role": invitation.role.value, "expiresAt": invitation.expires_at.isoformat()},
                    details_pii={"email": invitation.email},
                ),
            )
        return True
