"""The page of a refusal or a failure (P-29): what happened, what changed, and what to do next.

It shows no cause from the inside. Whoever proved no identity gets no page at all, and a script that
asked for a page gets the JSON problem.
"""

from dataclasses import replace
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, identity_frame, page, see_other
from admin_service.panel.views.api_docs import DOCS_PATH
from admin_service.panel.views.audit import AUDIT_PATH
from admin_service.panel.views.billing_packs import BILLING_PATH
from admin_service.panel.views.operator_detail import OWN_PATH
from admin_service.panel.views.operators import OPERATORS_PATH
from admin_service.panel.views.parts import Link
from admin_service.panel.views.problem import (
    TO_DASHBOARD,
    TO_TENANTS,
    ProblemView,
    account_deactivated,
    conflict,
    form_expired,
    internal,
    not_found,
    outcome_unknown,
    permission_denied,
    tenant_service_away,
)
from admin_service.panel.views.system import SYSTEM_PATH
from admin_service.panel.views.users import USERS_PATH
from service_kit.errors import ProblemError
from service_kit.identity.model import InternalIdentity, Permission
from service_kit.web.guard import IDENTITY

ENROLLMENT_PATH: Final = "/enrollment"
_PAGES: Final = ("/manage", ENROLLMENT_PATH, DOCS_PATH)
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_TO_AUDIT: Final = Link("Audit log", AUDIT_PATH)
_TO_OPERATORS: Final = Link("All operators", OPERATORS_PATH)
_PLACES: Final = (
    TO_TENANTS,
    _TO_OPERATORS,
    Link("Billing", BILLING_PATH),
    Link("System", SYSTEM_PATH),
    Link("Your own page", OWN_PATH),
)
_ASKING: Final = (USERS_PATH, AUDIT_PATH)
"""Forms that ask and change nothing."""

_SERVER_ERROR: Final = 500
_WAIT: Final = "Wait a moment, then load the page again."

_TEXTS: Final = {
    400: ("This request cannot be read", "The address or the form is not one that the panel makes."),
    403: ("This is not allowed", "The request was understood and refused."),
    405: ("This page does not take that step", "Open it from the panel and try again."),
    413: ("This form is too large", "A form may hold 64 KiB."),
    415: ("This form cannot be read", "The panel reads forms that its own pages send."),
    429: ("Too many requests", _WAIT),
    503: ("The back office cannot answer right now", _WAIT),
}


def problem_page(
    services: PanelServices, request: web.Request, error: ProblemError
) -> web.StreamResponse | None:
    """The error as a page; None where the JSON problem is the right answer."""
    actor = request.get(IDENTITY)
    if actor is None or actor.scope is not None or not is_page(request.path) or not wants_html(request):
        return None
    if error.code == "ENROLLMENT_REQUIRED" and request.path != ENROLLMENT_PATH:
        return see_other(ENROLLMENT_PATH)
    view = replace(_view(request, actor, error), status=error.status, code=error.code)
    return page(
        services,
        identity_frame(services, request, actor),
        view,
        status=error.status,
        headers=error.headers,
    )


def is_page(path: str) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in _PAGES)


def wants_html(request: web.Request) -> bool:
    """Whether a browser shows the answer to a person: a navigation, or an Accept that names HTML."""
    if request.headers.get("Sec-Fetch-Mode") == "navigate":
        return True
    ranges = ",".join(request.headers.getall("Accept", [])).lower().split(",")
    return any(_accepts(entry) for entry in ranges)


def _accepts(entry: str) -> bool:
    kind, *parameters = (part.strip() for part in entry.split(";"))
    return kind in _HTML and not any(
        refused in parameters for refused in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    )


def _view(request: web.Request, actor: InternalIdentity, error: ProblemError) -> ProblemView:
    path = request.path
    permission = error.extra.get("permission")
    if isinstance(permission, str):
        return permission_denied(permission, _roles(error))
    match error.code:
        case "ACCOUNT_DEACTIVATED":
            return account_deactivated()
        case "CSRF_REJECTED":
            return form_expired(_back(path))
        case "TENANT_SERVICE_UNAVAILABLE" | "AUDIT_SOURCE_UNAVAILABLE":
            return tenant_service_away()
        case "DATABASE_UNAVAILABLE" if _may_have_changed(request):
            return outcome_unknown(_where_to_look(path, actor))
        case "TENANT_NOT_FOUND":
            return not_found("tenant", back=TO_TENANTS)
        case "AUDIT_EVENT_NOT_FOUND":
            return not_found("event", back=_TO_AUDIT)
        case "OPERATOR_NOT_FOUND":
            return not_found("operator", back=_TO_OPERATORS)
        case _:
            return _by_status(path, error)


def _by_status(path: str, error: ProblemError) -> ProblemView:
    match error.status:
        case 404:
            return not_found(back=_back(path))
        case 409:
            return conflict(error.message, code=error.code, back=_back(path))
        case status if status == _SERVER_ERROR:
            return internal()
    heading, text = _TEXTS.get(error.status, _TEXTS[400 if error.status < _SERVER_ERROR else 503])
    return ProblemView(error.status, heading, text, next_steps=(_back(path),))


def _may_have_changed(request: web.Request) -> bool:
    """Whether it asked for a change, which is kept although the answer of the COMMIT is lost."""
    return request.method == "POST" and not request.path.startswith(_ASKING)


def _where_to_look(path: str, actor: InternalIdentity) -> tuple[Link, ...]:
    """The page that shows the change if it was done, and the log for whoever may read it."""
    if path == ENROLLMENT_PATH:
        return (_back(path),)
    place = next((link for link in _PLACES if path.startswith(link.href)), TO_DASHBOARD)
    return (place, _TO_AUDIT) if actor.may(Permission.VIEW_AUDIT_LOGS_GLOBAL) else (place,)


def _roles(error: ProblemError) -> tuple[str, ...]:
    roles = error.extra.get("roles")
    return tuple(map(str, roles)) if isinstance(roles, list) else ()


def _back(path: str) -> Link:
    """Where to begin again: the form's own page, or the dashboard."""
    return Link("Back to enrollment", ENROLLMENT_PATH) if path == ENROLLMENT_PATH else TO_DASHBOARD
