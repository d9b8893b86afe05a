"""What comes in and goes out of the support search (http-api 3.2, "Support search")."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field as Described
from pydantic import StringConstraints

from service_kit.web.pages import PageModel
from service_kit.web.schemas import ApiModel, PlainText, QueryModel
from tenant_service.people.models import MemberRole
from tenant_service.support.models import Budget, Match
from tenant_service.tenants.models import TenantStatus

Text = Annotated[PlainText, StringConstraints(max_length=254)]


class SupportQuery(QueryModel):
    """`email` looks at addresses, `q` at addresses and names; exactly one of them.

    Without `match` an `email` is exact and a `q` is how an address or name begins. A `limit` beyond 100
    is cut to 100.
    """

    email: Text = ""
    q: Text = ""
    match: Match | None = None
    limit: int = Described(default=100, ge=1)
    cursor: str | None = Described(default=None, max_length=512)
    justification: Annotated[PlainText, StringConstraints(max_length=500)] = ""
    ticket_ref: Annotated[PlainText, StringConstraints(max_length=100)] = ""


class Membership(ApiModel):
    """`status` is the tenant's."""

    org_id: str
    slug: str
    role: MemberRole
    status: TenantStatus


class SupportUser(ApiModel):
    user_id: str
    email: str
    name: str
    email_verified: bool
    memberships: list[Membership]


class SearchAudit(ApiModel):
    """The row that tells of this page, and how many people it says were shown."""

    event_id: str
    row_count: int
    severity: Literal["CRITICAL"] = "CRITICAL"


class BudgetModel(ApiModel):
    """What the operator has left. At `resetAt` the oldest search stops counting."""

    limit: int
    remaining: int
    reset_at: datetime

    @classmethod
    def of(cls, budget: Budget, **more: bool) -> Self:
        return cls(limit=budget.limit, remaining=budget.remaining, reset_at=budget.resets_at, **more)


class SearchStanding(BudgetModel):
    """For the panel, before anybody searches: the budget, and whether tenants read of searches."""

    tenants_told: bool


class SupportPage(ApiModel):
    data: list[SupportUser]
    page: PageModel
    audit: SearchAudit
    rate_limit: BudgetModel


class PredicateParams(ApiModel):
    """What somebody suspects was searched for. Without `match`: as the row says it was asked."""

    email: Text = ""
    q: Text = ""
    match: Match | None = None


class PredicateCheck(ApiModel):
    event_id: Annotated[PlainText, StringConstraints(max_length=64)]
    params: PredicateParams


class PredicateVerdict(ApiModel):
    matches: bool
