"""What comes in and goes out of the invitation endpoints; only a creation's answer holds a secret (G-16)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import ConfigDict

from service_kit.web.pages import PageModel
from service_kit.web.schemas import ApiModel, EmailAddress, replayed_without
from tenant_service.invitations.models import Invitation, InvitationRole, InvitationStatus
from tenant_service.tenants.schemas import Reason, TicketRef


class NewInvitation(ApiModel):
    """R-088. Members are invited by the tenant itself."""

    email: EmailAddress
    role: Literal[InvitationRole.OWNER, InvitationRole.ADMIN]
    reason: Reason = ""
    ticket_ref: TicketRef = ""


class CreatedInvitation(ApiModel):
    """`invitationId` and `acceptUrl` hold the secret: they are shown once.

    When the same answer is asked for again, `invitationId` is the public part and `secretOmitted` is true.
    """

    model_config = ConfigDict(json_schema_extra=replayed_without())

    invitation_id: str
    accept_url: str | None
    expires_at: datetime

    def without_secret(self) -> Mapping[str, Any]:
        """What a replay may show (data-model 2.5)."""
        public_id, _, _ = self.invitation_id.rpartition("_")
        shown = self.model_copy(update={"invitation_id": public_id, "accept_url": None})
        return {**shown.model_dump(mode="json", by_alias=True), "secretOmitted": True}


class InvitationRow(ApiModel):
    """One invitation by its public id, which opens nothing; a pending one may be past its `expiresAt`.

    `halfAcceptedBy` is the account that an acceptance left without a membership, while the link still
    lives (R-112).
    """

    id: str
    email: str
    role: InvitationRole
    status: InvitationStatus
    invited_by: str
    invited_by_operator: bool
    created_at: datetime
    expires_at: datetime
    last_sent_at: datetime | None
    accepted_at: datetime | None
    half_accepted_by: str | None

    @classmethod
    def of(cls, invitation: Invitation, half_accepted_by: str | None = None) -> Self:
        return cls(
            id=invitation.id,
            email=invitation.email,
            role=invitation.role,
            status=invitation.status,
            invited_by=invitation.inviter_operator_id or invitation.inviter_id or "",
            invited_by_operator=invitation.inviter_operator_id is not None,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
            last_sent_at=invitation.last_sent_at,
            accepted_at=invitation.accepted_at,
            half_accepted_by=half_accepted_by,
        )


class InvitationPage(ApiModel):
    data: list[InvitationRow]
    page: PageModel
