"""New tokens for operators who exist, and the one page that shows a token (P-20, R-068…R-070, G-04, G-09).

The page is the answer to a POST, never stored and never rendered again: a reload sends the same form,
which leads to the operator without the token.
"""

from datetime import UTC
from typing import Final

from aiohttp import web

from admin_service.operators.models import IssuedEnrollment, Operator
from admin_service.operators.schemas import ReactivateBody, ReissueBody, without_token
from admin_service.panel.context import PanelServices, operator_frame, page
from admin_service.panel.forms import Form
from admin_service.panel.labels import role_name
from admin_service.panel.pages.operator_forms import given_reason, once_of_form, read_model
from admin_service.panel.pages.operator_rows import shown_operator
from admin_service.panel.pages.operator_steps import Step
from admin_service.panel.rendering import zoned_text
from admin_service.panel.views.operator_forms import FormState, OperatorIssueView, OperatorReactivateView
from admin_service.panel.views.operator_token import OperatorTokenView
from service_kit.errors import ConflictError
from service_kit.web.api import Call


async def token_page(
    services: PanelServices, call: Call, issued: IssuedEnrollment, happened: str
) -> web.Response:
    """The token, this once, with what to do with it (R-069)."""
    operator = shown_operator(issued.operator, services.clock.now(), you=call.actor.operator_id)
    frame = await operator_frame(services, call)
    view = OperatorTokenView(
        operator=operator,
        role_label=role_name(operator.role),
        happened=happened,
        token=issued.token,
        expires_at=issued.expires_at,
        expires_text=f"{zoned_text(issued.expires_at, UTC)} UTC",
        panel_url=services.origins[0],
    )
    return page(services, frame, view)


async def _issue_view(
    services: PanelServices, call: Call, operator: Operator, state: FormState, form: Form
) -> OperatorIssueView:
    return OperatorIssueView(
        operator=shown_operator(operator, services.clock.now(), you=call.actor.operator_id),
        form=state,
        confirm=form.fields.get("confirm", ""),
    )


async def _issue(services: PanelServices, call: Call, operator_id: str, form: Form) -> web.Response:
    """Reissue, or rebind where the form said so: somebody who enrolled meanwhile is not unbound by it."""
    if operator_id == call.actor.operator_id:
        raise ConflictError("SELF_REBIND_FORBIDDEN", "Nobody rebinds themselves here")
    rebind = form.text("rebind") == "yes"
    body = read_model(ReissueBody, {"confirm": form.text("confirm")})
    issued = await services.provisioning.reissue(
        call, operator_id, rebind=rebind, confirm=body.confirm, once=once_of_form(call, form, without_token)
    )
    return await token_page(services, call, issued, "is to enroll anew" if rebind else "has a new token")


async def _reactivate_view(
    services: PanelServices, call: Call, operator: Operator, state: FormState, form: Form
) -> OperatorReactivateView:
    return OperatorReactivateView(
        operator=shown_operator(operator, services.clock.now(), you=call.actor.operator_id),
        form=state,
        reason=form.fields.get("reason", ""),
    )


async def _reactivate(services: PanelServices, call: Call, operator_id: str, form: Form) -> web.Response:
    body = read_model(ReactivateBody, {"reason": given_reason(form)})
    issued = await services.provisioning.reactivate(
        call, operator_id, reason=body.reason, once=once_of_form(call, form, without_token)
    )
    return await token_page(services, call, issued, "was reactivated")


ISSUE: Final = Step("operator-token", ("confirm",), _issue_view, _issue)
REACTIVATE: Final = Step("operator-reactivate", ("reason",), _reactivate_view, _reactivate)
