"""The page of the API: the same document that tools read, for people. The same for every role."""

from typing import Final

from aiohttp import web

from admin_service.api_document.schemas import DocsQuery
from admin_service.panel.context import PanelServices, both, operator_frame, page, usable_delegation
from admin_service.panel.views.api_docs import docs_view
from admin_service.panel.views.parts import Notice
from admin_service.tenant_api import OnBehalf
from service_kit.web.api import Call

_HALF: Final = Notice(
    "warning",
    "The tenant service does not answer",
    "Its operations are missing below. Everything else on this page is complete.",
)


async def show_api_docs(services: PanelServices, call: Call) -> web.Response:
    """Every operation, or those that have the words of `q`."""
    query: DocsQuery = call.query
    delegation = usable_delegation(call.request)
    behalf = OnBehalf(delegation, call.origin) if delegation is not None else None
    frame, told = await both(operator_frame(services, call), services.api.read(behalf))
    view = docs_view(told.document, query.q.strip(), _HALF if told.is_partial else None)
    return page(services, frame, view)
