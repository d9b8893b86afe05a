"""The list of operators (P-19), for those who manage them; its filters are the URL's."""

from typing import Final

from aiohttp import web
from pydantic import ValidationError

from admin_service.operators.models import Operator, OperatorFilter
from admin_service.operators.schemas import OperatorQuery
from admin_service.panel.context import PanelServices, both, operator_frame, page
from admin_service.panel.pages.operator_rows import shown_operator
from admin_service.panel.views.operators import OPERATORS_PATH, OperatorListView
from admin_service.panel.views.parts import Notice, Pager, page_url
from service_kit.errors import BadRequestError
from service_kit.web.api import Call
from service_kit.web.pages import Page

_FILTERS: Final = ("q", "state", "role")


async def list_operators(services: PanelServices, call: Call) -> web.Response:
    """A filter that makes no sense is named, never answered with a blank page."""
    frame, view = await both(operator_frame(services, call), _list_view(services, call))
    return page(services, frame, view)


async def _list_view(services: PanelServices, call: Call) -> OperatorListView:
    wanted, notice = _read_filter(call)
    found, cursor_notice = await _found(services, wanted, call.request.query.get("cursor", ""))
    counts = await services.session_counts.of([operator.id for operator in found.rows])
    now, you = services.clock.now(), call.actor.operator_id
    return OperatorListView(
        rows=tuple(
            shown_operator(operator, now, you=you, sessions=counts.get(operator.id, 0))
            for operator in found.rows
        ),
        query=wanted.q,
        state=wanted.state or "",
        role=wanted.role or "",
        pager=_pager(wanted, found),
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


def _pager(wanted: OperatorFilter, found: Page[Operator]) -> Pager:
    def link(cursor: str | None) -> str | None:
        return page_url(OPERATORS_PATH, {**wanted.as_dict(), "cursor": cursor}) if cursor else None

    return Pager(newer=link(found.prev_cursor), older=link(found.next_cursor))
