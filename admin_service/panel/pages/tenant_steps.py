"""A step about one tenant: shown as a form, done when it is sent, shown again with why not.

It knows no step by itself. The tenant service decides; what it refuses is told beside the form.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiohttp import web

from admin_service.panel.context import PanelServices, Read, behalf_of, both, operator_frame, page, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.operator_forms import (
    FormTooOldError,
    new_form,
    read_own_form,
    require_form_token,
)
from admin_service.panel.pages.tenant_asking import api_path, tenant_of
from admin_service.panel.pages.undoing import stamped
from admin_service.panel.pages.unknown_outcomes import UNKNOWN_NOTICES, is_unknown, next_key
from admin_service.panel.views.operator_forms import LEAST_REASON, FormState
from admin_service.panel.views.parts import FieldError, Link, Notice, page_url, path_segment
from admin_service.panel.views.tenant_place import LIST_PATH
from admin_service.panel.views.tenant_steps import Control, TenantStepView
from admin_service.tenant_answers import TenantDetail
from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    PreconditionFailedError,
    ProblemError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.web.api import Call

NOTICE_PARAMETER: Final = "notice"
_VERSION: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_SHOWN_WITH_THE_FORM: Final = (
    BadRequestError,
    ConflictError,
    FormTooOldError,
    PreconditionFailedError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
_FIELD_OF: Final[Mapping[str, str]] = {"CONFIRMATION_MISMATCH": "confirm", "ALREADY_MEMBER": "email"}
_NOTICES: Final[Mapping[str, Notice]] = {
    **UNKNOWN_NOTICES,
    "CSRF_REJECTED": Notice(
        "warning",
        "This form is no longer valid",
        "Nothing was changed. It was open for too long; look over it and send it again.",
    ),
    "IDEMPOTENCY_KEY_REUSED": Notice(
        "warning",
        "This form was sent before, with other values",
        "What was sent first counts. Look at the tenant before you send these values.",
    ),
    "TENANT_SUSPENDED": Notice(
        "warning", "This tenant is suspended", "Nothing was changed. Restore it first."
    ),
    "TENANT_DELETED": Notice("warning", "This tenant is deleted", "Nothing was changed. Undelete it first."),
    "PURGED": Notice(
        "danger", "The time to undelete is over", "Nothing was changed. What was known of its people is gone."
    ),
    "INVITATION_NOT_PENDING": Notice(
        "info",
        "This invitation is not open any more",
        "Nothing was changed: it was accepted or canceled, or its time was over. Look at the list.",
    ),
    "VERSION_CONFLICT": Notice(
        "warning",
        "Somebody changed this while you were looking",
        "Nothing was changed by you. What you typed is kept below, and how it is now stands above it.",
    ),
}
_ADVICE: Final[Mapping[tuple[str, str], str]] = {
    ("reason", "TOO_SHORT"): f"Give a reason of at least {LEAST_REASON} characters; it is kept in the log.",
    ("reason", "TOO_LONG"): "Use at most 500 characters for the reason.",
    ("note", "TOO_SHORT"): "Say why in a note; the tenant reads it in its own log.",
    ("note", "TOO_LONG"): "Use at most 500 characters for the note.",
    ("ticketRef", "TOO_LONG"): "Use at most 100 characters for the ticket.",
    ("name", "TOO_SHORT"): "Enter a name.",
    ("name", "TOO_LONG"): "Use at most 120 characters for the name.",
    ("email", "VALUE_ERROR"): "Enter one plain email address, such as name@example.com.",
    ("primaryEmail", "VALUE_ERROR"): "Enter one plain email address, such as name@example.com.",
    ("email", "ALREADY_MEMBER"): "This person is a member already.",
    ("confirm", "CONFIRMATION_MISMATCH"): "Type the slug, exactly as it is shown.",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a form is made from: the tenant as it is now, what was typed, and why it was refused."""

    services: PanelServices
    call: Call
    tenant: TenantDetail
    form: Form = field(default_factory=Form)
    error: ProblemError | None = None

    def typed(self, name: str, otherwise: str = "") -> str:
        """What was typed, spaces and all; the other value in a form that nobody has sent."""
        return self.form.fields.get(name, otherwise)


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that was sent, with everything that its change needs."""

    services: PanelServices
    call: Call
    form: Form

    @property
    def tenant(self) -> str:
        return self.call.path("id")

    async def order(
        self,
        kind: type[Read],
        names: tuple[str, ...],
        body: Mapping[str, Any] | None,
        *,
        method: str = "POST",
        version: int | None = None,
    ) -> Read:
        """Change something under the tenant, in the operator's own name and once per form."""
        return await self.services.tenants.at(
            kind,
            api_path(self.tenant, *names),
            behalf_of(self.call),
            body,
            self.form.idempotency_key if method == "POST" else "",
            method=method,
            version=version,
        )

    def version(self) -> int:
        """The version that the form showed. Raises BadRequestError for a form that is not ours."""
        if not _VERSION.fullmatch(self.form.text("version")):
            raise BadRequestError("FORM_INVALID", "The form does not say which version it shows")
        return int(self.form.text("version"))

    def given(self, name: str, least: int) -> str:
        """A text that must say something. Raises UnprocessableError (panel.md, rule 7)."""
        text = self.form.text(name)
        if len(text) < least:
            problem = FieldProblem(f"/{name}", "TOO_SHORT", "too short")
            raise UnprocessableError("VALIDATION_FAILED", "A field is wrong", fields=(problem,))
        return text

    def because(self) -> dict[str, str]:
        """The reason, which is needed, and the ticket, which is not."""
        return {"reason": self.given("reason", LEAST_REASON), "ticketRef": self.form.text("ticketRef")}


