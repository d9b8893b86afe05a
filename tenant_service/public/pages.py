"""The pages of a tenant's own host (panel.md T-01 … T-06): they ask services, and work without a script."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from service_kit.errors import ProblemError
from service_kit.web.forms import CSRF_FIELD
from tenant_service.people.errors import WrongPasswordError
from tenant_service.public.coming_in import accepted, signed_in
from tenant_service.public.forms import proven_form, see_other, token_for
from tenant_service.public.registry import LOGIN, Door, PublicEndpoint, Visit
from tenant_service.public.rendering import STYLE, STYLE_HASH, page
from tenant_service.public.schemas import PagingQuery, masked

DASHBOARD: Final = "/dashboard"
_MOST_NAME: Final = 120
_NOTICES: Final[Mapping[str, str]] = MappingProxyType({"password": "Your password was changed."})


def endpoints() -> tuple[PublicEndpoint, ...]:
    return (
        _page("GET", "/", Door.OPEN, _home),
        _page("GET", LOGIN, Door.OPEN, _login),
        _page("POST", LOGIN, Door.OPEN, _do_login),
        _page("POST", "/logout", Door.SESSION, _do_logout),
        _page("GET", "/accept-invite/{id}", Door.OPEN, _accept),
        _page("POST", "/accept-invite/{id}", Door.OPEN, _do_accept),
        _page("GET", DASHBOARD, Door.SESSION, _dashboard),
        _page("GET", "/billing", Door.SESSION, _billing),
        PublicEndpoint(
            "GET", "/audit", Door.MANAGER, _audit, "The tenant's own log", query=PagingQuery, page=True
        ),
        _page("GET", "/account", Door.SESSION, _account),
        _page("POST", "/account/password", Door.SESSION, _do_password),
        _page("GET", "/assets/{name}", Door.OPEN, _asset),
        _page("GET", "/favicon.ico", Door.OPEN, _icon),
    )


def _page(method: str, path: str, door: Door, handler: Any) -> PublicEndpoint:
    return PublicEndpoint(method, path, door, handler, "", page=True)


async def _home(visit: Visit) -> web.Response:
    return see_other(DASHBOARD if visit.signed_in is not None else LOGIN)


async def _login(visit: Visit) -> web.Response:
    if visit.signed_in is not None:
        return see_other(DASHBOARD)
    return _login_page(visit)


async def _do_login(visit: Visit) -> web.Response:
    form = await proven_form(visit, "login")
    try:
        opened = await signed_in(visit, form.text("email"), form.fields.get("password", ""))
    except ProblemError as error:
        return _login_page(visit, email=form.text("email"), error=error)
    return _entered(visit, opened.token)


def _login_page(visit: Visit, *, email: str = "", error: ProblemError | None = None) -> web.Response:
    values = {"email": email, "error": error.message if error else "", "token": token_for(visit, "login")}
    return _with_headers(
        page(visit.request, "login.html", values, status=error.status if error else 200), error
    )


async def _do_logout(visit: Visit) -> web.Response:
    await proven_form(visit, "sign_out")
    await visit.plane.signing.sign_out(visit.by)
    response = see_other(LOGIN)
    visit.plane.cookie.clear(response)
    return response


async def _accept(visit: Visit) -> web.Response:
    return await _accept_page(visit)


async def _do_accept(visit: Visit) -> web.Response:
    form = await proven_form(visit, f"accept {visit.path('id')}")
    name, password = form.text("name"), form.fields.get("password", "")
    try:
        if not 0 < len(name) <= _MOST_NAME or "\t" in name:
            return await _accept_page(
                visit, name=name, error="Write your name, at most 120 characters", faulty="name", status=422
            )
        opened = await accepted(visit, visit.path("id"), name, password)
    except ProblemError as error:
        if error.status not in {401, 422, 429}:
            raise
        wrong = isinstance(error, WrongPasswordError)
        text = "This address has an account already: use its password" if wrong else error.message
        return _with_headers(await _accept_page(visit, name=name, error=text, status=error.status), error)
    return _entered(visit, opened.token if opened else "")


async def _accept_page(
    visit: Visit, *, name: str = "", error: str = "", faulty: str = "password", status: int = 200
) -> web.Response:
    link = visit.path("id")
    invitation = await visit.plane.accepting.shown(visit.visitor, link)
    values = {
        "invitation": invitation,
        "email": masked(invitation.email),
        "name": name,
        "error": error,
        "faulty": faulty,
        "link": link,
        "token": token_for(visit, f"accept {link}"),
    }
    return page(visit.request, "accept.html", values, status=status)


async def _dashboard(visit: Visit) -> web.Response:
    count = await visit.plane.managing.count(visit.by)
    credit = await visit.plane.purse.credit(visit.by)
    return page(visit.request, "dashboard.html", {"members": count, "credit": credit})


async def _billing(visit: Visit) -> web.Response:
    credit, offers = await visit.plane.purse.credit(visit.by), await visit.plane.purse.offers(visit.by)
    return page(visit.request, "billing.html", {"credit": credit, "offers": offers})


async def _audit(visit: Visit) -> web.Response:
    query = visit.query
    rows = await visit.plane.log.page(visit.by, cursor=query.cursor, limit=query.limit)
    return page(visit.request, "audit.html", {"rows": rows})


async def _account(visit: Visit) -> web.Response:
    return _account_page(visit)


async def _do_password(visit: Visit) -> web.Response:
    form = await proven_form(visit, "password")
    current, new = form.fields.get("current", ""), form.fields.get("new", "")
    try:
        opened = await visit.plane.signing.change_password(visit.by, current, new)
    except ProblemError as error:
        return _with_headers(_account_page(visit, error=error), error)
    response = see_other("/account?done=password")
    visit.plane.cookie.set(response, opened.token)
    return response


def _account_page(visit: Visit, *, error: ProblemError | None = None) -> web.Response:
    values = {
        "error": error.message if error else "",
        "notice": _NOTICES.get(visit.request.query.get("done", ""), ""),
        "token": token_for(visit, "password"),
        "field": CSRF_FIELD,
    }
    return page(visit.request, "account.html", values, status=error.status if error else 200)


async def _asset(visit: Visit) -> web.Response:
    if visit.path("name") != f"tenant.{visit.request.app[STYLE_HASH]}.css":
        raise web.HTTPNotFound
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return web.Response(body=STYLE.read_bytes(), content_type="text/css", charset="utf-8", headers=headers)


async def _icon(_visit: Visit) -> web.Response:
    """There is none; browsers ask on their own."""
    return web.Response(status=204, headers={"Cache-Control": "public, max-age=86400"})


def _entered(visit: Visit, token: str) -> web.Response:
    response = see_other(DASHBOARD)
    if token:
        visit.plane.cookie.set(response, token)
    return response


def _with_headers(response: web.Response, error: ProblemError | None) -> web.Response:
    response.headers.update(error.headers if error is not None else {})
    return response
