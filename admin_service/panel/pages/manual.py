"""P-27: the manual, made from the permission table and the event catalogues of both services."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from admin_service.audit.errors import AuditSourceUnavailableError
from admin_service.audit.models import KnownEvent
from admin_service.events import CATALOGUE
from admin_service.panel.context import PanelServices, both, operator_frame, page, reader_of
from admin_service.panel.views.manual import EventLine, ManualView
from admin_service.panel.views.own_page import matrix_of
from admin_service.panel.views.parts import Notice
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission
from service_kit.web.api import Call

_HALF: Final = Notice(
    "warning",
    "The tenant service does not answer",
    "Its events are missing below. Everything else on this page is complete.",
)


async def show_manual(services: PanelServices, call: Call) -> web.Response:
    """The same for every role, but for links to places that are not open to it."""
    frame, events = await both(operator_frame(services, call), _events(services, call))
    held = {role.value: frozenset(granted) for role, granted in OPERATOR_PERMISSIONS.items()}
    view = ManualView(
        matrix=matrix_of(held, tuple(Permission)),
        events=tuple(map(_line, events or [KnownEvent.own(known) for known in CATALOGUE])),
        permissions=frame.permissions,
        missing=None if events else _HALF,
    )
    return page(services, frame, view)


async def _events(services: PanelServices, call: Call) -> Sequence[KnownEvent]:
    """Nothing when one of the services does not answer."""
    try:
        return await services.audit.catalogue(reader_of(call))
    except AuditSourceUnavailableError:
        return ()


def _line(known: KnownEvent) -> EventLine:
    return EventLine(known.event, known.action, known.severity, known.scope, known.source.value)
