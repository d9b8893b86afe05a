"""Another role, and offboarding in its two steps (P-20, P-21; R-072…R-079, R-133)."""

import re
from typing import Final

from aiohttp import web

from admin_service.operators.models import Operator
from admin_service.operators.schemas import DeactivateBody, RoleBody, as_shown
from admin_service.panel.context import PanelServices, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.operator_forms import (
    given_reason,
    once_of_form,
    operator_url,
    read_model,
    roles_to_hand_out,
)
from admin_service.panel.pages.operator_rows import shown_operator
from admin_service.panel.pages.operator_steps import Step
from admin_service.panel.views.operator_forms import FormState, OperatorDeactivateView, OperatorRoleView
from service_kit.errors import BadRequestError
from service_kit.web.api import Call

_VERSION: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


async def _role_view(
    services: PanelServices, call: Call, operator: Operator, state: FormState, form: Form
) -> OperatorRoleView:
    return OperatorRoleView(
        operator=shown_operator(operator, services.clock.now(), you=call.actor.operator_id),
        form=state,
        version=operator.version,
        roles=roles_to_hand_out(call.actor.role),
        role=form.fields.get("role", ""),
        reason=form.fields.get("reason", ""),
    )


async def _change_role(services: PanelServices, call: Call, operator_id: str, form: Form) -> web.Response:
    body = read_model(RoleBody, {"role": form.text("role"), "reason": given_reason(form)})
    await services.standing.change_role(
        call,
        operator_id,
        body.role,
        reason=body.reason,
        expected=frozenset({_version(form)}),
        once=once_of_form(call, form, as_shown),
    )
    return see_other(operator_url(operator_id, "role"))


async def _deactivate_view(
    services: PanelServices, call: Call, operator: Operator, state: FormState, form: Form
) -> OperatorDeactivateView:
    counts = await services.session_counts.of([operator.id])
    return OperatorDeactivateView(
        operator=shown_operator(operator, services.clock.now(), you=call.actor.operator_id),
        form=state,
        reason=form.fields.get("reason", ""),
        sessions=counts.get(operator.id, 0),
    )


async def _deactivate(services: PanelServices, call: Call, operator_id: str, form: Form) -> web.Response:
    """Step 1; the same page then shows step 2."""
    body = read_model(DeactivateBody, {"reason": given_reason(form)})
    await services.standing.deactivate(
        call, operator_id, reason=body.reason, once=once_of_form(call, form, as_shown)
    )
    return see_other(f"{operator_url(operator_id)}/deactivate")


def _version(form: Form) -> int:
    """The version that the form showed. Raises BadRequestError for a form that is not ours."""
    if not _VERSION.fullmatch(form.text("version")):
        raise BadRequestError("FORM_INVALID", "The form does not say which version it shows")
    return int(form.text("version"))


ROLE: Final = Step("operator-role", ("role", "reason"), _role_view, _change_role)
DEACTIVATE: Final = Step("operator-deactivate", ("reason",), _deactivate_view, _deactivate)
