"""Void a grant, or let it end at another time (P-08): with a reason, and what it does in numbers.

What was used stays used; the tenant service refuses what must not be.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.billing import (
    DONE,
    balance_tiles,
    grant_row,
    tenant_line,
)
from admin_service.panel.pages.billing_forms import SHOWN_WITH_THE_FORM, billing_refused, end_of_day
from admin_service.panel.pages.operator_forms import (
    given_reason,
    new_form,
    read_own_form,
    require_form_token,
)
from admin_service.panel.pages.unknown_outcomes import is_unknown
from admin_service.panel.views.billing import GrantRow, billing_path
from admin_service.panel.views.billing_grants import GrantStepView
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Notice, page_url
from service_kit.errors import ProblemError
from service_kit.web.api import Call

Do = Callable[[PanelServices, Call, Form, str], Awaitable[None]]
_ENDED: Final = Notice(
    "info", "This grant has ended", "It was voided or has expired; nothing about it can be changed any more."
)


@dataclass(frozen=True, slots=True)
class GrantStep:
    """`done` ties a form's token to the step, and names what the page tells afterwards."""

    heading: str
    done: str
    do: Do
    is_void: bool = False

    async def show(self, services: PanelServices, call: Call) -> web.Response:
        """Raises NotFoundError, UnavailableError."""
        return await self._page(services, call, new_form(services, call, self._form))

    async def submit(self, services: PanelServices, call: Call) -> web.Response:
        """Do it, once: the form's own key makes a second click harmless."""
        form = await read_own_form(services, call)
        try:
            require_form_token(services, call, form, self._form)
            await self.do(services, call, form, given_reason(form))
        except SHOWN_WITH_THE_FORM as error:
            state = billing_refused(
                services, call, self._form, error, form=form, controls=("reason", "expiresOn")
            )
            return await self._page(services, call, state, form, error)
        return see_other(page_url(billing_path(call.path("id")), {DONE: self.done}))

    @property
    def _form(self) -> str:
        return f"grant-{self.done}"

    async def _page(
        self,
        services: PanelServices,
        call: Call,
        state: FormState,
        form: Form | None = None,
        error: ProblemError | None = None,
    ) -> web.Response:
        behalf, named = behalf_of(call), call.path("id")
        frame, (tenant, (account, found)) = await both(
            operator_frame(services, call),
            both(
                services.tenants.get(behalf, named),
                services.billing.credits_and_grant(behalf, named, call.path("grant")),
            ),
        )
        grant = grant_row(tenant.id, found)
        view = GrantStepView(
            heading=self.heading,
            action=call.request.path,
            tenant=tenant_line(tenant),
            balance=balance_tiles(account),
            grant=grant,
            form=state,
            is_void=self.is_void,
            reason=form.fields.get("reason", "") if form else "",
            expires_on=form.fields.get("expiresOn", "") if form else _day_of(grant),
            # What may have been done is sent again as it is, also where it does not fit the grant any more.
            not_offered=None if grant.may_still_end or is_unknown(error) else _ENDED,
        )
        if error is None:
            return page(services, frame, view)
        return page(services, frame, view, status=error.status, headers=error.headers)


def _day_of(grant: GrantRow) -> str:
    return grant.expires_at.date().isoformat() if grant.expires_at else ""


async def _void(services: PanelServices, call: Call, form: Form, reason: str) -> None:
    tenant, grant, key = call.path("id"), call.path("grant"), form.idempotency_key
    await services.billing.void(behalf_of(call), tenant, grant, reason, key=key)


async def _change_expiry(services: PanelServices, call: Call, form: Form, reason: str) -> None:
    tenant, grant, key = call.path("id"), call.path("grant"), form.idempotency_key
    ends = end_of_day(form, "expiresOn")
    await services.billing.change_expiry(behalf_of(call), tenant, grant, ends, reason, key=key)


VOID: Final = GrantStep("Void grant", "voided", _void, is_void=True)
EXPIRY: Final = GrantStep("Change expiry", "expiry", _change_expiry)
