"""Finding a person of any tenant (P-15): a form that costs something, and the people it finds.

A search runs only when the form is sent: an address that somebody was lured to, a prefetch or the Back
button searches for nobody, and what was searched for stands in no address (R-120…R-123).
"""

from datetime import datetime
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, operator_frame, page
from admin_service.panel.forms import CSRF_FIELD, Form, read_form, require_own_origin
from admin_service.panel.pages.operator_forms import NOTICES
from admin_service.panel.views.parts import FieldError, Notice
from admin_service.panel.views.users import (
    HOWS,
    BudgetLine,
    PeoplePage,
    PersonForm,
    PersonRow,
    PersonTenant,
    UsersView,
)
from admin_service.support_search import FoundPeople, FoundPerson, PersonQuery, SearchBudget
from service_kit.audit.failing import AuditWriteFailedError
from service_kit.errors import (
    BadRequestError,
    ForbiddenError,
    ProblemError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.identity.model import Permission
from service_kit.web.api import Call

FORM: Final = "users"
_SHOWN_WITH_THE_FORM: Final = (
    AuditWriteFailedError,
    BadRequestError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
_OF_THE_TEXT: Final = frozenset({"email", "q", "text"})
_TEXTS: Final = {
    "QUERY_TOO_BROAD": "Type at least three characters.",
    "QUERY_INVALID": "Type one whole email address, or choose another way to look.",
}
_AWAY: Final = Notice(
    "danger",
    "Nothing is shown",
    "The tenant service did not answer, or could not record the search; without its record there is no "
    "result. The try may have cost one of your searches.",
)
_NO_BUDGET: Final = Notice(
    "danger", "The tenant service does not answer", "Nobody can be searched for right now. Try again soon."
)
_BEGIN_AGAIN: Final = Notice(
    "warning", "This list cannot be continued", "It changed meanwhile. Search again from its beginning."
)


async def show_form(services: PanelServices, call: Call) -> web.Response:
    """The form and what is left. Text in the address fills the form in and searches for nobody."""
    typed = PersonForm(text=call.request.query.get("email", "").strip())
    budget = await _left(services, call)
    view = _view(services, call, typed, budget=budget, problem=None if budget else _NO_BUDGET)
    return page(services, await operator_frame(services, call), view)


async def search(services: PanelServices, call: Call) -> web.Response:
    """One page of people as the answer to the form itself: it is in no address and never kept."""
    require_own_origin(call.request, services.origins)
    form = await read_form(call.request)
    typed = _typed(form)
    if not services.tokens.is_valid(form.text(CSRF_FIELD), call.actor.subject, FORM):
        view = _view(services, call, typed, problem=NOTICES["CSRF_REJECTED"])
        return page(services, await operator_frame(services, call), view, status=ForbiddenError.status)
    try:
        found = await services.support.search(behalf_of(call), _query(form, typed))
    except _SHOWN_WITH_THE_FORM as error:
        return await _show_again(services, call, typed, error)
    view = _view(services, call, typed, budget=_budget(found.rate_limit), found=_found(call, found))
    return page(services, await operator_frame(services, call), view)


async def _show_again(
    services: PanelServices, call: Call, typed: PersonForm, error: ProblemError
) -> web.Response:
    errors = _errors(error)
    view = _view(
        services,
        call,
        typed,
        budget=_spent_budget(error) or await _left(services, call),
        errors=errors,
        problem=None if errors else _notice(error),
    )
    frame = await operator_frame(services, call)
    return page(services, frame, view, status=error.status, headers=error.headers)


def _view(
    services: PanelServices,
    call: Call,
    typed: PersonForm,
    *,
    budget: BudgetLine | None = None,
    found: PeoplePage | None = None,
    errors: tuple[FieldError, ...] = (),
    problem: Notice | None = None,
) -> UsersView:
    token = services.tokens.issue(call.actor.subject, FORM)
    return UsersView(token, typed, budget=budget, found=found, errors=errors, problem=problem)


def _typed(form: Form) -> PersonForm:
    given = form.fields
    how = given.get("how", "")
    return PersonForm(
        text=given.get("text", ""),
        how=how if how in dict(HOWS) else HOWS[0][0],
        justification=given.get("justification", ""),
        ticket_ref=given.get("ticketRef", ""),
    )


def _query(form: Form, typed: PersonForm) -> PersonQuery:
    field, _, match = typed.how.partition(":")
    return PersonQuery(
        field, match, typed.text.strip(), typed.justification, typed.ticket_ref, form.text("cursor")
    )


def _errors(error: ProblemError) -> tuple[FieldError, ...]:
    if error.code in _TEXTS:
        return (FieldError("text", _TEXTS[error.code]),)
    controls = ((problem.pointer.removeprefix("/"), problem.message) for problem in error.fields)
    return tuple(
        FieldError("text" if name in _OF_THE_TEXT else name, message[:1].upper() + message[1:])
        for name, message in controls
    )


def _notice(error: ProblemError) -> Notice:
    match error:
        case RateLimitedError():
            text = f"{error.message[:1].upper()}{error.message[1:]}. That you asked again was recorded."
            return Notice("warning", "Your searches of this hour are spent", text)
        case UnavailableError() | AuditWriteFailedError():
            return _AWAY
        case _ if error.code == "INVALID_CURSOR":
            return _BEGIN_AGAIN
        case _:
            return Notice("danger", "Nothing was searched", error.message)


def _spent_budget(error: ProblemError) -> BudgetLine | None:
    """What a refusal itself says of the budget; asking once more would tell nothing new."""
    given = error.extra.get("rateLimit")
    if not isinstance(given, dict):
        return None
    resets_at = datetime.fromisoformat(str(given["resetAt"]))
    return BudgetLine(int(given["limit"]), int(given["remaining"]), resets_at)


async def _left(services: PanelServices, call: Call) -> BudgetLine | None:
    """What is left; None while nobody can say."""
    try:
        return _budget(await services.support.budget(behalf_of(call)))
    except UnavailableError:
        return None


def _budget(budget: SearchBudget) -> BudgetLine:
    return BudgetLine(budget.limit, budget.remaining, budget.reset_at, budget.tenants_told)


def _found(call: Call, found: FoundPeople) -> PeoplePage:
    may_view = call.actor.may(Permission.TENANT_VIEW)
    return PeoplePage(
        rows=tuple(_row(person, may_view=may_view) for person in found.data),
        event_id=found.audit.event_id,
        event_linked=call.actor.may(Permission.VIEW_ADMIN_AUDIT_EVENTS),
        next_cursor=found.page.next_cursor or "",
    )


def _row(person: FoundPerson, *, may_view: bool) -> PersonRow:
    tenants = tuple(
        PersonTenant(one.slug, one.role, one.status, one.org_id if may_view else "")
        for one in person.memberships
    )
    return PersonRow(person.name, person.email, person.email_verified, tenants)
