"""What the tenant pages ask the tenant service, and how they read its answers; no page is made here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import quote

from pydantic import Field

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame
from admin_service.panel.layout import Frame
from admin_service.panel.views.parts import Pager, page_url
from admin_service.panel.views.tenant_place import TenantHead
from admin_service.tenant_answers import Answer, AuditRow, ConnectedAccount, PageInfo, TenantDetail
from service_kit.errors import NotFoundError
from service_kit.identity.model import InternalIdentity
from service_kit.web.api import Call

_TENANTS: Final = "/api/admin/tenants"

L = TypeVar("L", bound=Answer)


class Done(Answer):
    """An answer of which nothing is read."""


class MemberRow(Answer):
    user_id: str
    name: str
    email: str
    role: str
    since: datetime
    last_sign_in_at: datetime | None


class MemberPage(Answer):
    data: list[MemberRow]
    page: PageInfo


class InvitationRow(Answer):
    id: str
    email: str
    role: str
    status: str
    invited_by: str
    created_at: datetime
    expires_at: datetime
    last_sent_at: datetime | None
    accepted_at: datetime | None
    half_accepted_by: str | None = None


class InvitationPage(Answer):
    data: list[InvitationRow]
    page: PageInfo


class CreatedInvitation(Answer):
    """`accept_url` holds the secret; None when the answer is that of an earlier request."""

    invitation_id: str = Field(repr=False)
    accept_url: str | None = Field(repr=False)
    expires_at: datetime


class AccountPage(Answer):
    data: list[ConnectedAccount]
    page: PageInfo


class AuditPage(Answer):
    data: list[AuditRow]
    page: PageInfo


def api_path(tenant: str, *names: str) -> str:
    """The path under a tenant. Raises NotFoundError for dots, which some server might resolve."""
    segments = (tenant, *names)
    if any(segment.strip(".") == "" for segment in segments):
        raise NotFoundError("TENANT_NOT_FOUND", "No such tenant")
    return "/".join((_TENANTS, *(quote(segment, safe="") for segment in segments)))


async def tenant_of(services: PanelServices, call: Call) -> TenantDetail:
    """The tenant that the page is about. Raises NotFoundError, UnavailableError."""
    return await services.tenants.get(behalf_of(call), call.path("id"))


async def listed(
    services: PanelServices, call: Call, kind: type[L], below: str
) -> tuple[Frame, TenantDetail, L]:
    """A page of what lies below a tenant, asked for at once with the tenant and the page's frame.

    Raises NotFoundError, UnavailableError.
    """
    asked = services.tenants.at(
        kind, api_path(call.path("id"), below), behalf_of(call), query=cursor_of(call)
    )
    frame, (tenant, found) = await both(
        operator_frame(services, call), both(tenant_of(services, call), asked)
    )
    return frame, tenant, found


def head_of(tenant: TenantDetail) -> TenantHead:
    return TenantHead(
        tenant.id, tenant.name, tenant.status, tenant.hosted_at, is_purged=tenant.purged_at is not None
    )


def permissions_of(actor: InternalIdentity) -> frozenset[str]:
    return frozenset(permission.value for permission in actor.permissions)


def cursor_of(call: Call) -> Mapping[str, str]:
    cursor = call.request.query.get("cursor", "")
    return {"cursor": cursor} if cursor else {}


def pager_of(path: str, found: PageInfo, kept: Mapping[str, str] | None = None) -> Pager:
    """Links to the neighbours; the other parameters of the page are kept."""

    def link(cursor: str | None) -> str | None:
        return page_url(path, {**(kept or {}), "cursor": cursor}) if cursor else None

    return Pager(newer=link(found.prev_cursor), older=link(found.next_cursor))
