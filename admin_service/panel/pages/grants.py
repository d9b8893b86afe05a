"""Free replies for a tenant (P-09, R-029): what is typed is shown with what it does before it counts.

The form sends back what it was shown with; other values are previewed first, so nothing is granted unseen.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.billing import (
    DONE,
    GRANT,
    balance_tiles,
    tenant_and_credits,
    tenant_line,
)
from admin_service.panel.pages.billing_forms import (
    SHOWN_WITH_THE_FORM,
    billing_refused,
    end_of_day,
    is_above_cap,
    whole_number,
    wrong,
)
from admin_service.panel.pages.operator_forms import (
    given_reason,
    new_form,
    read_own_form,
    require_form_token,
)
from admin_service.panel.pages.undoing import stamped
from admin_service.panel.pages.unknown_outcomes import is_unknown
from admin_service.panel.views.billing import billing_path
from admin_service.panel.views.billing_grants import GrantPreview, GrantView, Limits, TypedGrant
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Notice, page_url
from admin_service.tenant_answers import TenantDetail
from admin_service.tenant_billing import GrantLimits, GrantMade, GrantWish, TenantCredits
from service_kit.errors import ForbiddenError, ProblemError
from service_kit.web.api import Call

_FORM: Final = "grant"
_CONTROLS: Final = ("replies", "expiresOn", "reason", "ticket")
_DELETED: Final = Notice(
    "warning", "This tenant is deleted", "Nothing can be granted to it. Undelete the tenant first."
)


async def show_form(services: PanelServices, call: Call) -> web.Response:
    """The balance as it is, and an empty form. Raises NotFoundError, UnavailableError."""
    return await _show(services, call, new_form(services, call, _FORM), Form())


async def grant(services: PanelServices, call: Call) -> web.Response:
    """Preview, or grant once what was previewed. Raises NotFoundError, ForbiddenError."""
    form = await read_own_form(services, call)
    try:
        require_form_token(services, call, form, _FORM)
        key, wish = form.idempotency_key, _wish(services, form)
        made = await _granted(services, call, form, wish, key)
    except SHOWN_WITH_THE_FORM as error:
        return await _show_again(services, call, form, error)
    except ForbiddenError as error:
        if is_above_cap(error):
            return await _show_again(services, call, form, error)
        raise
    if made is None:
        # The key stays: other values after a grant that may have counted are then refused, not added to it.
        state = replace(new_form(services, call, _FORM), idempotency_key=key)
        return await _show(services, call, state, form, wish=wish)
    done = "granted-suspended" if made.warning == "TENANT_SUSPENDED" else "granted"
    told = {DONE: done, GRANT: made.grant.id, **stamped(services, call)}
    return see_other(page_url(billing_path(call.path("tenant_id")), told))


async def _granted(
    services: PanelServices, call: Call, form: Form, wish: GrantWish, key: str
) -> GrantMade | None:
    """Grant what was previewed; None for what the form has not shown yet."""
    if form.text("seen") != seen_of(wish.replies, wish.expires_at):
        return None
    return await services.billing.grant(behalf_of(call), call.path("tenant_id"), wish, key=key)


def seen_of(replies: int, expires_at: datetime | None) -> str:
    """What of a grant must have been shown before it counts."""
    return f"{replies} {expires_at.date().isoformat() if expires_at else 'never'}"


def _wish(services: PanelServices, form: Form) -> GrantWish:
    """Raises UnprocessableError with the field that is wrong."""
    replies, expires_at = whole_number(form, "replies"), end_of_day(form, "expiresOn")
    if not replies:
        raise wrong("replies", "Enter a number of at least 1.")
    if expires_at is not None and expires_at <= services.clock.now():
        raise wrong("expiresOn", "Choose a day that has not passed.")
    return GrantWish(replies, given_reason(form), expires_at, form.text("ticket"))


async def _show_again(services: PanelServices, call: Call, form: Form, error: ProblemError) -> web.Response:
    state = billing_refused(services, call, _FORM, error, form=form, controls=_CONTROLS)
    # While nobody knows whether it counted, the same form must be one click away, with its preview.
    again = _wish(services, form) if is_unknown(error) else None
    return await _show(services, call, state, form, wish=again, error=error)


async def _show(
    services: PanelServices,
    call: Call,
    state: FormState,
    form: Form,
    *,
    wish: GrantWish | None = None,
    error: ProblemError | None = None,
) -> web.Response:
    frame, (tenant, account) = await both(
        operator_frame(services, call),
        tenant_and_credits(services, behalf_of(call), call.path("tenant_id")),
    )
    view = _view(tenant, account, state, form, wish)
    if error is None:
        return page(services, frame, view)
    return page(services, frame, view, status=error.status, headers=error.headers)


def _view(
    tenant: TenantDetail, account: TenantCredits, state: FormState, form: Form, wish: GrantWish | None
) -> GrantView:
    return GrantView(
        tenant=tenant_line(tenant),
        balance=balance_tiles(account),
        form=state,
        typed=TypedGrant(
            replies=form.fields.get("replies", ""),
            expires_on=form.fields.get("expiresOn", ""),
            reason=form.fields.get("reason", ""),
            ticket=form.fields.get("ticket", ""),
        ),
        limits=_limits(account.limits),
        preview=_preview(account, wish) if wish else None,
        not_offered=_DELETED if tenant.status == "deleted" else None,
    )


def _preview(account: TenantCredits, wish: GrantWish) -> GrantPreview:
    seen = seen_of(wish.replies, wish.expires_at)
    return GrantPreview(wish.replies, account.balance.remaining, wish.expires_at, seen)


def _limits(found: GrantLimits | None) -> Limits | None:
    if found is None:
        return None
    return Limits(found.at_once, max(found.a_day - found.granted_today, 0), found.a_day)
