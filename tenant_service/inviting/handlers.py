"""The HTTP face of invitations, for operators; no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.replaying import CODES as KEY_CODES
from service_kit.web.replaying import once_of, replaying
from tenant_service.calls import asker_of
from tenant_service.inviting.schemas import (
    CreatedInvitation,
    InvitationPage,
    InvitationRow,
    NewInvitation,
)
from tenant_service.inviting.service import InvitingService
from tenant_service.tenants.answers import as_shown, linked
from tenant_service.tenants.schemas import PagingQuery

INVITING = web.AppKey("inviting", InvitingService)

_INVITATIONS: Final = "/api/admin/tenants/{id}/invitations"
_GONE: Final = ("TENANT_NOT_FOUND", "INVITATION_NOT_FOUND", "INVITATION_NOT_PENDING")
_CLOSED: Final = ("TENANT_SUSPENDED", "TENANT_DELETED")


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            _INVITATIONS,
            Permission.TENANT_VIEW,
            _page,
            "Invitations of a tenant, newest first, by their public ids",
            query=PagingQuery,
            returns=InvitationPage,
            errors=("TENANT_NOT_FOUND", "QUERY_INVALID", "INVALID_CURSOR"),
        ),
        Endpoint(
            "POST",
            _INVITATIONS,
            Permission.TENANT_INVITE_ADMIN,
            replaying(_create),
            "Invite an owner or admin; an open invitation of the same person is canceled",
            body=NewInvitation,
            returns=CreatedInvitation,
            status=201,
            errors=("TENANT_NOT_FOUND", "ALREADY_MEMBER", *_CLOSED, "VALIDATION_FAILED", *KEY_CODES),
        ),
        Endpoint(
            "POST",
            f"{_INVITATIONS}/{{invitation}}/resend",
            Permission.TENANT_INVITE_ADMIN,
            replaying(_resend),
            "Send an open invitation again, with a new link; the old one is dead",
            returns=InvitationRow,
            errors=(*_GONE, *_CLOSED, *KEY_CODES),
        ),
        Endpoint(
            "DELETE",
            f"{_INVITATIONS}/{{invitation}}",
            Permission.TENANT_INVITE_ADMIN,
            _cancel,
            "Cancel an open invitation",
            status=204,
            errors=_GONE,
        ),
    )


async def _page(call: Call) -> Reply:
    page = await call.request.app[INVITING].page(call.path("id"), call.query)
    return linked(call, page, page.page)


async def _create(call: Call) -> Reply:
    once = once_of(call, CreatedInvitation.without_secret, status=201)
    made = await call.request.app[INVITING].create(asker_of(call), call.path("id"), call.body, once=once)
    return Reply(made, 201)


async def _resend(call: Call) -> InvitationRow:
    return await call.request.app[INVITING].resend(
        asker_of(call), call.path("id"), call.path("invitation"), once=once_of(call, as_shown)
    )


async def _cancel(call: Call) -> Reply:
    await call.request.app[INVITING].cancel(asker_of(call), call.path("id"), call.path("invitation"))
    return Reply(None, 204)
