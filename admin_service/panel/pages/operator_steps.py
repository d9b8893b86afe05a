"""A step about one operator: shown as a form, done when it is sent, shown again with why not.

It knows no step by itself: a `Step` brings its view and its change.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from admin_service.operators.models import Operator
from admin_service.operators.named import named_operator
from admin_service.panel.context import PanelServices, operator_frame, page
from admin_service.panel.forms import Form
from admin_service.panel.pages.operator_forms import (
    SHOWN_WITH_THE_FORM,
    new_form,
    read_own_form,
    refused_form,
    require_form_token,
    sent_before,
)
from admin_service.panel.views.operator_forms import FormState, OperatorFormView
from service_kit.errors import ProblemError
from service_kit.web.api import Call
from service_kit.web.once import AlreadyDoneError

MakeView = Callable[[PanelServices, Call, Operator, FormState, Form], Awaitable[OperatorFormView]]
"""The view of the operator as they are now, with what was typed."""

Change = Callable[[PanelServices, Call, str, Form], Awaitable[web.Response]]
"""The change and its answer; what it refuses is shown with the form."""


@dataclass(frozen=True, slots=True)
class Step:
    """`name` ties a form's token to the step; `controls` are the fields that can be wrong."""

    name: str
    controls: tuple[str, ...]
    view: MakeView
    change: Change

    async def show(self, services: PanelServices, call: Call) -> web.Response:
        """The form. Raises OperatorNotFoundError."""
        operator = await services.operators.by_id(named_operator(call))
        view = await self.view(services, call, operator, new_form(services, call, self.name), Form())
        return page(services, await operator_frame(services, call), view)

    async def submit(self, services: PanelServices, call: Call) -> web.Response:
        """Do it, once. Raises OperatorNotFoundError, and refusals that have a page of their own."""
        form, operator_id = await read_own_form(services, call), named_operator(call)
        try:
            require_form_token(services, call, form, self.name)
            return await self.change(services, call, operator_id, form)
        except AlreadyDoneError as done:
            return sent_before(done)
        except SHOWN_WITH_THE_FORM as error:
            return await self._show_again(services, call, operator_id, form, error)

    async def _show_again(
        self, services: PanelServices, call: Call, operator_id: str, form: Form, error: ProblemError
    ) -> web.Response:
        operator = await services.operators.by_id(operator_id)
        state = refused_form(services, call, self.name, error, form=form, controls=self.controls)
        view = await self.view(services, call, operator, state, form)
        frame = await operator_frame(services, call)
        return page(services, frame, view, status=error.status, headers=error.headers)
