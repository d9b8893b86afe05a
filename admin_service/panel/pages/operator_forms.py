"""What every form about operators has in common: its proofs, its key, and its refusals in words.

It decides nothing about operators: the services do, and what they refuse is told beside the form.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from json import dumps
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from admin_service.operators.errors import SuperAdminGrantForbiddenError, VersionConflictError
from admin_service.panel.context import PanelServices, see_other
from admin_service.panel.forms import (
    CSRF_FIELD,
    IDEMPOTENCY_FIELD,
    Form,
    new_idempotency_key,
    read_form,
    require_own_origin,
)
from admin_service.panel.labels import role_name, sentence
from admin_service.panel.pages.operator_detail import DONE
from admin_service.panel.pages.unknown_outcomes import UNKNOWN_NOTICES, next_key
from admin_service.panel.views.operator_forms import LEAST_REASON, FormState
from admin_service.panel.views.operators import OPERATORS_PATH
from admin_service.panel.views.parts import FieldError, Notice, page_url, path_segment
from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    PreconditionFailedError,
    ProblemError,
    UnprocessableError,
)
from service_kit.identity.model import Role
from service_kit.web.api import Call
from service_kit.web.idempotency import IdempotentRequest, hash_of
from service_kit.web.once import AlreadyDoneError, Once
from service_kit.web.schemas import ApiModel

M = TypeVar("M", bound=ApiModel)


class FormTooOldError(ForbiddenError):
    """The form's token is missing, old or somebody else's; nothing was even tried."""

    def __init__(self) -> None:
        super().__init__("CSRF_REJECTED", "The form is no longer valid")


SHOWN_WITH_THE_FORM: Final = (
    BadRequestError,
    ConflictError,
    FormTooOldError,
    PreconditionFailedError,
    SuperAdminGrantForbiddenError,
    UnprocessableError,
)
"""Refusals that the person at the form can do something about; every other one has a page of its own."""

NOTICES: Final[Mapping[str, Notice]] = {
    **UNKNOWN_NOTICES,
    "CSRF_REJECTED": Notice(
        "warning",
        "This form is no longer valid",
        "Nothing was changed. It was open for too long; look over it and send it again.",
    ),
    "LAST_SUPER_ADMIN": Notice(
        "danger",
        "This is the last active super admin",
        "Nothing was changed. Without one, nobody could manage operators any more: make somebody else a "
        "super admin, and have them enroll, first.",
    ),
    "SELF_DEACTIVATION_FORBIDDEN": Notice(
        "danger", "Nobody deactivates themselves", "Nothing was changed. Ask another super admin."
    ),
    "SELF_ROLE_CHANGE_FORBIDDEN": Notice(
        "danger", "Nobody changes their own role", "Nothing was changed. Ask another super admin."
    ),
    "SUPER_ADMIN_GRANT_FORBIDDEN": Notice(
        "danger",
        "Only a super admin makes super admins",
        "Nothing was changed. Choose another role, or ask a super admin.",
    ),
    "ALREADY_ENROLLED": Notice(
        "warning",
        "This operator enrolled meanwhile",
        "Nothing was changed: a new token is for somebody who is still waiting. If the identity provider "
        "knows the person under a new subject, rebind them below.",
    ),
    "OPERATOR_EXISTS": Notice(
        "warning",
        "The address belongs to another operator now",
        "Nothing was changed. Somebody was provisioned with it after this one left: see the list.",
    ),
    "OPERATOR_DEACTIVATED": Notice(
        "warning",
        "This operator was deactivated meanwhile",
        "Nothing was changed. Reactivate them first; only that leads back in.",
    ),
    "OPERATOR_NOT_DEACTIVATED": Notice(
        "info", "This operator is not deactivated any more", "Somebody was faster. Nothing was changed."
    ),
    "SESSION_NOT_FOUND": Notice(
        "info", "This session is over already", "Nothing was changed. Look at the list again."
    ),
    "IDEMPOTENCY_KEY_REUSED": Notice(
        "warning",
        "This form was sent before, with other values",
        "What was sent first counts. Look at the operator before you send these values.",
    ),
}
_ADVICE: Final[Mapping[tuple[str, str], str]] = {
    ("name", "TOO_SHORT"): "Enter the person’s name.",
    ("name", "TOO_LONG"): "Use at most 120 characters for the name.",
    ("email", "VALUE_ERROR"): "Enter one plain email address, such as name@example.com.",
    ("email", "TOO_LONG"): "Enter one plain email address, such as name@example.com.",
    ("role", "ENUM"): "Choose a role.",
    ("reason", "TOO_LONG"): "Use at most 500 characters for the reason.",
    ("email", "OPERATOR_EXISTS"): "An operator with this address exists already. Look for them in the list.",
    ("confirm", "CONFIRMATION_MISMATCH"): "Type the operator’s email address, exactly as it is shown.",
    ("reason", "TOO_SHORT"): f"Give a reason of at least {LEAST_REASON} characters; it is kept in the log.",
}


async def read_own_form(services: PanelServices, call: Call) -> Form:
    """The form, once the browser says that our own page sent it. Raises what `read_form` raises."""
    require_own_origin(call.request, services.origins)
    return await read_form(call.request)


def require_form_token(services: PanelServices, call: Call, form: Form, name: str) -> None:
    """Raise FormTooOldError unless the form was made for this person, and for this purpose."""
    if not services.tokens.is_valid(form.text(CSRF_FIELD), call.actor.subject, name):
        raise FormTooOldError


def new_form(services: PanelServices, call: Call, name: str) -> FormState:
    """A form with a token and a key of its own."""
    return FormState(services.tokens.issue(call.actor.subject, name), new_idempotency_key())


def refused_form(
    services: PanelServices,
    call: Call,
    name: str,
    error: ProblemError,
    *,
    form: Form,
    controls: Collection[str] = (),
) -> FormState:
    """The form again, with what to do about the refusal; `controls` are those that it shows.

    It keeps its key while nobody knows whether the first try counted.
    """
    errors = tuple(one for one in map(_field_error, _problems_of(error)) if one.field in controls)
    return replace(
        new_form(services, call, name),
        idempotency_key=next_key(form, error),
        errors=errors,
        problem=None if errors else _notice(error),
    )


def once_of_form(call: Call, form: Form, shown: Callable[[Any], Mapping[str, Any]]) -> Once:
    """What makes a reload or a double click harmless. Raises BadRequestError for a form without its key."""
    scope = f"{call.actor.operator_id} {call.request.method} {call.request.path}"
    members = {k: v for k, v in form.fields.items() if k not in (CSRF_FIELD, IDEMPOTENCY_FIELD)}
    return Once(IdempotentRequest(scope, form.idempotency_key, hash_of(members)), 200, shown)


def sent_before(done: AlreadyDoneError) -> web.Response:
    """To the operator whom the same form changed, or made, before; a token is not shown again (R-068)."""
    return see_other(operator_url(str(done.answer.body["id"]), "sent-twice"))


def operator_url(operator_id: str, done: str = "") -> str:
    return page_url(f"{OPERATORS_PATH}/{path_segment(operator_id)}", {DONE: done})


def read_model(model: type[M], members: Mapping[str, str]) -> M:
    """The members as the API reads them. Raises UnprocessableError with the fields that are wrong."""
    try:
        return model.model_validate_json(dumps(dict(members)))
    except ValidationError as error:
        raise UnprocessableError("VALIDATION_FAILED", "A field is wrong", fields=_fields(error)) from None


def given_reason(form: Form) -> str:
    """The reason. Raises UnprocessableError when it says nothing (panel.md, rule 7)."""
    reason = form.text("reason")
    if len(reason) < LEAST_REASON:
        problem = FieldProblem("/reason", "TOO_SHORT", "too short")
        raise UnprocessableError("VALIDATION_FAILED", "A field is wrong", fields=(problem,))
    return reason


def roles_to_hand_out(own: Role | None) -> tuple[str, ...]:
    """The roles that an operator with this one may give to somebody (R-076)."""
    grants_all = own is Role.SUPER_ADMIN
    return tuple(role.value for role in Role if grants_all or role is not Role.SUPER_ADMIN)


def _fields(error: ValidationError) -> tuple[FieldProblem, ...]:
    return tuple(
        FieldProblem(f"/{details['loc'][0]}", details["type"].upper(), details["msg"])
        for details in error.errors(include_input=False, include_url=False)
    )


def _problems_of(error: ProblemError) -> tuple[FieldProblem, ...]:
    """Two refusals of the service are about one field each."""
    match error.code:
        case "OPERATOR_EXISTS":
            return (FieldProblem("/email", error.code, error.message),)
        case "CONFIRMATION_MISMATCH":
            return (FieldProblem("/confirm", error.code, error.message),)
        case _:
            return error.fields


def _field_error(problem: FieldProblem) -> FieldError:
    control = problem.pointer.removeprefix("/")
    message = problem.message.removeprefix("Value error, ")
    advice = _ADVICE.get((control, problem.code.removeprefix("STRING_")))
    return FieldError(control, advice or message[:1].upper() + message[1:])


def _notice(error: ProblemError) -> Notice:
    if isinstance(error, VersionConflictError):
        now = error.current
        state = f"now {role_name(now.role.value)}, {sentence(now.state.value).lower()}"
        text = f"Nothing was changed by you. They are {state}: look at the page again, then decide anew."
        return Notice("warning", "Somebody changed this operator while you were looking", text)
    return NOTICES.get(error.code) or Notice("danger", "Nothing was changed", error.message)
