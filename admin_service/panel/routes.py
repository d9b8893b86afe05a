"""The panel's pages as rows of the route registry, each with the permission that it asks for.

It decides nothing itself: the registry refuses before a page is asked (R-081), and errors of pages
become pages here.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, see_other
from admin_service.panel.pages import (
    audit,
    audit_evidence,
    dashboard,
    enrollment,
    operator_detail,
    operator_new,
    operator_sessions,
    operators,
    static_files,
    system,
    tenant_new,
    tenants,
    theme,
    users,
)
from admin_service.panel.pages.operator_standing import DEACTIVATE, ROLE
from admin_service.panel.pages.operator_tokens import ISSUE, REACTIVATE
from admin_service.panel.pages.problems import problem_page
from service_kit.errors import ProblemError
from service_kit.identity.model import Permission
from service_kit.web.api import Access, Audience, Call, Endpoint

__all__ = ["PANEL", "PanelServices", "endpoints", "html_problem"]

PANEL: Final = web.AppKey("panel", PanelServices)
"""Where `html_problem` finds what it renders with; the composition root fills it."""

PageHandler = Callable[[PanelServices, Call], Awaitable[web.StreamResponse]]
_Row = tuple[str, str, Access, PageHandler, str]

_MANAGE: Final = Permission.MANAGE_GLOBAL_ADMINS
_OPERATOR: Final = "/manage/operators/{id}"

_OPERATOR_PAGES: Final[tuple[_Row, ...]] = (
    ("GET", "/manage/operators", _MANAGE, operators.list_operators, "The operators"),
    ("GET", "/manage/operators/new", _MANAGE, operator_new.show_form, "A new operator"),
    ("POST", "/manage/operators/new", _MANAGE, operator_new.provision, "Provision an operator"),
    ("GET", _OPERATOR, _MANAGE, operator_detail.show_operator, "One operator"),
    ("GET", f"{_OPERATOR}/role", _MANAGE, ROLE.show, "Another role"),
    ("POST", f"{_OPERATOR}/role", _MANAGE, ROLE.submit, "Change the role"),
    ("GET", f"{_OPERATOR}/token", _MANAGE, ISSUE.show, "A new enrollment token"),
    ("POST", f"{_OPERATOR}/token", _MANAGE, ISSUE.submit, "Issue a token, shown once"),
    ("GET", f"{_OPERATOR}/deactivate", _MANAGE, DEACTIVATE.show, "Offboarding, in two steps"),
    ("POST", f"{_OPERATOR}/deactivate", _MANAGE, DEACTIVATE.submit, "Deactivate an operator"),
    ("GET", f"{_OPERATOR}/reactivate", _MANAGE, REACTIVATE.show, "Back in"),
    ("POST", f"{_OPERATOR}/reactivate", _MANAGE, REACTIVATE.submit, "Reactivate an operator"),
    ("GET", f"{_OPERATOR}/sessions", _MANAGE, operator_sessions.ask_other, "Which sessions to end"),
    ("POST", f"{_OPERATOR}/sessions", _MANAGE, operator_sessions.end_other, "End an operator's sessions"),
    # Everybody sees and ends their own sessions, whatever their role.
    ("GET", "/manage/me", Audience.OPERATOR, operator_detail.show_own_page, "Your own page"),
    ("GET", "/manage/me/sessions", Audience.OPERATOR, operator_sessions.ask_own, "Which sessions to end"),
    ("POST", "/manage/me/sessions", Audience.OPERATOR, operator_sessions.end_own, "End your own sessions"),
)

_MESSAGE: Final = "/manage/system/queues/{name}/messages/{id}/retry"
_WORKFLOW: Final = "/manage/system/workflows/{name}/run"
_METRICS: Final = Permission.VIEW_SYSTEM_METRICS

_SYSTEM_PAGES: Final[tuple[_Row, ...]] = (
    ("GET", "/manage/system", _METRICS, system.show_system, "Queues and workflows"),
    ("GET", "/manage/system/queues", _METRICS, system.show_queues, "Queues"),
    ("GET", "/manage/system/workflows", _METRICS, system.show_workflows, "Workflows"),
    ("GET", _MESSAGE, _MANAGE, system.RETRY.show, "Whether to try a message again"),
    ("POST", _MESSAGE, _MANAGE, system.RETRY.submit, "Try a message again"),
    ("GET", _WORKFLOW, _MANAGE, system.RUN.show, "Whether to run a workflow"),
    ("POST", _WORKFLOW, _MANAGE, system.RUN.submit, "Run a workflow"),
)

_PAGES: Final[tuple[_Row, ...]] = (
    ("GET", "/manage", Audience.OPERATOR, dashboard.show_dashboard, "The dashboard"),
    ("GET", "/manage/tenants", Permission.TENANT_LIST, tenants.list_tenants, "The tenants"),
    ("GET", "/manage/tenants/new", Permission.TENANT_CREATE, tenant_new.show_form, "A new tenant"),
    ("POST", "/manage/tenants/new", Permission.TENANT_CREATE, tenant_new.create_tenant, "Create a tenant"),
    ("GET", "/manage/tenants/{id}", Permission.TENANT_VIEW, tenants.show_tenant, "One tenant"),
    ("GET", "/manage/users", Permission.VIEW_AUDIT_LOGS_GLOBAL, users.show_form, "Find a person"),
    ("POST", "/manage/users", Permission.VIEW_AUDIT_LOGS_GLOBAL, users.search, "Search all tenants' people"),
    ("GET", "/manage/audit", Permission.VIEW_AUDIT_LOGS_GLOBAL, audit.list_audit, "The audit log"),
    ("GET", "/manage/audit/evidence", Permission.EXPORT_AUDIT, audit_evidence.show_evidence, "Evidence"),
    ("GET", "/manage/audit/{id}", Permission.VIEW_AUDIT_LOGS_GLOBAL, audit.show_event, "One event"),
    *_OPERATOR_PAGES,
    *_SYSTEM_PAGES,
    ("POST", "/manage/theme", Audience.OPERATOR, theme.choose_theme, "Choose light or dark"),
    # A person who is not an operator yet needs the page, and the page needs its stylesheet.
    ("GET", "/enrollment", Audience.PERSON, enrollment.show_enrollment, "Enroll"),
    ("POST", "/enrollment", Audience.PERSON, enrollment.claim_enrollment, "Claim with a token"),
    ("GET", "/static/panel/{name}", Audience.PERSON, static_files.send_asset, "The panel's own files"),
)


def endpoints(services: PanelServices) -> tuple[Endpoint, ...]:
    """Every page, bound to what it may ask."""
    pages = (_endpoint(row, services) for row in _PAGES)
    return (
        *pages,
        Endpoint("GET", "/manage/", Audience.OPERATOR, _to_dashboard, "The dashboard", page=True),
        # Anybody whom Access let in may ask for "/"; the dashboard itself decides who sees it.
        Endpoint("GET", "/", Audience.PERSON, _to_dashboard, "The way to the dashboard", page=True),
    )


def html_problem(request: web.Request, error: ProblemError) -> web.StreamResponse | None:
    """For `problem_middleware`: a page where a person waits for one, else None (the JSON problem)."""
    services = request.app.get(PANEL)
    return problem_page(services, request, error) if services is not None else None


def _endpoint(row: _Row, services: PanelServices) -> Endpoint:
    method, path, access, handler, summary = row
    return Endpoint(method, path, access, partial(handler, services), summary, page=True)


async def _to_dashboard(_call: Call) -> web.Response:
    return see_other("/manage")
