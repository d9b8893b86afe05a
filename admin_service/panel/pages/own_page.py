"""One's own page (P-26): what one may do, the live sessions, and the preferences with their form.

Everybody changes their own preferences and nobody another's; the service knows no other way.
"""

from typing import Final

from aiohttp import web

from admin_service.operators.own_row import operator_id_of
from admin_service.panel.context import (
    PanelServices,
    both,
    operator_frame,
    page,
    see_other,
    usable_delegation,
)
from admin_service.panel.forms import Form
from admin_service.panel.pages.operator_detail import DONE, detail_members
from admin_service.panel.pages.operator_forms import (
    FormTooOldError,
    new_form,
    read_model,
    read_own_form,
    refused_form,
    require_form_token,
)
from admin_service.panel.pages.theme import remember_theme
from admin_service.panel.views.operator_detail import OWN_PATH
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.own_page import Liked, OwnPageView, matrix_of
from admin_service.panel.views.parts import page_url
from admin_service.profile.models import Preferences
from admin_service.profile.schemas import PreferencesBody
from service_kit.errors import UnprocessableError
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission
from service_kit.web.api import Call

FORM: Final = "preferences"
_CONTROLS: Final = ("theme", "density", "timeZone")


async def show_own_page(services: PanelServices, call: Call) -> web.Response:
    """Whoever asks, as they are."""
    profile = await services.profiles.of(call.actor)
    return await _page(services, call, new_form(services, call, FORM), _liked(profile.preferences))


async def save_preferences(services: PanelServices, call: Call) -> web.Response:
    """Save all four; saving the same twice changes nothing, so this form needs no key."""
    form = await read_own_form(services, call)
    typed = _typed(form)
    try:
        require_form_token(services, call, form, FORM)
        wanted = read_model(PreferencesBody, {name: form.text(name) for name in _CONTROLS})
        change = wanted.model_copy(update={"shortcuts": typed.shortcuts}).change
        liked = await services.profiles.prefer(call, change)
    except (FormTooOldError, UnprocessableError) as error:
        state = refused_form(services, call, FORM, error, form=form, controls=_CONTROLS)
        return await _page(services, call, state, typed, status=error.status)
    response = see_other(page_url(OWN_PATH, {DONE: "preferences"}))
    # This browser may have been told another theme before; the last word counts.
    remember_theme(services, response, liked.theme.value)
    return response


async def _page(
    services: PanelServices, call: Call, form: FormState, liked: Liked, *, status: int = 200
) -> web.Response:
    operator_id = operator_id_of(call.actor)
    overview = services.oversight.overview(call, operator_id, usable_delegation(call.request))
    frame, seen = await both(operator_frame(services, call), overview)
    role = call.actor.role
    view = OwnPageView(
        **await detail_members(services, call, seen),
        form=form,
        liked=liked,
        matrix=matrix_of(
            {role.value: frozenset(OPERATOR_PERMISSIONS[role])} if role else {}, tuple(Permission)
        ),
        permissions=frame.permissions,
    )
    return page(services, frame, view, status=status)


def _typed(form: Form) -> Liked:
    """As it was sent, also when it is wrong."""
    return Liked(
        theme=form.text("theme"),
        density=form.text("density"),
        time_zone=form.text("timeZone"),
        shortcuts=form.text("shortcuts") == "on",
    )


def _liked(preferences: Preferences) -> Liked:
    return Liked(
        theme=preferences.theme.value,
        density=preferences.density.value,
        time_zone=preferences.time_zone,
        shortcuts=preferences.shortcuts,
    )
