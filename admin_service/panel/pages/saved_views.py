"""Saving a list under a name, and dropping one: forms of their own, that lead back to the list.

What is saved is read anew and written by us: no address that a form brought is ever gone to.
"""

from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from admin_service.panel.context import PanelServices, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.list_tools import FORM, SAVED, Listing, own_query
from admin_service.panel.pages.listings import LISTINGS
from admin_service.panel.pages.operator_forms import FormTooOldError, read_own_form, require_form_token
from admin_service.saved_views.models import TooManyViewsError
from service_kit.errors import BadRequestError, UnprocessableError
from service_kit.web.api import Call

_MOST_FIELDS: Final = 40


async def save_view(services: PanelServices, call: Call) -> web.Response:
    """Keep the list of the form under its name. Raises BadRequestError for a list that is none."""
    form = await read_own_form(services, call)
    listing, query = _listing(form)
    try:
        require_form_token(services, call, form, FORM)
        await services.saved_views.save(call, listing.name, form.text("name"), query)
    except FormTooOldError:
        return _back(listing, query, "too-old")
    except UnprocessableError:
        return _back(listing, query, "unnamed")
    except TooManyViewsError:
        return _back(listing, query, "full")
    return _back(listing, query, "kept")


async def drop_view(services: PanelServices, call: Call) -> web.Response:
    """Drop a view of one's own; what is gone already is no error."""
    form = await read_own_form(services, call)
    listing, query = _listing(form)
    try:
        require_form_token(services, call, form, FORM)
    except FormTooOldError:
        return _back(listing, query, "too-old")
    await services.saved_views.remove(call, call.path("id"))
    return _back(listing, query, "dropped")


def _listing(form: Form) -> tuple[Listing, str]:
    listing = LISTINGS.get(form.text("list"))
    if listing is None:
        raise BadRequestError("FORM_INVALID", "There is no such list")
    try:
        given = parse_qsl(form.text("query"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise BadRequestError("FORM_INVALID", "The form names no list that could be saved") from None
    return listing, own_query(listing, given)


def _back(listing: Listing, query: str, told: str) -> web.Response:
    return see_other(f"{listing.path}?{query}&{SAVED}={told}" if query else f"{listing.path}?{SAVED}={told}")
