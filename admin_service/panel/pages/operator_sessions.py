"""Ending sessions: one or all, another's or one's own, each behind a page that asks first (P-20, R-064).

The service decides whose sessions who may end; the pages of others are open to who manages operators only.
"""

from typing import Final

from aiohttp import web

from admin_service.operators.named import named_operator
from admin_service.operators.own_row import operator_id_of
from admin_service.panel.context import PanelServices, both, operator_frame, page, see_other
from admin_service.panel.pages.operator_detail import DONE
from admin_service.panel.pages.operator_forms import (
    FormTooOldError,
    new_form,
    read_own_form,
    refused_form,
    require_form_token,
)
from admin_service.panel.pages.operator_rows import shown_operator, shown_session
from admin_service.panel.views.operator_forms import FormState, OwnSessionsEndView, SessionsEndView
from admin_service.panel.views.parts import page_url
from admin_service.sessions.errors import SessionNotFoundError
from service_kit.web.api import Call

FORM: Final = "operator-sessions"
SESSION: Final = "session"
"""The id of one session, in the address and in the form; without it, all of them are meant."""


async def ask_other(services: PanelServices, call: Call) -> web.Response:
    return await _ask(services, call, named_operator(call), own_page=False)


async def end_other(services: PanelServices, call: Call) -> web.Response:
    return await _end(services, call, named_operator(call), own_page=False)


async def ask_own(services: PanelServices, call: Call) -> web.Response:
    return await _ask(services, call, operator_id_of(call.actor), own_page=True)


async def end_own(services: PanelServices, call: Call) -> web.Response:
    return await _end(services, call, operator_id_of(call.actor), own_page=True)


async def _ask(services: PanelServices, call: Call, operator_id: str, *, own_page: bool) -> web.Response:
    state = new_form(services, call, FORM)
    chosen = call.request.query.get(SESSION, "")
    return await _form_page(services, call, operator_id, state, chosen, own_page=own_page)


async def _end(services: PanelServices, call: Call, operator_id: str, *, own_page: bool) -> web.Response:
    """End them. Ending twice ends nothing more, so this form needs no key."""
    form = await read_own_form(services, call)
    chosen = form.text(SESSION)
    try:
        require_form_token(services, call, form, FORM)
        await _end_chosen(services, call, operator_id, chosen)
    except (FormTooOldError, SessionNotFoundError) as error:
        state = refused_form(services, call, FORM, error, form=form)
        return await _form_page(
            services, call, operator_id, state, chosen, own_page=own_page, status=error.status
        )
    here = call.request.path.removesuffix("/sessions")
    return see_other(page_url(here, {DONE: "sessions"}))


async def _end_chosen(services: PanelServices, call: Call, operator_id: str, chosen: str) -> None:
    if chosen:
        await services.sessions.end_one(call, operator_id, chosen)
    else:
        await services.sessions.end_all_of(call, operator_id)


async def _form_page(
    services: PanelServices,
    call: Call,
    operator_id: str,
    state: FormState,
    chosen: str,
    *,
    own_page: bool,
    status: int = 200,
) -> web.Response:
    operator, live = await both(
        services.operators.by_id(operator_id), services.sessions.list_of(call, operator_id)
    )
    meant = [one for one in live if chosen in ("", one.id)]
    view = (OwnSessionsEndView if own_page else SessionsEndView)(
        operator=shown_operator(operator, services.clock.now(), you=call.actor.operator_id),
        form=state,
        sessions=tuple(map(shown_session, meant)),
        session_id=chosen,
    )
    return page(services, await operator_frame(services, call), view, status=status)
