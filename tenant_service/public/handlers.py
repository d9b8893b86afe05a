"""The JSON face of the tenants' plane; no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.web.api import Reply, Result
from service_kit.web.pages import link_header
from service_kit.web.streaming import send_stream
from tenant_service.people.errors import WrongPasswordError
from tenant_service.public.coming_in import accepted, signed_in
from tenant_service.public.registry import Door, PublicEndpoint, Visit
from tenant_service.public.schemas import (
    Acceptance,
    CreditView,
    Done,
    InvitationView,
    LogPage,
    MemberList,
    MemberView,
    OfferList,
    PagingQuery,
    PasswordChange,
    PendingInvitation,
    PendingList,
    Redirect,
    RoleChange,
    SessionView,
    SignIn,
    TeamInvitation,
    TenantView,
)

_INVITATION: Final = ("INVITATION_NOT_FOUND", "INVITATION_EXPIRED", "TENANT_SUSPENDED")
_INSIDE: Final = ("NOT_SIGNED_IN", "TENANT_SUSPENDED")
_MANAGING: Final = (*_INSIDE, "PERMISSION_DENIED")
_LIST: Final = ("QUERY_INVALID", "INVALID_CURSOR")
_CSV: Final = {
    "Content-Type": "text/csv; charset=utf-8; header=present",
    "Content-Disposition": 'attachment; filename="audit-log.csv"',
}
_SEED_401: Final = '{"error":"Invalid credentials"}'
"""R-108, byte for byte."""


def endpoints() -> tuple[PublicEndpoint, ...]:
    return (*_doors(), *_team(), *_reading())


def _doors() -> tuple[PublicEndpoint, ...]:
    return (
        PublicEndpoint(
            "GET",
            "/api/invitations/{id}",
            Door.OPEN,
            _invitation,
            "What an invitation's link is for",
            returns=InvitationView,
            errors=_INVITATION,
        ),
        PublicEndpoint(
            "POST",
            "/api/invitations/accept/{id}",
            Door.OPEN,
            _accept,
            "Accept an invitation and be signed in; the session comes as a cookie",
            body=Acceptance,
            returns=Redirect,
            errors=(
                *_INVITATION,
                "INVITATION_ALREADY_ACCEPTED",
                "INVALID_CREDENTIALS",
                "PASSWORD_TOO_WEAK",
                "VALIDATION_FAILED",
                "RATE_LIMITED",
                "BUSY",
                "TRY_AGAIN",
            ),
        ),
        PublicEndpoint(
            "POST",
            "/api/auth/sign-in/email",
            Door.OPEN,
            _sign_in,
            "Sign in as a member of this tenant; the session comes as a cookie",
            body=SignIn,
            returns=Redirect,
            errors=("INVALID_CREDENTIALS", "TENANT_SUSPENDED", "RATE_LIMITED", "BUSY"),
        ),
        PublicEndpoint(
            "POST",
            "/api/auth/sign-out",
            Door.SESSION,
            _sign_out,
            "End this session",
            returns=Done,
            errors=_INSIDE,
        ),
        PublicEndpoint(
            "GET",
            "/api/auth/get-session",
            Door.SESSION,
            _session,
            "Who is signed in",
            returns=SessionView,
            errors=_INSIDE,
        ),
        PublicEndpoint(
            "POST",
            "/api/auth/change-password",
            Door.SESSION,
            _change_password,
            "Change the password and end every other session of this person",
            body=PasswordChange,
            returns=Done,
            errors=(*_INSIDE, "INVALID_CREDENTIALS", "PASSWORD_TOO_WEAK", "RATE_LIMITED", "BUSY"),
        ),
    )


def _team() -> tuple[PublicEndpoint, ...]:
    return (
        PublicEndpoint(
            "GET",
            "/api/tenant/members",
            Door.MANAGER,
            _members,
            "Members, newest first",
            query=PagingQuery,
            returns=MemberList,
            errors=(*_MANAGING, *_LIST),
        ),
        PublicEndpoint(
            "PATCH",
            "/api/tenant/members/{id}",
            Door.MANAGER,
            _change_role,
            "Give a member another role; what concerns owners is for owners",
            body=RoleChange,
            returns=MemberView,
            errors=(*_MANAGING, "MEMBER_NOT_FOUND", "LAST_OWNER"),
        ),
        PublicEndpoint(
            "DELETE",
            "/api/tenant/members/{id}",
            Door.MANAGER,
            _remove,
            "Take a member out and end their sessions here",
            status=204,
            errors=(*_MANAGING, "MEMBER_NOT_FOUND", "LAST_OWNER"),
        ),
        PublicEndpoint(
            "POST",
            "/api/auth/organization/invite-member",
            Door.MANAGER,
            _invite,
            "Invite a person by mail; an open invitation of theirs is replaced",
            body=TeamInvitation,
            returns=PendingInvitation,
            status=201,
            errors=(*_MANAGING, "ALREADY_MEMBER", "INVITATION_PENDING", "RATE_LIMITED"),
        ),
        PublicEndpoint(
            "GET",
            "/api/tenant/invitations",
            Door.MANAGER,
            _invitations,
            "Open invitations by their public ids, newest first",
            returns=PendingList,
            errors=_MANAGING,
        ),
        PublicEndpoint(
            "DELETE",
            "/api/tenant/invitations/{id}",
            Door.MANAGER,
            _cancel,
            "Take an open invitation back",
            status=204,
            errors=(*_MANAGING, "INVITATION_NOT_FOUND"),
        ),
    )


def _reading() -> tuple[PublicEndpoint, ...]:
    return (
        PublicEndpoint(
            "GET", "/api/tenant", Door.SESSION, _tenant, "This tenant", returns=TenantView, errors=_INSIDE
        ),
        PublicEndpoint(
            "GET",
            "/api/tenant/billing",
            Door.SESSION,
            _billing,
            "The tenant's credit",
            returns=CreditView,
            errors=_INSIDE,
        ),
        PublicEndpoint(
            "GET",
            "/api/tenant/credit-packs",
            Door.SESSION,
            _packs,
            "Packs on offer, in the tenant's currency, by sort order",
            returns=OfferList,
            errors=_INSIDE,
        ),
        PublicEndpoint(
            "GET",
            "/api/tenant/audit-logs",
            Door.MANAGER,
            _log,
            "The tenant's own audit log, newest first",
            query=PagingQuery,
            returns=LogPage,
            errors=(*_MANAGING, *_LIST),
        ),
        PublicEndpoint(
            "GET",
            "/api/tenant/audit-logs/export",
            Door.MANAGER,
            _export,
            "The tenant's own audit log as CSV",
            errors=_MANAGING,
            files=("text/csv",),
        ),
    )


async def _invitation(visit: Visit) -> InvitationView:
    found = await visit.plane.accepting.shown(visit.visitor, visit.path("id"))
    return InvitationView.of(visit.visitor, found)


async def _accept(visit: Visit) -> Result:
    try:
        opened = await accepted(visit, visit.path("id"), visit.body.name, visit.body.password)
    except WrongPasswordError as error:
        return web.Response(status=error.status, text=_SEED_401, content_type="application/json")
    return _with_cookie(visit, opened.token if opened else "")


async def _sign_in(visit: Visit) -> Result:
    opened = await signed_in(visit, visit.body.email, visit.body.password)
    return _with_cookie(visit, opened.token)


async def _sign_out(visit: Visit) -> Result:
    await visit.plane.signing.sign_out(visit.by)
    response = web.json_response({"success": True}, headers={"Cache-Control": "no-store"})
    visit.plane.cookie.clear(response)
    return response


async def _session(visit: Visit) -> SessionView:
    return SessionView.of(visit.by)


async def _change_password(visit: Visit) -> Result:
    body = visit.body
    opened = await visit.plane.signing.change_password(visit.by, body.current_password, body.new_password)
    response = web.json_response({"success": True}, headers={"Cache-Control": "no-store"})
    visit.plane.cookie.set(response, opened.token)
    return response


async def _tenant(visit: Visit) -> TenantView:
    return TenantView.of(visit.visitor)


async def _members(visit: Visit) -> Reply:
    query = visit.query
    page = await visit.plane.managing.members(visit.by, cursor=query.cursor, limit=query.limit)
    return Reply(MemberList.of(page), headers=link_header(visit.request.rel_url, page))


async def _change_role(visit: Visit) -> MemberView:
    changed = await visit.plane.managing.change_role(visit.by, visit.path("id"), visit.body.role)
    return MemberView.of(changed)


async def _remove(visit: Visit) -> Reply:
    await visit.plane.managing.remove(visit.by, visit.path("id"))
    return Reply(None, 204)


async def _invite(visit: Visit) -> PendingInvitation:
    made = await visit.plane.managing.invite(visit.by, visit.body.email, visit.body.role)
    return PendingInvitation.of(made)


async def _invitations(visit: Visit) -> PendingList:
    found = await visit.plane.managing.pending(visit.by)
    return PendingList(data=[PendingInvitation.of(each) for each in found])


async def _cancel(visit: Visit) -> Reply:
    await visit.plane.managing.cancel(visit.by, visit.path("id"))
    return Reply(None, 204)


async def _billing(visit: Visit) -> CreditView:
    return CreditView.of(await visit.plane.purse.credit(visit.by))


async def _packs(visit: Visit) -> OfferList:
    return OfferList.of(await visit.plane.purse.offers(visit.by))


async def _log(visit: Visit) -> Reply:
    query = visit.query
    page = await visit.plane.log.page(visit.by, cursor=query.cursor, limit=query.limit)
    return Reply(LogPage.of(page), headers=link_header(visit.request.rel_url, page))


async def _export(visit: Visit) -> web.StreamResponse:
    return await send_stream(visit.request, _CSV, visit.plane.log.csv(visit.by))


def _with_cookie(visit: Visit, token: str) -> web.Response:
    """R-109, byte for byte; without a token the browser keeps the session that it has."""
    response = web.Response(
        text='{"redirectTo":"/dashboard"}',
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
    if token:
        visit.plane.cookie.set(response, token)
    return response
