"""What comes in and goes out of the operators' credit endpoints (http-api 3.2, "Billing")."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from service_kit.web.pages import PageModel
from service_kit.web.schemas import ApiModel, PlainText, QueryModel
from tenant_service.billing.closed_sets import ActorKind, Category, Kind, Source
from tenant_service.billing.credits.models import DEFAULT_PRIORITY, Grant
from tenant_service.billing.credits.runtime_schemas import BalanceModel
from tenant_service.moments import UtcMoment

GrantReason = Annotated[PlainText, StringConstraints(min_length=10, max_length=500)]
"""Money wants a reason that still says something in a year."""
TicketRef = Annotated[PlainText, StringConstraints(max_length=100)]


class NewGrant(ApiModel):
    """The body of `POST …/credits/grants` (R-023). Without an expiry the credit does not end."""

    replies: int = Field(ge=1, lt=2**53)
    reason: GrantReason
    category: Annotated[Category, Field(strict=False)] = Category.PROMOTIONAL
    expires_at: UtcMoment | None = None
    expires_in_days: int | None = Field(default=None, ge=1, le=3650)
    priority: int = Field(default=DEFAULT_PRIORITY, ge=0, le=100)
    ticket_ref: TicketRef = ""

    @model_validator(mode="after")
    def _one_expiry(self) -> Self:
        if self.expires_at is not None and self.expires_in_days is not None:
            raise ValueError("give expiresAt or expiresInDays, not both")
        return self


class VoidGrant(ApiModel):
    reason: GrantReason


class NewExpiry(ApiModel):
    """`expiresAt: null` means that the credit does not end any more."""

    expires_at: UtcMoment | None
    reason: GrantReason


class GrantModel(ApiModel):
    """One grant. `state` is `active`, `used`, `expired` or `voided`."""

    id: str
    replies: int
    remaining: int
    state: Literal["active", "used", "expired", "voided"]
    category: Category
    source: Source
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    reason: str
    ticket_ref: str
    granted_by: str
    created_at: datetime
    voided_at: datetime | None
    void_reason: str | None
    pack: dict[str, Any] | None

    @classmethod
    def of(cls, grant: Grant, now: datetime) -> Self:
        return cls(
            id=grant.id,
            replies=grant.amount,
            remaining=grant.remaining,
            state=_state(grant, now),
            category=grant.category,
            source=grant.source,
            priority=grant.priority,
            effective_at=grant.effective_at,
            expires_at=grant.expires_at,
            reason=grant.reason,
            ticket_ref=grant.ticket_ref,
            granted_by=grant.granted_by_id,
            created_at=grant.created_at,
            voided_at=grant.voided_at,
            void_reason=grant.void_reason,
            pack=dict(grant.pack_snapshot) if grant.pack_snapshot is not None else None,
        )


def _state(grant: Grant, now: datetime) -> Literal["active", "used", "expired", "voided"]:
    if grant.voided_at is not None:
        return "voided"
    if grant.has_lapsed(now):
        return "expired"
    return "active" if grant.remaining else "used"


class GrantMade(ApiModel):
    """`warning` is TENANT_SUSPENDED when the credit cannot be used for now."""

    grant: GrantModel
    balance: BalanceModel
    warning: str | None = None


class GrantVoided(ApiModel):
    """`voided` was left and is gone; `alreadyUsed` was consumed or is held and is not clawed back."""

    voided: int
    already_used: int
    balance: BalanceModel


class ExpiryChanged(ApiModel):
    grant: GrantModel


class GrantLimits(ApiModel):
    """How much whoever asks may grant (G-12): at once, and over all tenants on this day (UTC)."""

    at_once: int
    a_day: int
    granted_today: int


class TenantBilling(ApiModel):
    """`GET …/{id}/billing` (R-022).

    `limits` is null for a role that grants nothing. `lapsed` is still counted in `remaining` but cannot be
    spent any more: the next run of the job books it. `grantsCut` says that the tenant has more grants than
    are listed; any one of them is asked for with `grant`.
    """

    organization_id: str
    balance: BalanceModel
    lapsed: int
    expires_next: datetime | None
    low_balance_threshold: int
    limits: GrantLimits | None
    grants: list[GrantModel]
    grants_cut: bool = False


class BillingQuery(QueryModel):
    """`grant` lists that one grant of the tenant, or none, instead of the first in burn order."""

    grant: str | None = Field(default=None, max_length=64)


class LedgerQuery(QueryModel):
    kind: Kind | None = None
    since: UtcMoment | None = Field(default=None, alias="from")
    until: UtcMoment | None = Field(default=None, alias="to")
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=512)
    format: Literal["json", "csv"] = "json"


class LedgerLine(ApiModel):
    """One posting of a transaction."""

    account: str
    grant_id: str
    amount: int


class LedgerRow(ApiModel):
    """One transaction, and what it moved. `balanceAfter` is null when nothing available was moved."""

    id: str
    kind: Kind
    amount: int
    balance_after: int | None
    actor_type: ActorKind
    actor_id: str
    note: str
    reverses: str | None
    created_at: datetime
    postings: list[LedgerLine]


class LedgerPage(ApiModel):
    data: list[LedgerRow]
    page: PageModel


class SummaryQuery(QueryModel):
    since: UtcMoment | None = Field(default=None, alias="from")
    until: UtcMoment | None = Field(default=None, alias="to")


class SummaryDay(ApiModel):
    """One UTC day. `used` is what was consumed less what was restored."""

    day: date
    granted: int
    used: int
    expired: int
    voided: int


class Liability(ApiModel):
    """Replies that tenants may still use: by the category of the grant, and what of it is held now."""

    replies: int
    by_category: Mapping[str, int]
    reserved: int


class TenantUse(ApiModel):
    organization_id: str
    slug: str
    name: str
    used: int


class LowBalance(ApiModel):
    organization_id: str
    slug: str
    name: str
    remaining: int
    threshold: int


class BillingSummaryModel(ApiModel):
    days: list[SummaryDay]
    liability: Liability
    top_tenants: list[TenantUse]
    low_balances: list[LowBalance]
