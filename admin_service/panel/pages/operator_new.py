"""Provisioning an operator (P-19, R-067): the form, and its refusals with everything kept.

The token stands only in the answer to the POST that made it (R-068).
"""

from typing import Final

from aiohttp import web

from admin_service.operators.models import IssuedEnrollment
from admin_service.operators.schemas import NewOperatorBody, without_token
from admin_service.panel.context import PanelServices, operator_frame, page
from admin_service.panel.forms import Form
from admin_service.panel.pages.operator_forms import (
    SHOWN_WITH_THE_FORM,
    new_form,
    once_of_form,
    read_model,
    read_own_form,
    refused_form,
    require_form_token,
    roles_to_hand_out,
    sent_before,
)
from admin_service.panel.pages.operator_tokens import token_page
from admin_service.panel.views.operator_forms import FormState, OperatorNewView
from service_kit.errors import ProblemError
from service_kit.web.api import Call
from service_kit.web.once import AlreadyDoneError

FORM: Final = "operator-new"
_CONTROLS: Final = ("name", "email", "role")


async def show_form(services: PanelServices, call: Call) -> web.Response:
    """An empty form; no role is chosen beforehand."""
    view = _view(call, new_form(services, call, FORM), Form())
    return page(services, await operator_frame(services, call), view)


async def provision(services: PanelServices, call: Call) -> web.Response:
    """Provision, and show the token once; a form sent again leads to the operator instead."""
    form = await read_own_form(services, call)
    try:
        issued = await _provision(services, call, form)
    except AlreadyDoneError as done:
        return sent_before(done)
    except SHOWN_WITH_THE_FORM as error:
        return await _show_again(services, call, form, error)
    return await token_page(services, call, issued, "was provisioned")


async def _provision(services: PanelServices, call: Call, form: Form) -> IssuedEnrollment:
    require_form_token(services, call, form, FORM)
    body = read_model(NewOperatorBody, {name: form.text(name) for name in _CONTROLS})
    once = once_of_form(call, form, without_token)
    return await services.provisioning.create(call, body.wanted, once=once)


async def _show_again(services: PanelServices, call: Call, form: Form, error: ProblemError) -> web.Response:
    view = _view(call, refused_form(services, call, FORM, error, form=form, controls=_CONTROLS), form)
    frame = await operator_frame(services, call)
    return page(services, frame, view, status=error.status, headers=error.headers)


def _view(call: Call, state: FormState, form: Form) -> OperatorNewView:
    given = form.fields
    return OperatorNewView(
        form=state,
        roles=roles_to_hand_out(call.actor.role),
        name=given.get("name", ""),
        email=given.get("email", ""),
        role=given.get("role", ""),
    )
