"""The list of operators (P-19), for those who manage them; its filters are the URL's."""

from dataclasses import replace
from datetime import UTC
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from admin_service.operators.models import Operator, OperatorFilter
from admin_service.operators.schemas import OperatorQuery
from admin_service.panel.context import PanelServices, both, operator_frame, page
from admin_service.panel.pages.list_files import Chunk, ListFile, filters_refused, send_list, wants_file
from admin_service.panel.pages.list_tools import canonical, list_tools, looks_of
from admin_service.panel.pages.listings import OPERATORS
from admin_service.panel.pages.operator_rows import shown_operator
from admin_service.panel.views.operators import OPERATORS_PATH, OperatorListView, OperatorRow
from admin_service.panel.views.parts import Notice, Pager, page_url
from service_kit.errors import BadRequestError
from service_kit.web.api import Call
from service_kit.web.pages import Page

_FILTERS: Final = ("q", "state", "role")
_HEAD: Final = ("id", "name", "email", "role", "state", "live_sessions", "last_active_at")


async def list_operators(services: PanelServices, call: Call) -> web.StreamResponse:
    """A filter that makes no sense is named, never answered with a blank page."""
    if wants_file(call):
        return await send_list(services, call, _file(services, call))
    if (chosen := canonical(call, OPERATORS)) is not None:
        return chosen
    frame, (view, tools) = await both(
        operator_frame(services, call),
        both(_list_view(services, call), list_tools(services, call, OPERATORS)),
    )
    return page(services, frame, replace(view, tools=tools))


def _file(services: PanelServices, call: Call) -> ListFile[OperatorRow]:
    """The list of this address as a file; a token is in it as little as in the list (R-068)."""
    wanted, notice = _read_filter(call)
    if notice is not None:
        raise filters_refused(notice.text)

    async def fetch(cursor: str) -> Chunk[OperatorRow]:
        found = await services.operators.page(wanted, cursor=cursor or None)
        return Chunk(await _rows(services, call, found), found.next_cursor or "")

    given = {name: str(value) for name, value in wanted.as_dict().items() if value}
    return ListFile("operators", _HEAD, _cells, fetch, given)


def _cells(row: OperatorRow) -> tuple[object, ...]:
    active = row.last_active_at.astimezone(UTC).isoformat() if row.last_active_at else None
    return row.id, row.name, row.email, row.role, row.state, row.sessions, active


async def _rows(services: PanelServices, call: Call, found: Page[Operator]) -> tuple[OperatorRow, ...]:
    counts = await services.session_counts.of([operator.id for operator in found.rows])
    now, you = services.clock.now(), call.actor.operator_id
    return tuple(
        shown_operator(operator, now, you=you, sessions=counts.get(operator.id, 0)) for operator in found.rows
    )


async def _list_view(services: PanelServices, call: Call) -> OperatorListView:
    wanted, notice = _read_filter(call)
    found, cursor_notice = await _found(services, wanted, call.request.query.get("cursor", ""))
    return OperatorListView(
        rows=await _rows(services, call, found),
        query=wanted.q,
        state=wanted.state or "",
        role=wanted.role or "",
        pager=_pager(call, wanted, found),
        notice=notice or cursor_notice,
    )


async def _found(
    services: PanelServices, wanted: OperatorFilter, cursor: str
) -> tuple[Page[Operator], Notice | None]:
    """The page asked for; when its cursor belongs to other filters, the first page and a word about it."""
    try:
        return await services.operators.page(wanted, cursor=cursor or None), None
    except BadRequestError as error:
        notice = Notice("warning", "This is the first page", error.message)
        return await services.operators.page(wanted), notice


def _read_filter(call: Call) -> tuple[OperatorFilter, Notice | None]:
    given = {name: call.request.query.get(name, "").strip() for name in _FILTERS}
    try:
        query = OperatorQuery.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        wrong = ", ".join(sorted({str(details["loc"][0]) for details in error.errors(include_input=False)}))
        text = f"There is no such value for: {wrong}."
        return OperatorFilter(), Notice("warning", "These filters were not applied", text)
    return query.wanted, None


def _pager(call: Call, wanted: OperatorFilter, found: Page[Operator]) -> Pager:
    kept = {**wanted.as_dict(), **looks_of(call, OPERATORS)}

    def link(cursor: str | None) -> str | None:
        return page_url(OPERATORS_PATH, {**kept, "cursor": cursor}) if cursor else None

    return Pager(newer=link(found.prev_cursor), older=link(found.next_cursor))
