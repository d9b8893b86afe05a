"""What comes in and goes out of the tenants' API; no answer holds a secret, a hash or another tenant."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from service_kit.web.pages import Page, PageModel
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel
from tenant_service.invitations.models import Invitation, InvitationRole
from tenant_service.people.models import MOST_NAME_CHARACTERS, MemberRole
from tenant_service.people.team import Colleague
from tenant_service.people.visitor import SignedIn, Visitor
from tenant_service.public.log import LogRow
from tenant_service.public.purse import Credit, Offer
from tenant_service.tenants.models import TenantStatus

_MOST_PASSWORD = 4096
"""Longer than any password may be: the rule about length has words of its own."""

PersonName = Annotated[PlainText, StringConstraints(min_length=1, max_length=MOST_NAME_CHARACTERS)]
Password = Annotated[str, Field(max_length=_MOST_PASSWORD, repr=False)]


class Acceptance(ApiModel):
    """R-107."""

    name: PersonName
    password: Password


class Redirect(ApiModel):
    """R-109."""

    redirect_to: str = "/dashboard"


class InvitationView(ApiModel):
    """What a link tells whoever holds it. Whether the address has an account is always hidden."""

    tenant_name: str
    email_masked: str
    role: InvitationRole
    expires_at: datetime
    user_exists: Literal[False] = False

    @classmethod
    def of(cls, visitor: Visitor, invitation: Invitation) -> Self:
        return cls(
            tenant_name=visitor.tenant.name,
            email_masked=masked(invitation.email),
            role=invitation.role,
            expires_at=invitation.expires_at,
        )


def masked(email: str) -> str:
    """`m•••@acme.example`: enough to know one's own address again."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}•••@{domain}"


class SignIn(ApiModel):
    email: Annotated[str, Field(max_length=_MOST_PASSWORD)]
    password: Password


class PasswordChange(ApiModel):
    current_password: Password
    new_password: Password


class UserView(ApiModel):
    id: str
    email: str
    name: str


class TenantView(ApiModel):
    slug: str
    name: str
    plan: str
    currency: str
    status: TenantStatus

    @classmethod
    def of(cls, visitor: Visitor) -> Self:
        tenant = visitor.tenant
        return cls(
            slug=tenant.slug,
            name=tenant.name,
            plan=tenant.plan,
            currency=tenant.currency.value,
            status=tenant.status,
        )


class SessionView(ApiModel):
    """Who is signed in here."""

    user: UserView
    tenant: TenantView
    role: MemberRole
    expires_at: datetime

    @classmethod
    def of(cls, by: SignedIn) -> Self:
        user = UserView(id=by.user.id, email=by.user.email, name=by.user.name)
        return cls(user=user, tenant=TenantView.of(by.visitor), role=by.member.role, expires_at=by.expires_at)


class Done(ApiModel):
    success: bool = True


class PagingQuery(QueryModel):
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=512)


class MemberView(ApiModel):
    id: str
    user_id: str
    name: str
    email: str
    role: MemberRole
    since: datetime

    @classmethod
    def of(cls, colleague: Colleague) -> Self:
        return cls(**asdict(colleague))


class MemberList(ApiModel):
    data: list[MemberView]
    page: PageModel

    @classmethod
    def of(cls, page: Page[Colleague]) -> Self:
        return cls(data=[MemberView.of(each) for each in page.rows], page=PageModel.of(page))


class RoleChange(ApiModel):
    role: MemberRole


class TeamInvitation(ApiModel):
    """`owner` may be given by owners only."""

    email: EmailAddress
    role: InvitationRole


class PendingInvitation(ApiModel):
    """An open invitation by its public id, which opens nothing."""

    id: str
    email: str
    role: InvitationRole
    invited_by_operator: bool
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, invitation: Invitation) -> Self:
        return cls(
            id=invitation.id,
            email=invitation.email,
            role=invitation.role,
            invited_by_operator=invitation.inviter_operator_id is not None,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )


class PendingList(ApiModel):
    data: list[PendingInvitation]


class CreditView(ApiModel):
    """`spendable` is what a reply can be paid with now."""

    spendable: int
    reserved: int
    used: int
    expires_next: datetime | None

    @classmethod
    def of(cls, credit: Credit) -> Self:
        return cls(**asdict(credit))


class OfferView(ApiModel):
    id: str
    name: str
    replies: int
    currency: str
    amount_minor: int
    price_display: str


class OfferList(ApiModel):
    data: list[OfferView]

    @classmethod
    def of(cls, offers: list[Offer]) -> Self:
        return cls(data=[OfferView(**asdict(each)) for each in offers])


class LogRowView(ApiModel):
    """One row of the tenant's own log; `via` says where an operator of the platform did it (R-127)."""

    id: str
    occurred_at: datetime
    event: str
    action: str
    severity: str
    outcome: str
    actor_type: str
    actor_name: str | None
    actor_email: str | None
    via: str | None
    justification: str | None
    resource_type: str
    resource_id: str
    details: Mapping[str, Any]


class LogPage(ApiModel):
    data: list[LogRowView]
    page: PageModel

    @classmethod
    def of(cls, page: Page[LogRow]) -> Self:
        return cls(data=[LogRowView(**asdict(each)) for each in page.rows], page=PageModel.of(page))
