"""The theme switch: one cookie, set by a form, so that a page never flashes in the wrong colours."""

import re
from typing import Final

from aiohttp import web

from admin_service.panel.context import THEME_COOKIE, THEME_FORM, PanelServices, see_other
from admin_service.panel.forms import CSRF_FIELD, read_form, require_own_origin
from admin_service.panel.layout import THEMES
from service_kit.errors import BadRequestError, ForbiddenError
from service_kit.web.api import Call

_YEAR_SECONDS: Final = 365 * 24 * 60 * 60
_HOME: Final = "/manage"
_MOST_CHARACTERS: Final = 2000
# Only a page of the panel, spelled plainly: `//evil`, a backslash, a scheme or a dot segment does not fit.
_OWN_PAGE: Final = re.compile(
    r"(/manage(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*|/api/admin/docs)(\?[A-Za-z0-9_.~%&=+:,@*/-]*)?"
)


async def choose_theme(services: PanelServices, call: Call) -> web.Response:
    """Remember the theme and go back to the page it was chosen on."""
    require_own_origin(call.request, services.origins)
    form = await read_form(call.request)
    if not services.tokens.is_valid(form.text(CSRF_FIELD), call.actor.subject, THEME_FORM):
        raise ForbiddenError("CSRF_REJECTED", "The form is no longer valid")
    theme = form.text("theme")
    if theme not in THEMES:
        raise BadRequestError("FORM_INVALID", "There is no such theme")
    response = see_other(own_page(form.text("return_to")))
    remember_theme(services, response, theme)
    return response


def remember_theme(services: PanelServices, response: web.Response, theme: str) -> None:
    """For this browser, so that no page flashes in the wrong colours."""
    response.set_cookie(
        THEME_COOKIE,
        theme,
        path="/",
        max_age=_YEAR_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=services.over_https,
    )


def own_page(path: str) -> str:
    """The path when it is a page of the panel, else the dashboard: no open redirect."""
    return path if len(path) <= _MOST_CHARACTERS and _OWN_PAGE.fullmatch(path) else _HOME
