"""Whether a recorded support search was for certain values (P-17, R-124): typed, answered, and recorded.

What was typed travels in the form's body and comes back in the answer to it: it is in no address and kept
nowhere. The tenant service holds the key, judges and records.
"""

from typing import Final

from aiohttp import web

from admin_service.audit.models import AuditDetail
from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page, reader_of
from admin_service.panel.forms import CSRF_FIELD, Form, read_form, require_own_origin
from admin_service.panel.pages.audit import detail_view
from admin_service.panel.pages.operator_forms import NOTICES
from admin_service.panel.views.audit_check import PredicateCheckView
from admin_service.panel.views.parts import FieldError, Notice
from admin_service.panel.views.users import HOWS
from service_kit.audit.failing import AuditWriteFailedError
from service_kit.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    ProblemError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.identity.model import Permission
from service_kit.web.api import Call

FORM: Final = "predicate-check"
SEARCHED: Final = "admin.support_query.executed"
_SHOWN_WITH_THE_FORM: Final = (
    AuditWriteFailedError,
    BadRequestError,
    ConflictError,
    UnavailableError,
    UnprocessableError,
)
_OF_THE_TEXT: Final = frozenset({"QUERY_TOO_BROAD", "QUERY_INVALID", "VALIDATION_FAILED"})
_UNKNOWN: Final = Notice(
    "danger",
    "Nothing is told",
    "The tenant service did not answer, or could not record the question; without its record there is "
    "no answer.",
)
_OTHER_FORM: Final = Notice(
    "warning", "This search cannot be checked", "Its digest was made by rules of an earlier version."
)
_YES: Final = Notice(
    "success", "Yes: this is what was searched for", "That you asked, and the answer, was recorded."
)
_NO: Final = Notice(
    "info",
    "No: the search was for something else",
    "Another spelling, or another way to look, is another search. That you asked was recorded.",
)


async def show_event(services: PanelServices, call: Call) -> web.Response:
    """One event with its twin. Raises AuditEventNotFoundError, also for a row that the role hides."""
    frame, found = await both(
        operator_frame(services, call), services.audit.by_id(reader_of(call), call.path("id"))
    )
    return page(services, frame, detail_view(found, _check(services, call, found)))


async def check_predicate(services: PanelServices, call: Call) -> web.Response:
    """Yes or no, as the answer to the form itself. Raises AuditEventNotFoundError."""
    require_own_origin(call.request, services.origins)
    form = await read_form(call.request)
    found = await services.audit.by_id(reader_of(call), call.path("id"))
    verdict, status = await _verdict(services, call, form)
    frame = await operator_frame(services, call)
    check = _check(services, call, found, form, verdict)
    return page(services, frame, detail_view(found, check), status=status)


async def _verdict(services: PanelServices, call: Call, form: Form) -> tuple[Notice | FieldError, int]:
    if not services.tokens.is_valid(form.text(CSRF_FIELD), call.actor.subject, FORM):
        return NOTICES["CSRF_REJECTED"], ForbiddenError.status
    how = form.fields.get("how", "")
    field, _, match = (how if how in dict(HOWS) else HOWS[0][0]).partition(":")
    params = {field: form.text("text"), "match": match or None}
    try:
        matches = await services.support.check(behalf_of(call), call.path("id"), params)
    except _SHOWN_WITH_THE_FORM as error:
        return _refused(error), error.status
    return (_YES if matches else _NO), 200


def _refused(error: ProblemError) -> Notice | FieldError:
    match error:
        case UnavailableError() | AuditWriteFailedError():
            return _UNKNOWN
        case ConflictError():
            return _OTHER_FORM
        case _ if error.code in _OF_THE_TEXT:
            return FieldError("text", "Type what nobody could have mistyped: at least three characters.")
        case _:
            return Notice("danger", "Nothing was compared", error.message)


def _check(
    services: PanelServices,
    call: Call,
    found: AuditDetail,
    form: Form | None = None,
    verdict: Notice | FieldError | None = None,
) -> PredicateCheckView | None:
    """The form, beside a search only, and for whoever may ask."""
    if found.row.event != SEARCHED or not call.actor.may(Permission.VIEW_ADMIN_AUDIT_EVENTS):
        return None
    typed = form.fields if form else {}
    return PredicateCheckView(
        csrf_token=services.tokens.issue(call.actor.subject, FORM),
        text=typed.get("text", ""),
        how=typed.get("how", HOWS[0][0]),
        hows=HOWS,
        verdict=verdict if isinstance(verdict, Notice) else None,
        errors=(verdict,) if isinstance(verdict, FieldError) else (),
    )
