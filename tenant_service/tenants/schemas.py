"""What comes in and goes out of the tenant endpoints (http-api 3.2, "Tenants").

No rule about slugs stands here: a slug is any text until the service has judged it, because its
refusals have codes of their own.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from service_kit.web.pages import PageModel
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel, replayed_without
from tenant_service.audit.schemas import AuditRow
from tenant_service.invitations.models import InvitationRole
from tenant_service.moments import UtcMoment
from tenant_service.tenants.models import Currency, OwnerState, TenantStatus

TenantName = Annotated[PlainText, StringConstraints(min_length=1, max_length=120)]
PlanName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Reason = Annotated[PlainText, StringConstraints(max_length=500)]
TicketRef = Annotated[PlainText, StringConstraints(max_length=100)]
SearchText = Annotated[PlainText, StringConstraints(max_length=120)]


class NewTenant(ApiModel):
    """The body of `POST /api/admin/tenants` (R-100)."""

    slug: str
    name: TenantName
    primary_admin_email: EmailAddress
    plan: PlanName = "free"
    currency: Currency = Currency.INR
    reason: Reason = ""
    ticket_ref: TicketRef = ""


class CreatedTenant(ApiModel):
    """R-104. `invitationId` and `acceptUrl` hold the invitation's secret: they are shown once."""

    model_config = ConfigDict(json_schema_extra=replayed_without())

    org_id: str
    invitation_id: str
    hosted_at: str
    accept_url: str | None
    expires_at: datetime


class ReplayedTenant(CreatedTenant):
    """The stored answer again: `invitationId` is the public part, `acceptUrl` is null."""

    accept_url: None = None
    secret_omitted: Literal[True] = True


class TenantPatch(ApiModel):
    """G-02. A member that is absent or null stays as it is; the slug cannot be changed."""

    name: TenantName | None = None
    plan: PlanName | None = None
    primary_email: EmailAddress | None = None
    currency: Currency | None = None
    reason: Reason = ""
    ticket_ref: TicketRef = ""

    @property
    def wanted(self) -> dict[str, Any]:
        """What shall be different, by the field's own name."""
        return self.model_dump(exclude_none=True, exclude={"reason", "ticket_ref"})


class SuspendTenant(ApiModel):
    """R-085. With `notifyOwner` the tenant's address gets a letter that names no reason."""

    reason: Reason = ""
    ticket_ref: TicketRef = ""
    notify_owner: bool = False


class SuspendedTenant(ApiModel):
    """`sessionsRevoked` counts the sessions that this call ended: none when it was suspended before."""

    status: TenantStatus
    sessions_revoked: int


class RestoreTenant(ApiModel):
    """R-086."""

    reason: Reason = ""
    ticket_ref: TicketRef = ""


class RestoredTenant(ApiModel):
    """`suspended` when a tenant came back that had been suspended before its deletion."""

    status: TenantStatus


class DeleteTenant(ApiModel):
    """R-087. A `confirm` that is given must be the slug."""

    confirm: str | None = None
    reason: Reason = ""
    ticket_ref: TicketRef = ""


class DeletedTenant(ApiModel):
    """Until `purgeAfter` it can be restored; then what was known of people is erased."""

    status: TenantStatus
    purge_after: datetime | None


class RevokeSessions(ApiModel):
    """With `userId` only that person's sessions in this tenant end."""

    reason: Annotated[Reason, StringConstraints(min_length=1)]
    ticket_ref: TicketRef = ""
    user_id: Annotated[PlainText, StringConstraints(max_length=64)] | None = None


class RevokedSessions(ApiModel):
    revoked: int


class PagingQuery(QueryModel):
    """Where a page begins, and how long it is."""

    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=512)


class MemberRow(ApiModel):
    """One member; `lastSignInAt` is null while they have never signed in here."""

    id: str
    user_id: str
    name: str
    email: str
    role: InvitationRole
    since: datetime
    last_sign_in_at: datetime | None


class MemberPage(ApiModel):
    data: list[MemberRow]
    page: PageModel


class TenantSort(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"


class TenantQuery(QueryModel):
    """`q` finds a part of the name, of the slug or of the tenant's address, whatever the case.

    `lowBalance` leaves the living tenants whose balance is below their threshold.
    """

    q: SearchText = ""
    status: TenantStatus | None = None
    plan: PlanName | None = None
    created_from: UtcMoment | None = None
    created_to: UtcMoment | None = None
    low_balance: bool = False
    sort: TenantSort = TenantSort.NEWEST
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=512)


class TenantRow(ApiModel):
    """One line of the list (R-020). `creditsRemaining` is null until the tenant has a billing account."""

    id: str
    slug: str
    name: str
    email: str
    plan: str
    status: TenantStatus
    created_at: datetime
    credits_remaining: int | None
    owner_state: OwnerState


class PageInfo(ApiModel):
    """`nextCursor` leads to later rows of the chosen order, `prevCursor` back; null where there are none."""

    next_cursor: str | None
    prev_cursor: str | None
    has_more: bool


class TenantPage(ApiModel):
    data: list[TenantRow]
    page: PageInfo


class Owner(ApiModel):
    """The person who accepted the owner invitation."""

    name: str
    email: str
    since: datetime
    last_sign_in_at: datetime | None


class PendingInvitation(ApiModel):
    """An open invitation by its public id; it may have expired meanwhile (`expiresAt`)."""

    id: str
    email: str
    role: InvitationRole
    created_at: datetime
    expires_at: datetime


class ConnectedAccount(ApiModel):
    id: str
    provider: str
    display_name: str
    external_id: str
    status: str
    connected_at: datetime


class BillingSummary(ApiModel):
    """R-022, counted in replies."""

    remaining: int
    used: int
    granted: int
    reserved: int
    expires_next: datetime | None


class FeatureFlag(ApiModel):
    """`version` is 0 while nobody has set the flag for this tenant: then it is off."""

    key: str
    enabled: bool
    note: str
    updated_by: str | None
    updated_at: datetime | None
    version: int


class TenantDetailCounts(ApiModel):
    members: int
    pending_invitations: int
    connected_accounts: int
    open_sessions: int


class TenantDetail(ApiModel):
    """`GET /api/admin/tenants/{id}`.

    `billing` is null until the tenant has a billing account; `recentAudit` (the last ten rows that the
    tenant itself may read) is null when the caller may not read the audit log.
    """

    id: str
    slug: str
    name: str
    email: str
    plan: str
    currency: Currency
    status: TenantStatus
    status_since: datetime | None
    status_reason: str | None
    purge_after: datetime | None
    purged_at: datetime | None
    hosted_at: str
    created_at: datetime
    updated_at: datetime
    created_by: str
    version: int
    owner_state: OwnerState
    owner: Owner | None
    pending_invitations: list[PendingInvitation]
    counts: TenantDetailCounts
    connected_accounts: list[ConnectedAccount]
    billing: BillingSummary | None
    flags: list[FeatureFlag]
    recent_audit: list[AuditRow] | None


class TenantCounts(ApiModel):
    """R-018. `total` counts every tenant; `approximate` says that the numbers may be seconds old."""

    total: int
    active: int
    suspended: int
    deleted: int
    pending_invitations: int
    approximate: bool
