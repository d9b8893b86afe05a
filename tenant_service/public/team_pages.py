"""The page of a tenant's team (panel.md T-04): who is in it, who is invited, and the forms that change it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from service_kit.email_address import normalise_email
from service_kit.errors import ProblemError, UnprocessableError
from tenant_service.invitations.models import InvitationRole
from tenant_service.people.models import MemberRole
from tenant_service.public.forms import proven_form, see_other, token_for
from tenant_service.public.registry import Door, PublicEndpoint, Visit
from tenant_service.public.rendering import page
from tenant_service.public.schemas import PagingQuery

TEAM: Final = "/team"
_NOTICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "invited": "The invitation is on its way.",
        "canceled": "The invitation was taken back: its link opens nothing any more.",
        "role": "The role was changed.",
        "removed": "The member was removed and signed out.",
    }
)


def endpoints() -> tuple[PublicEndpoint, ...]:
    return (
        PublicEndpoint("GET", TEAM, Door.MANAGER, _team, "The team", query=PagingQuery, page=True),
        _page("POST", "/team/invite", _do_invite),
        _page("POST", "/team/invitations/{id}/cancel", _do_cancel),
        _page("GET", "/team/members/{id}", _member),
        _page("POST", "/team/members/{id}/role", _do_role),
        _page("POST", "/team/members/{id}/remove", _do_remove),
        _page("GET", "/team/{done:invited|canceled|role|removed}", _done),
    )


def _page(method: str, path: str, handler: Any) -> PublicEndpoint:
    return PublicEndpoint(method, path, Door.MANAGER, handler, "", page=True)


async def _team(visit: Visit) -> web.Response:
    return await _team_page(visit, cursor=visit.query.cursor)


async def _done(visit: Visit) -> web.Response:
    """The team after a change, with a word about it."""
    return await _team_page(visit, notice=_NOTICES[visit.path("done")])


async def _do_invite(visit: Visit) -> web.Response:
    form = await proven_form(visit, "invite")
    email, role = form.text("email"), form.text("role")
    try:
        await visit.plane.managing.invite(visit.by, _email(email), _role(InvitationRole, role))
    except ProblemError as error:
        return await _team_page(visit, error=error, email=email)
    return see_other(f"{TEAM}/invited")


async def _do_cancel(visit: Visit) -> web.Response:
    await proven_form(visit, "cancel")
    await visit.plane.managing.cancel(visit.by, visit.path("id"))
    return see_other(f"{TEAM}/canceled")


async def _member(visit: Visit) -> web.Response:
    return await _member_page(visit)


async def _do_role(visit: Visit) -> web.Response:
    form = await proven_form(visit, f"member {visit.path('id')}")
    try:
        role = _role(MemberRole, form.text("role"))
        await visit.plane.managing.change_role(visit.by, visit.path("id"), role)
    except ProblemError as error:
        return await _member_page(visit, error=error)
    return see_other(f"{TEAM}/role")


async def _do_remove(visit: Visit) -> web.Response:
    await proven_form(visit, f"member {visit.path('id')}")
    try:
        await visit.plane.managing.remove(visit.by, visit.path("id"))
    except ProblemError as error:
        return await _member_page(visit, error=error)
    return see_other(f"{TEAM}/removed")


async def _team_page(
    visit: Visit,
    *,
    cursor: str | None = None,
    notice: str = "",
    error: ProblemError | None = None,
    email: str = "",
) -> web.Response:
    values = {
        "colleagues": await visit.plane.managing.members(visit.by, cursor=cursor, limit=100),
        "pending": await visit.plane.managing.pending(visit.by),
        "notice": notice,
        "error": error.message if error else "",
        "email": email,
        "invite_token": token_for(visit, "invite"),
        "cancel_token": token_for(visit, "cancel"),
        "roles": _roles(visit),
    }
    return page(visit.request, "team.html", values, status=error.status if error else 200)


async def _member_page(visit: Visit, *, error: ProblemError | None = None) -> web.Response:
    member_id = visit.path("id")
    values = {
        "colleague": await visit.plane.managing.member(visit.by, member_id),
        "error": error.message if error else "",
        "token": token_for(visit, f"member {member_id}"),
        "roles": _roles(visit),
    }
    return page(visit.request, "member.html", values, status=error.status if error else 200)


def _roles(visit: Visit) -> list[str]:
    """What this person may give; the service decides again."""
    mine = visit.by.member.role
    return [role.value for role in MemberRole if role is not MemberRole.OWNER or mine is MemberRole.OWNER]


def _email(text: str) -> str:
    try:
        return normalise_email(text)
    except ValueError:
        raise UnprocessableError("VALIDATION_FAILED", "This is no e-mail address") from None


def _role(kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise UnprocessableError("VALIDATION_FAILED", "Choose a role") from None
