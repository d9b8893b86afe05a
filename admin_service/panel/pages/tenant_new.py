"""Creating a tenant (P-03): the form, its refusals with everything kept, and the one-time answer.

The invitation link stands only in the answer to the POST that made it: it is in no URL, in no other
page and not shown again when the form is sent again.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, operator_frame, page, see_other
from admin_service.panel.forms import CSRF_FIELD, Form, new_idempotency_key, read_form, require_own_origin
from admin_service.panel.pages.tenant_detail import SENT_TWICE
from admin_service.panel.pages.tenant_steps import NOTICE_PARAMETER
from admin_service.panel.pages.tenants import PLANS
from admin_service.panel.pages.unknown_outcomes import UNKNOWN_NOTICES, next_key
from admin_service.panel.views.parts import FieldError, Notice, page_url, path_segment
from admin_service.panel.views.tenants import TENANTS_PATH, TenantCreatedView, TenantForm, TenantNewView
from admin_service.tenant_answers import CreatedTenant
from admin_service.tenant_api import NewTenant
from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    ProblemError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.identity.model import Permission
from service_kit.web.api import Call

FORM: Final = "tenant-new"
_CONTROLS: Final = frozenset({"name", "slug", "primaryAdminEmail", "plan", "currency"})
_LONGEST_NAME: Final = 120
_LONGEST_SLUG: Final = 63
_SHOWN_WITH_THE_FORM: Final = (
    BadRequestError,
    ConflictError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)

_UNKNOWN: Final = "Nobody knows yet whether the tenant was created"
_FORM_TOO_OLD: Final = Notice(
    "warning",
    "This form is no longer valid",
    "Nothing was created. It was open for too long; look over the values and send it again.",
)
_NOTICES: Final[Mapping[str, Notice]] = {
    **UNKNOWN_NOTICES,
    **{
        code: replace(UNKNOWN_NOTICES[code], title=_UNKNOWN)
        for code in ("TENANT_SERVICE_UNAVAILABLE", "DATABASE_UNAVAILABLE")
    },
    "IDEMPOTENCY_KEY_REUSED": Notice(
        "warning",
        "This form was sent before, with other values",
        "That tenant was created. Look at the list of tenants before you send these values.",
    ),
}
_ADVICE: Final[Mapping[tuple[str, str], str]] = {
    ("name", "TOO_SHORT"): "Enter a name.",
    ("name", "TOO_LONG"): "Use at most 120 characters for the name.",
    ("primaryAdminEmail", "VALUE_ERROR"): "Enter one plain email address, such as owner@example.com.",
    ("primaryAdminEmail", "TOO_LONG"): "Enter one plain email address, such as owner@example.com.",
}


async def show_form(services: PanelServices, call: Call) -> web.Response:
    """A form with a key of its own; empty, but for a name that the dashboard's quick form brought along."""
    name = call.request.query.get("name", "").strip()[:_LONGEST_NAME]
    typed = TenantForm(name=name, slug=_slug_of(name))
    view = _form_view(services, call, typed, key=new_idempotency_key())
    return page(services, await operator_frame(services, call), view)


async def create_tenant(services: PanelServices, call: Call) -> web.Response:
    """Create, and show the invitation link once; a form sent again leads to the tenant instead."""
    require_own_origin(call.request, services.origins)
    form = await read_form(call.request)
    if not services.tokens.is_valid(form.text(CSRF_FIELD), call.actor.subject, FORM):
        return await _show_again(services, call, form, ForbiddenError("CSRF_REJECTED", ""))
    try:
        wanted, key = _wanted(form), form.idempotency_key
        made = await services.tenants.create(behalf_of(call), wanted, idempotency_key=key)
    except _SHOWN_WITH_THE_FORM as error:
        return await _show_again(services, call, form, error)
    if made.accept_url is None:
        path = f"{TENANTS_PATH}/{path_segment(made.org_id)}"
        return see_other(page_url(path, {NOTICE_PARAMETER: SENT_TWICE}))
    view = _created_view(call, wanted, made, made.accept_url)
    return page(services, await operator_frame(services, call), view)


async def _show_again(services: PanelServices, call: Call, form: Form, error: ProblemError) -> web.Response:
    """The form with every value kept, and what to do about the refusal."""
    errors = tuple(_field_error(problem) for problem in error.fields if _control(problem) in _CONTROLS)
    view = _form_view(
        services,
        call,
        _typed(form),
        key=next_key(form, error),
        errors=errors,
        problem=None if errors else _notice(error),
        slug_suggestions=_suggestions(error),
    )
    frame = await operator_frame(services, call)
    return page(services, frame, view, status=error.status, headers=error.headers)


def _form_view(
    services: PanelServices,
    call: Call,
    form: TenantForm,
    *,
    key: str,
    errors: tuple[FieldError, ...] = (),
    problem: Notice | None = None,
    slug_suggestions: tuple[str, ...] = (),
) -> TenantNewView:
    return TenantNewView(
        form=form,
        csrf_token=services.tokens.issue(call.actor.subject, FORM),
        idempotency_key=key,
        host_suffix=services.host_suffix,
        plans=PLANS,
        errors=errors,
        problem=problem,
        slug_suggestions=slug_suggestions,
    )


def _typed(form: Form) -> TenantForm:
    """Exactly as it was typed, spaces and all."""
    given = form.fields
    return TenantForm(
        name=given.get("name", ""),
        slug=given.get("slug", ""),
        primary_admin_email=given.get("primaryAdminEmail", ""),
        plan=given.get("plan", ""),
        currency=given.get("currency", ""),
    )


def _wanted(form: Form) -> NewTenant:
    return NewTenant(
        slug=form.text("slug"),
        name=form.text("name"),
        primary_admin_email=form.text("primaryAdminEmail"),
        plan=form.text("plan"),
        currency=form.text("currency"),
    )


def _control(problem: FieldProblem) -> str:
    return problem.pointer.removeprefix("/")


def _field_error(problem: FieldProblem) -> FieldError:
    control = _control(problem)
    message = problem.message[:1].upper() + problem.message[1:]
    return FieldError(control, _ADVICE.get((control, problem.code.removeprefix("STRING_")), message))


def _notice(error: ProblemError) -> Notice:
    if isinstance(error, ForbiddenError):
        return _FORM_TOO_OLD
    return _NOTICES.get(error.code) or Notice("danger", "The tenant was not created", error.message)


def _suggestions(error: ProblemError) -> tuple[str, ...]:
    given = error.extra.get("suggestions")
    return tuple(slug for slug in given if isinstance(slug, str)) if isinstance(given, list) else ()


def _created_view(call: Call, wanted: NewTenant, made: CreatedTenant, accept_url: str) -> TenantCreatedView:
    return TenantCreatedView(
        org_id=made.org_id,
        name=wanted.name,
        slug=wanted.slug,
        hosted_at=made.hosted_at,
        owner_email=wanted.primary_admin_email,
        accept_url=accept_url,
        expires_at=made.expires_at,
        may_view=call.actor.may(Permission.TENANT_VIEW),
        may_create=call.actor.may(Permission.TENANT_CREATE),
    )


def _slug_of(name: str) -> str:
    """A proposal; the tenant service says whether it will do."""
    words = re.findall("[a-z0-9]+", name.lower())
    return "-".join(words)[:_LONGEST_SLUG].strip("-")
