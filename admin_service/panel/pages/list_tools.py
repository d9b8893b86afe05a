"""Reading what stands above a list from its address, and the views that the operator saved of it.

An address that names no column of the list hides none: it is a look, and nothing is refused for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from admin_service.panel.context import PanelServices, see_other
from admin_service.panel.pages.list_files import CSV, FORMAT
from admin_service.panel.views.list_tools import DENSITIES, DENSITY, HIDE, Column, ListTools, ViewLink
from admin_service.panel.views.parts import Notice, page_url
from admin_service.saved_views.models import MOST_OF_ONE, ListName, SavedView
from service_kit.web.api import Call

FORM: Final = "saved-views"
SAVED: Final = "saved"
_CHOOSE: Final = "choose"
_COLUMN: Final = "column"
_CURSOR: Final = "cursor"
_NOTICES: Final[Mapping[str, Notice]] = {
    "kept": Notice("success", "The view was saved", "It stands above the list whenever you come here."),
    "dropped": Notice("success", "The saved view was removed", "The list itself is as it was."),
    "full": Notice(
        "warning", "The view was not saved", f"You keep {MOST_OF_ONE} views of this list: remove one first."
    ),
    "unnamed": Notice("warning", "The view was not saved", "Give it a name of 1 to 60 characters."),
    "too-old": Notice(
        "warning", "The view was not saved", "This form is no longer valid. Nothing was changed; try again."
    ),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of the panel: where it is, which columns it has, and what of its address is state.

    `makes_file` is False where the file is made elsewhere.
    """

    name: ListName
    path: str
    columns: tuple[Column, ...]
    state: tuple[str, ...]
    makes_file: bool = True


def canonical(call: Call, listing: Listing) -> web.Response | None:
    """To the one address of the look that the form chose; None for an address that is no form's."""
    query = call.request.query
    if _CHOOSE not in query:
        return None
    shown = set(query.getall(_COLUMN, []))
    hidden = frozenset(column.name for column in listing.columns) - shown
    tools = replace(_of_address(call, listing), hidden=hidden)
    return see_other(page_url(listing.path, {**tools.kept, **tools.looks}))


def looks_of(call: Call, listing: Listing) -> dict[str, str]:
    """The look of this address, which the next page keeps."""
    return _of_address(call, listing).looks


async def list_tools(
    services: PanelServices, call: Call, listing: Listing, *, can_file: bool = True
) -> ListTools:
    """What stands above the list of this address."""
    tools = _of_address(call, listing)
    views = await services.saved_views.of(call.actor, listing.name)
    place = call.request.query.get(_CURSOR, "")
    here = page_url(listing.path, {**tools.kept, **tools.looks, _CURSOR: place})
    file = page_url(listing.path, {**tools.kept, FORMAT: CSV}) if listing.makes_file and can_file else ""
    return replace(
        tools,
        address=f"{services.origins[0]}{here}",
        csv_href=file,
        views=_links(listing, tools, views),
        csrf_token=services.tokens.issue(call.actor.subject, FORM),
        notice=_NOTICES.get(call.request.query.get(SAVED, "")),
    )


def _of_address(call: Call, listing: Listing) -> ListTools:
    query = call.request.query
    kept = {name: query.get(name, "").strip() for name in listing.state}
    known = {column.name for column in listing.columns}
    density = query.get(DENSITY, "")
    return ListTools(
        list=listing.name.value,
        path=listing.path,
        kept={name: value for name, value in kept.items() if value},
        columns=listing.columns,
        hidden=frozenset(query.get(HIDE, "").split(".")) & known,
        density=density if density in DENSITIES else "",
    )


def _links(listing: Listing, tools: ListTools, views: Sequence[SavedView]) -> tuple[ViewLink, ...]:
    return tuple(
        ViewLink(
            view.id,
            view.name,
            f"{listing.path}?{view.query}" if view.query else listing.path,
            is_on=view.query == tools.query,
        )
        for view in views
    )


def own_query(listing: Listing, given: Sequence[tuple[str, str]]) -> str:
    """Of what a form sent, only what is state of this list, in its own order, each name once."""
    found = {name: value.strip() for name, value in reversed(given)}
    names = (*listing.state, HIDE, DENSITY)
    return urlencode({name: found[name] for name in names if found.get(name)})
