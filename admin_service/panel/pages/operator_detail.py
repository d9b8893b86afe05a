"""One operator (P-20) for who manages them (R-064, R-130)."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from admin_service.operators.models import OperatorState
from admin_service.operators.named import named_operator
from admin_service.oversight.service import OperatorOverview
from admin_service.panel.context import PanelServices, both, operator_frame, page, usable_delegation
from admin_service.panel.pages.audit_rows import shown_row
from admin_service.panel.pages.authors import author, names_of
from admin_service.panel.pages.operator_rows import shown_operator, shown_session
from admin_service.panel.views.operator_detail import OperatorDetailView
from admin_service.panel.views.parts import Notice
from service_kit.web.api import Call

DONE: Final = "done"
"""The URL parameter that says which form led here; it names a text below, and holds none."""

_DONE: Final[Mapping[str, Notice]] = {
    "role": Notice("success", "The role was changed", "It counts from this moment, in every open page."),
    "sessions": Notice(
        "success",
        "The sessions were ended",
        "Access lets the person in again. Whoever must not come back is deactivated.",
    ),
    "preferences": Notice("success", "Your preferences were saved"),
    "sent-twice": Notice(
        "info",
        "This form arrived twice and counted once",
        "If it made an enrollment token, that token was shown the first time and cannot be shown again. "
        "If it is lost, issue a new one: the old one dies.",
    ),
}


async def show_operator(services: PanelServices, call: Call) -> web.Response:
    """One operator. Raises OperatorNotFoundError."""
    overview = services.oversight.overview(call, named_operator(call), usable_delegation(call.request))
    frame, seen = await both(operator_frame(services, call), overview)
    return page(services, frame, OperatorDetailView(**await detail_members(services, call, seen)))


async def detail_members(services: PanelServices, call: Call, seen: OperatorOverview) -> dict[str, Any]:
    """What every page about one operator shows."""
    operator, now = seen.operator, services.clock.now()
    expiry = operator.enrollment_expires_at
    names = await names_of(services, [operator.created_by])
    is_late = operator.state is OperatorState.PENDING and expiry is not None and expiry <= now
    return {
        "operator": shown_operator(operator, now, you=call.actor.operator_id, sessions=len(seen.sessions)),
        "created_at": operator.created_at,
        "created_by": author(names, operator.created_by),
        "version": operator.version,
        "sessions": tuple(map(shown_session, seen.sessions)),
        "recent": tuple(map(shown_row, seen.actions.rows)),
        "deactivated_at": operator.deactivated_at,
        "token_expired_at": expiry if is_late else None,
        "missing": tuple(source.value for source in seen.actions.missing),
        "notice": _DONE.get(call.request.query.get(DONE, "")),
    }