MakeView = Callable[[Seen, FormState], Awaitable[TenantStepView]]
Change = Callable[[Sent], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class TenantStep:
    """`name` ties a form's token to the step."""

    name: str
    view: MakeView
    change: Change

    async def show(self, services: PanelServices, call: Call) -> web.Response:
        """The form. Raises NotFoundError, UnavailableError."""
        frame, tenant = await both(operator_frame(services, call), tenant_of(services, call))
        view = await self.view(Seen(services, call, tenant), new_form(services, call, self.name))
        return page(services, frame, view)

    async def submit(self, services: PanelServices, call: Call) -> web.StreamResponse:
        """Do it, once. Raises refusals that have a page of their own."""
        form = await read_own_form(services, call)
        try:
            require_form_token(services, call, form, self.name)
            return await self.change(Sent(services, call, form))
        except _SHOWN_WITH_THE_FORM as error:
            return await self._show_again(services, call, form, error)

    async def _show_again(
        self, services: PanelServices, call: Call, form: Form, error: ProblemError
    ) -> web.Response:
        frame, tenant = await both(operator_frame(services, call), tenant_of(services, call))
        state = replace(new_form(services, call, self.name), idempotency_key=next_key(form, error))
        view = await self.view(Seen(services, call, tenant, form, error), state)
        if is_unknown(error):
            # Done already it may not fit the tenant any more, and is to be sent again all the same.
            view = replace(view, not_offered=None)
        shown = {control.name for control in view.controls}
        errors = tuple(found for found in map(_field_error, _problems(error)) if found.field in shown)
        state = replace(state, errors=errors, problem=None if errors else _notice(error))
        return page(services, frame, replace(view, form=state), status=error.status, headers=error.headers)


def back_to(call: Call, path: str, notice: str) -> web.Response:
    """To a page of the tenant, which says what was done in words of its own."""
    return see_other(page_url(tenant_path(call, path), {NOTICE_PARAMETER: notice}))


def back_to_undo(sent: Sent, notice: str) -> web.Response:
    """To the tenant's own page, which offers for a while to take the step back."""
    told = {NOTICE_PARAMETER: notice, **stamped(sent.services, sent.call)}
    return see_other(page_url(tenant_path(sent.call), told))


def tenant_path(call: Call, path: str = "") -> str:
    return f"{LIST_PATH}/{path_segment(call.path('id'))}{path}"


def overview_link(tenant: TenantDetail) -> Link:
    return Link(tenant.name, f"{LIST_PATH}/{path_segment(tenant.id)}")


def because_controls(seen: Seen) -> tuple[Control, Control]:
    """Why, and the ticket that it belongs to (panel.md, rule 7)."""
    reason = Control(
        name="reason",
        label="Reason",
        value=seen.typed("reason"),
        hint=f"At least {LEAST_REASON} characters. The tenant reads it in its own log.",
        is_required=True,
    )
    ticket = Control(name="ticketRef", label="Ticket (optional)", value=seen.typed("ticketRef"), most=100)
    return reason, ticket


def _problems(error: ProblemError) -> tuple[FieldProblem, ...]:
    control = _FIELD_OF.get(error.code)
    return (FieldProblem(f"/{control}", error.code, error.message),) if control else error.fields


def _field_error(problem: FieldProblem) -> FieldError:
    control = problem.pointer.removeprefix("/")
    message = problem.message.removeprefix("Value error, ")
    advice = _ADVICE.get((control, problem.code.removeprefix("STRING_")))
    return FieldError(control, advice or message[:1].upper() + message[1:])


def _notice(error: ProblemError) -> Notice:
    return _NOTICES.get(error.code) or Notice("danger", "Nothing was changed", error.message)
