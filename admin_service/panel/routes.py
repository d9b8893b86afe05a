"""The panel's pages as rows of the route registry, each with the permission that it asks for.

It decides nothing itself: the registry refuses before a page is asked (R-081), and errors of pages
become pages here.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from aiohttp import web

from admin_service.api_document.schemas import DocsQuery
from admin_service.panel.context import PanelServices, see_other
from admin_service.panel.pages import (
    api_docs,
    audit,
    audit_checking,
    audit_evidence,
    billing,
    dashboard,
    enrollment,
    grants,
    live,
    manual,
    operator_detail,
    operator_new,
    operator_sessions,
    operators,
    own_page,
    pack_forms,
    packs,
    saved_views,
    search,
    static_files,
    system,
    tenant_audit,
    tenant_detail,
    tenant_flags,
    tenant_invitations,
    tenant_new,
    tenant_people,
    tenants,
    theme,
    users,
)
from admin_service.panel.pages.grant_steps import EXPIRY, VOID
from admin_service.panel.pages.operator_standing import DEACTIVATE, ROLE
from admin_service.panel.pages.operator_tokens import ISSUE, REACTIVATE
from admin_service.panel.pages.pack_steps import ACTIVATE
from admin_service.panel.pages.pack_steps import DEACTIVATE as DEACTIVATE_PACK
from admin_service.panel.pages.pack_steps import DELETE as DELETE_PACK
from admin_service.panel.pages.problems import problem_page
from admin_service.panel.pages.tenant_edit import EDIT
from admin_service.panel.pages.tenant_flags import SWITCH
from admin_service.panel.pages.tenant_invitations import CANCEL, INVITE, RESEND
from admin_service.panel.pages.tenant_life import DELETE, RESTORE, SUSPEND, UNDELETE
from admin_service.panel.pages.tenant_people import END_SESSIONS, REMOVE_ACCOUNT
from admin_service.panel.views.api_docs import DOCS_PATH
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
    ("GET", "/manage/me", Audience.OPERATOR, own_page.show_own_page, "Your own page"),
    ("POST", "/manage/me/preferences", Audience.OPERATOR, own_page.save_preferences, "How you like it"),
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

_VIEW: Final = Permission.TENANT_VIEW
_SUSPEND: Final = Permission.TENANT_SUSPEND
_INVITE: Final = Permission.TENANT_INVITE_ADMIN
_READ_LOG: Final = Permission.VIEW_AUDIT_LOGS_GLOBAL
_TENANT: Final = "/manage/tenants/{id}"
_INVITATIONS: Final = f"{_TENANT}/invitations"
_ACCOUNT: Final = f"{_TENANT}/accounts/{{account}}/remove"

_TENANT_PAGES: Final[tuple[_Row, ...]] = (
    ("GET", _TENANT, _VIEW, tenant_detail.show_tenant, "One tenant"),
    ("GET", f"{_TENANT}/edit", Permission.TENANT_UPDATE, EDIT.show, "What to change"),
    ("POST", f"{_TENANT}/edit", Permission.TENANT_UPDATE, EDIT.submit, "Change a tenant"),
    ("GET", f"{_TENANT}/suspend", _SUSPEND, SUSPEND.show, "What a suspension does"),
    ("POST", f"{_TENANT}/suspend", _SUSPEND, SUSPEND.submit, "Suspend a tenant"),
    ("GET", f"{_TENANT}/restore", _SUSPEND, RESTORE.show, "What a restoration does"),
    ("POST", f"{_TENANT}/restore", _SUSPEND, RESTORE.submit, "Restore a tenant"),
    ("GET", f"{_TENANT}/delete", Permission.TENANT_DELETE, DELETE.show, "What a deletion does"),
    ("POST", f"{_TENANT}/delete", Permission.TENANT_DELETE, DELETE.submit, "Delete a tenant"),
    ("GET", f"{_TENANT}/undelete", Permission.TENANT_DELETE, UNDELETE.show, "What comes back"),
    ("POST", f"{_TENANT}/undelete", Permission.TENANT_DELETE, UNDELETE.submit, "Undelete a tenant"),
    ("GET", f"{_TENANT}/members", _VIEW, tenant_people.list_members, "Its members"),
    ("GET", f"{_TENANT}/members/sessions", _SUSPEND, END_SESSIONS.show, "Whose sessions to end"),
    ("POST", f"{_TENANT}/members/sessions", _SUSPEND, END_SESSIONS.submit, "End sessions"),
    ("GET", _INVITATIONS, _VIEW, tenant_invitations.list_invitations, "Its invitations"),
    ("GET", f"{_INVITATIONS}/new", _INVITE, INVITE.show, "Whom to invite"),
    ("POST", f"{_INVITATIONS}/new", _INVITE, INVITE.submit, "Invite an admin"),
    ("GET", f"{_INVITATIONS}/{{invitation}}/resend", _INVITE, RESEND.show, "Whether to send it again"),
    ("POST", f"{_INVITATIONS}/{{invitation}}/resend", _INVITE, RESEND.submit, "Send an invitation again"),
    ("GET", f"{_INVITATIONS}/{{invitation}}/cancel", _INVITE, CANCEL.show, "Whether to cancel it"),
    ("POST", f"{_INVITATIONS}/{{invitation}}/cancel", _INVITE, CANCEL.submit, "Cancel an invitation"),
    ("GET", f"{_TENANT}/accounts", _VIEW, tenant_people.list_accounts, "Its connected accounts"),
    ("GET", _ACCOUNT, Permission.TENANT_UPDATE, REMOVE_ACCOUNT.show, "Whether to remove it"),
    ("POST", _ACCOUNT, Permission.TENANT_UPDATE, REMOVE_ACCOUNT.submit, "Remove an account"),
    ("GET", f"{_TENANT}/flags", _VIEW, tenant_flags.list_flags, "Its feature flags"),
    ("GET", f"{_TENANT}/flags/{{key}}", Permission.TENANT_FEATURE_FLAGS, SWITCH.show, "Which way to switch"),
    ("POST", f"{_TENANT}/flags/{{key}}", Permission.TENANT_FEATURE_FLAGS, SWITCH.submit, "Switch a flag"),
    ("GET", f"{_TENANT}/audit", _READ_LOG, tenant_audit.show_audit, "Its own log"),
)

_BILLING: Final = "/manage/billing"
_PACK: Final = f"{_BILLING}/packs/{{id}}"
_GRANT: Final = f"{_BILLING}/grant/{{tenant_id}}"
_CREDITS: Final = "/manage/tenants/{id}/billing"
_GIVEN: Final = f"{_CREDITS}/grants/{{grant}}"
_VIEW_BILLING: Final = Permission.BILLING_VIEW
_MAY_GRANT: Final = Permission.BILLING_GRANT
_PACKS: Final = Permission.BILLING_MANAGE_PACKS

_BILLING_PAGES: Final[tuple[_Row, ...]] = (
    ("GET", _BILLING, _VIEW_BILLING, packs.list_packs, "The packs, and the credits of all tenants"),
    ("POST", _BILLING, _PACKS, packs.move_pack, "Move a pack up or down"),
    ("GET", f"{_BILLING}/packs/new", _PACKS, pack_forms.show_new, "A new pack"),
    ("POST", f"{_BILLING}/packs/new", _PACKS, pack_forms.create, "Create a pack"),
    ("GET", f"{_PACK}/edit", _PACKS, pack_forms.show_edit, "A pack's fields"),
    ("POST", f"{_PACK}/edit", _PACKS, pack_forms.update, "Change a pack"),
    ("GET", f"{_PACK}/activate", _PACKS, ACTIVATE.show, "Whether to offer a pack"),
    ("POST", f"{_PACK}/activate", _PACKS, ACTIVATE.submit, "Offer a pack"),
    ("GET", f"{_PACK}/deactivate", _PACKS, DEACTIVATE_PACK.show, "Whether to take a pack off the offer"),
    ("POST", f"{_PACK}/deactivate", _PACKS, DEACTIVATE_PACK.submit, "Take a pack off the offer"),
    ("GET", f"{_PACK}/delete", _PACKS, DELETE_PACK.show, "What deleting a pack means"),
    ("POST", f"{_PACK}/delete", _PACKS, DELETE_PACK.submit, "Delete a pack"),
    ("GET", _GRANT, _MAY_GRANT, grants.show_form, "Free replies for a tenant"),
    ("POST", _GRANT, _MAY_GRANT, grants.grant, "Preview a grant, then grant it"),
    ("GET", _CREDITS, _VIEW_BILLING, billing.show_tenant_billing, "A tenant's credits"),
    ("GET", f"{_GIVEN}/void", _MAY_GRANT, VOID.show, "What voiding a grant means"),
    ("POST", f"{_GIVEN}/void", _MAY_GRANT, VOID.submit, "Void a grant"),
    ("GET", f"{_GIVEN}/expiry", _PACKS, EXPIRY.show, "Another end for a grant"),
    ("POST", f"{_GIVEN}/expiry", _PACKS, EXPIRY.submit, "Change when a grant ends"),
)

_PAGES: Final[tuple[_Row, ...]] = (
    ("GET", "/manage", Audience.OPERATOR, dashboard.show_dashboard, "The dashboard"),
    ("GET", "/manage/live", Audience.OPERATOR, live.stream_tiles, "The dashboard's tiles, as they change"),
    ("GET", "/manage/search", Audience.OPERATOR, search.show_search, "Where a text leads"),
    ("GET", "/manage/help", Audience.OPERATOR, manual.show_manual, "The manual"),
    ("GET", "/manage/tenants", Permission.TENANT_LIST, tenants.list_tenants, "The tenants"),
    ("GET", "/manage/tenants/new", Permission.TENANT_CREATE, tenant_new.show_form, "A new tenant"),
    ("POST", "/manage/tenants/new", Permission.TENANT_CREATE, tenant_new.create_tenant, "Create a tenant"),
    *_TENANT_PAGES,
    ("GET", "/manage/users", Permission.VIEW_AUDIT_LOGS_GLOBAL, users.show_form, "Find a person"),
    ("POST", "/manage/users", Permission.VIEW_AUDIT_LOGS_GLOBAL, users.search, "Search all tenants' people"),
    ("GET", "/manage/audit", Permission.VIEW_AUDIT_LOGS_GLOBAL, audit.list_audit, "The audit log"),
    ("GET", "/manage/audit/evidence", Permission.EXPORT_AUDIT, audit_evidence.show_evidence, "Evidence"),
    ("GET", "/manage/audit/evidence/pack", Permission.EXPORT_AUDIT, audit_evidence.send_pack, "As a zip"),
    ("GET", "/manage/audit/{id}", Permission.VIEW_AUDIT_LOGS_GLOBAL, audit_checking.show_event, "One event"),
    (
        "POST",
        "/manage/audit/{id}",
        Permission.VIEW_ADMIN_AUDIT_EVENTS,
        audit_checking.check_predicate,
        "Whether a search was for these words",
    ),
    *_BILLING_PAGES,
    *_OPERATOR_PAGES,
    *_SYSTEM_PAGES,
    ("POST", "/manage/views", Audience.OPERATOR, saved_views.save_view, "Keep a list under a name"),
    ("POST", "/manage/views/{id}/delete", Audience.OPERATOR, saved_views.drop_view, "Drop a saved view"),
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
        # A page of the API: in its own document, by the name that the document has.
        Endpoint(
            "GET",
            DOCS_PATH,
            Audience.OPERATOR,
            partial(api_docs.show_api_docs, services),
            "The same document as a page for people; `q` filters it.",
            query=DocsQuery,
            files=("text/html",),
        ),
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
