"""The list of operators (P-19), for those who manage them; changes go through the API for now."""

from datetime import datetime
from typing import Final

from aiohttp import web

from admin_service.operators.models import Operator, OperatorFilter, OperatorState
from admin_service.panel.context import OperatorDirectory, PanelServices, both, operator_frame, page
from admin_service.panel.views.operators import OperatorListView, OperatorRow
from service_kit.web.api import Call

_MOST_PAGES: Final = 10
"""A thousand operators stand on one page; a back office with more needs a pager."""


async def list_operators(services: PanelServices, call: Call) -> web.Response:
    frame, operators = await both(operator_frame(services, call), _all(services.operators))
    now = services.clock.now()
    rows = tuple(_row(operator, now, you=call.actor.operator_id) for operator in operators)
    return page(services, frame, OperatorListView(rows))


async def _all(directory: OperatorDirectory) -> list[Operator]:
    found: list[Operator] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        part = await directory.page(OperatorFilter(), cursor=cursor)
        found += part.rows
        cursor = part.next_cursor
        if cursor is None:
            break
    return found


def _row(operator: Operator, now: datetime, *, you: str | None) -> OperatorRow:
    return OperatorRow(
        id=operator.id,
        name=operator.name,
        email=operator.email,
        role=operator.role.value,
        state=operator.state.value,
        last_active_at=operator.last_active_at,
        enrollment_expires_at=_usable_until(operator, now),
        is_you=operator.id == you,
    )


def _usable_until(operator: Operator, now: datetime) -> datetime | None:
    """Until when the enrollment token works; None when there is none, or it is dead."""
    expiry = operator.enrollment_expires_at
    return expiry if operator.state is OperatorState.PENDING and expiry and expiry > now else None
