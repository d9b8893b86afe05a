"""What the forms about packs and grants have in common: reading what was typed, and refusals in words.

It decides nothing about credits or prices: the tenant service does, and its refusal stands beside the form.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Final

from admin_service.panel.context import PanelServices
from admin_service.panel.forms import Form
from admin_service.panel.pages.operator_forms import FormTooOldError, new_form
from admin_service.panel.pages.unknown_outcomes import UNKNOWN_NOTICES, next_key
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import FieldError, Notice
from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    ProblemError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.web.api import Call

SHOWN_WITH_THE_FORM: Final = (
    BadRequestError,
    ConflictError,
    PreconditionFailedError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
    FormTooOldError,
)
"""Refusals that the person at the form can do something about; every other one has a page of its own."""

_WHOLE: Final = re.compile(r"[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LAST_SECOND: Final = time(23, 59, 59, tzinfo=UTC)
_NOTICES: Final[Mapping[str, Notice]] = {
    **UNKNOWN_NOTICES,
    "CSRF_REJECTED": Notice(
        "warning",
        "This form is no longer valid",
        "Nothing was changed. It was open for too long; look over the values and send it again.",
    ),
    "IDEMPOTENCY_KEY_REUSED": Notice(
        "warning",
        "This form was sent before, with other values",
        "What was sent first counts. Look at what it did before you send these values.",
    ),
    "TENANT_DELETED": Notice(
        "warning", "This tenant is deleted", "Nothing was changed. Undelete the tenant first."
    ),
    "GRANT_ALREADY_VOIDED": Notice(
        "info", "This grant was voided before", "Somebody was faster. Nothing was changed by you."
    ),
    "GRANT_EXHAUSTED": Notice(
        "info", "Nothing of this grant is left", "What was used stays used. Nothing was changed."
    ),
    "GRANT_EXPIRED": Notice(
        "info", "This grant has ended", "It cannot be changed any more. Grant new replies instead."
    ),
    "PACK_LIST_CHANGED": Notice(
        "warning",
        "The list of packs changed while you were looking",
        "Nothing was moved. Below is the list as it is now.",
    ),
    "VERSION_CONFLICT": Notice(
        "warning",
        "Somebody changed this pack while you were looking",
        "Nothing was changed by you. Look at both versions, then decide anew.",
    ),
}
_ADVICE: Final[Mapping[tuple[str, str], str]] = {
    ("name", "TOO_SHORT"): "Enter a name.",
    ("name", "TOO_LONG"): "Use at most 80 characters for the name.",
    ("name", "PACK_NAME_TAKEN"): "Another pack has this name. Choose another one.",
    ("replies", "GREATER_THAN_EQUAL"): "Enter a number of at least 1.",
    ("sortOrder", "LESS_THAN_EQUAL"): "Enter a number of at most 1,000,000.",
    ("confirm", "CONFIRMATION_MISMATCH"): "Type the name of the pack, exactly as it is shown.",
    ("reason", "TOO_SHORT"): "Give a reason of at least 10 characters; it is kept in the log.",
    ("reason", "TOO_LONG"): "Use at most 500 characters for the reason.",
    ("ticketRef", "TOO_LONG"): "Use at most 100 characters for the ticket.",
    ("expiresAt", "NOT_IN_THE_FUTURE"): "Choose a day that has not passed.",
}
_CONTROLS: Final[Mapping[str, str]] = {
    "prices/INR": "priceInr",
    "prices/USD": "priceUsd",
    "expiresAt": "expiresOn",
    "ticketRef": "ticket",
}


def wrong(control: str, message: str) -> UnprocessableError:
    """The refusal of one field, before anything is asked."""
    problem = FieldProblem(f"/{control}", "FORM", message)
    return UnprocessableError("VALIDATION_FAILED", "A field is wrong", fields=(problem,))


def whole_number(form: Form, control: str) -> int:
    """`500`, `1,200`. Raises UnprocessableError with the control named."""
    text = form.text(control)
    if not _WHOLE.fullmatch(text):
        raise wrong(control, "Enter a whole number, such as 500.")
    return int(text.replace(",", ""))


def end_of_day(form: Form, control: str) -> datetime | None:
    """The last second of the day that was typed, in UTC; None for an empty field.

    Raises UnprocessableError with the control named.
    """
    text = form.text(control)
    if not text:
        return None
    day = _day(text) if _DAY.fullmatch(text) else None
    if day is None:
        raise wrong(control, "Enter a day as year-month-day, such as 2027-12-31.")
    return datetime.combine(day, _LAST_SECOND)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:  # the thirtieth of February
        return None


def version_of(form: Form) -> int:
    """The version that the form showed. Raises BadRequestError for a form that is not ours."""
    text = form.text("version")
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise BadRequestError("FORM_INVALID", "The form does not say which version it shows")
    return int(text)


def billing_refused(
    services: PanelServices,
    call: Call,
    name: str,
    error: ProblemError,
    *,
    form: Form,
    controls: Collection[str],
) -> FormState:
    """The form again, with what to do about the refusal; `controls` are those that it shows.

    It keeps its key while nobody knows whether the first try counted.
    """
    errors = tuple(one for one in map(_field_error, _problems_of(error)) if one.field in controls)
    return replace(
        new_form(services, call, name),
        idempotency_key=next_key(form, error),
        errors=errors,
        problem=None if errors else notice_of(error),
    )


def notice_of(error: ProblemError) -> Notice:
    """A refusal that is no field's fault."""
    if error.code == "GRANT_DAILY_CAP":
        maximum, granted = error.extra.get("maximum", 0), error.extra.get("grantedToday", 0)
        text = f"Today you granted {granted:,} of {maximum:,} replies. The next day begins at midnight UTC."
        return Notice("warning", "That is more than you may grant today", text)
    return _NOTICES.get(error.code) or Notice("danger", "Nothing was changed", error.message)


def _problems_of(error: ProblemError) -> tuple[FieldProblem, ...]:
    """Two refusals of the tenant service are about one field each."""
    match error.code:
        case "CONFIRMATION_MISMATCH":
            return (FieldProblem("/confirm", error.code, error.message),)
        case "GRANT_ABOVE_SUPPORT_MAX":
            maximum = error.extra.get("maximum", 0)
            message = (
                f"Your role may grant up to {maximum:,} replies at a time. A super admin may grant more."
            )
            return (FieldProblem("/replies", "FORM", message),)
        case _:
            return error.fields


def _field_error(problem: FieldProblem) -> FieldError:
    name = problem.pointer.removeprefix("/")
    message = problem.message.removeprefix("Value error, ")
    advice = _ADVICE.get((name, problem.code.removeprefix("STRING_")))
    return FieldError(_CONTROLS.get(name, name), advice or message[:1].upper() + message[1:])


def is_above_cap(error: ForbiddenError) -> bool:
    """The one 403 that a smaller number mends; every other one has a page of its own."""
    return error.code == "GRANT_ABOVE_SUPPORT_MAX"


def is_gone(error: NotFoundError) -> bool:
    return error.code == "PACK_NOT_FOUND"
