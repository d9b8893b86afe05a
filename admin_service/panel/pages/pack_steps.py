"""Activate, deactivate and delete a pack (R-027, R-028): each behind a page that says what happens.

Showing such a page changes nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, operator_frame, page, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.billing_forms import (
    SHOWN_WITH_THE_FORM,
    billing_refused,
    is_gone,
    version_of,
)
from admin_service.panel.pages.operator_forms import new_form, read_own_form, require_form_token
from admin_service.panel.pages.pack_forms import named_pack
from admin_service.panel.pages.packs import done_url
from admin_service.panel.pages.undoing import stamped
from admin_service.panel.pages.unknown_outcomes import is_unknown
from admin_service.panel.views.billing_packs import PackRow, PackStepView
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Notice
from service_kit.errors import NotFoundError, ProblemError
from service_kit.web.api import Call

Do = Callable[[PanelServices, Call, Form], Awaitable[None]]
_ON_OFFER: Final = Notice("info", "This pack is on offer already", "There is nothing to change.")
_OFF_OFFER: Final = Notice("info", "This pack is not on offer", "There is nothing to change.")


@dataclass(frozen=True, slots=True)
class PackStep:
    """One step; `done` names what the list tells afterwards."""

    heading: str
    button: str
    done: str
    consequences: tuple[str, ...]
    do: Do
    applies: Callable[[PackRow], Notice | None]
    is_deletion: bool = False

    async def show(self, services: PanelServices, call: Call) -> web.Response:
        """Raises NotFoundError."""
        return await self._page(services, call, new_form(services, call, self._form))

    async def submit(self, services: PanelServices, call: Call) -> web.Response:
        """Do it; a pack that is gone leads to the list, which says so."""
        form = await read_own_form(services, call)
        try:
            require_form_token(services, call, form, self._form)
            await self.do(services, call, form)
        except SHOWN_WITH_THE_FORM as error:
            return await self._refused(services, call, form, error)
        except NotFoundError as error:
            if is_gone(error):
                return see_other(done_url("gone"))
            raise
        return see_other(done_url(self.done, call.path("id"), stamped(services, call)))

    async def _refused(
        self, services: PanelServices, call: Call, form: Form, error: ProblemError
    ) -> web.Response:
        state = billing_refused(services, call, self._form, error, form=form, controls=("confirm",))
        try:
            return await self._page(services, call, state, form.fields.get("confirm", ""), error)
        except NotFoundError as gone:
            if self.is_deletion and is_unknown(error) and is_gone(gone):
                return see_other(done_url(self.done))  # nobody knew whether it was done: it was
            raise

    @property
    def _form(self) -> str:
        return f"pack-{self.done}"

    async def _page(
        self,
        services: PanelServices,
        call: Call,
        state: FormState,
        confirm: str = "",
        error: ProblemError | None = None,
    ) -> web.Response:
        pack = await named_pack(services, call)
        view = PackStepView(
            heading=self.heading,
            button=self.button,
            pack=pack,
            form=state,
            consequences=self.consequences,
            is_deletion=self.is_deletion,
            not_offered=self.applies(pack),
            confirm=confirm,
            step=call.request.path.rpartition("/")[2],
        )
        frame = await operator_frame(services, call)
        if error is None:
            return page(services, frame, view)
        return page(services, frame, view, status=error.status, headers=error.headers)


async def _activate(services: PanelServices, call: Call, form: Form) -> None:
    key = form.idempotency_key
    await services.billing.offer_pack(behalf_of(call), call.path("id"), active=True, key=key)


async def _deactivate(services: PanelServices, call: Call, form: Form) -> None:
    key = form.idempotency_key
    await services.billing.offer_pack(behalf_of(call), call.path("id"), active=False, key=key)


async def _delete(services: PanelServices, call: Call, form: Form) -> None:
    """The name is taken as it was typed: it confirms by being exact."""
    confirm, version = form.fields.get("confirm", ""), version_of(form)
    await services.billing.delete_pack(behalf_of(call), call.path("id"), confirm=confirm, version=version)


ACTIVATE: Final = PackStep(
    "Activate pack",
    "Activate",
    "activated",
    ("Every tenant sees the pack, in its own currency, in the order of the list.",),
    _activate,
    lambda pack: _ON_OFFER if pack.active else None,
)
DEACTIVATE: Final = PackStep(
    "Deactivate pack",
    "Deactivate",
    "deactivated",
    (
        "Tenants do not see the pack any more, and cannot buy it.",
        "Credits that came from it stay as they are.",
        "It can be activated again at any time.",
    ),
    _deactivate,
    lambda pack: None if pack.active else _OFF_OFFER,
)
DELETE: Final = PackStep(
    "Delete pack",
    "Delete pack",
    "deleted",
    (
        "The pack is gone for good. To take it off the offer only, deactivate it instead.",
        "Grants and purchases keep what it was: name, replies and price.",
        "Credits that came from it stay as they are.",
    ),
    _delete,
    lambda _pack: None,
    is_deletion=True,
)
