"""The audit log (P-16, R-030…R-033), and how one event of it is shown (P-17).

It hides no row and shows none that it was not given: the reader's role decides in each service's SQL.
"""

from dataclasses import replace
from typing import Final

from aiohttp import web

from admin_service.audit.models import AuditDetail, AuditPage
from admin_service.events import CATALOGUE
from admin_service.panel.context import PanelServices, both, operator_frame, page, reader_of
from admin_service.panel.pages.audit_filters import (
    AS_OF,
    AuditRequest,
    export_parameters,
    read_audit_request,
)
from admin_service.panel.pages.audit_rows import shown_row
from admin_service.panel.pages.list_tools import canonical, list_tools, looks_of
from admin_service.panel.pages.listings import AUDIT
from admin_service.panel.views.audit import AUDIT_PATH, AuditDetailView, AuditListView
from admin_service.panel.views.audit_check import PredicateCheckView
from admin_service.panel.views.parts import Pager, page_url
from service_kit.errors import BadRequestError
from service_kit.identity.model import Permission
from service_kit.web.api import Call

ROWS: Final = 100
"""R-033."""


async def list_audit(services: PanelServices, call: Call) -> web.Response:
    """The newest hundred, or the page that the URL names; what is missing is said, never guessed."""
    if (chosen := canonical(call, AUDIT)) is not None:
        return chosen
    asked = read_audit_request(call.request.query, services.clock.now())
    frame, ((asked, found), tools) = await both(
        operator_frame(services, call),
        both(_found(services, call, asked), list_tools(services, call, AUDIT)),
    )
    return page(services, frame, replace(_view(call, asked, found), tools=tools))


async def _found(services: PanelServices, call: Call, asked: AuditRequest) -> tuple[AuditRequest, AuditPage]:
    """The page asked for; when its cursor belongs to other filters, the first page and a word about it."""
    try:
        return asked, await _read(services, call, asked)
    except BadRequestError as error:
        first = replace(asked, cursor="", complaint=error.message)
        return first, await _read(services, call, first)


async def _read(services: PanelServices, call: Call, asked: AuditRequest) -> AuditPage:
    return await services.audit.page(
        reader_of(call),
        asked.wanted,
        limit=ROWS,
        cursor=asked.cursor or None,
        allow_partial=True,
        noted_from=call.origin,
    )


def _view(call: Call, asked: AuditRequest, found: AuditPage) -> AuditListView:
    may_see_all = call.actor.may(Permission.VIEW_ADMIN_AUDIT_EVENTS)
    rows = tuple(map(shown_row, found.rows))
    known = CATALOGUE if may_see_all else ()
    return AuditListView(
        rows=rows,
        filters=asked.filters,
        # Offered while typing: what is on the page, and what this service can record.
        events=_words({row.event for row in rows}, {event.name for event in known}),
        actions=_words({row.action for row in rows}, {event.action for event in known}),
        resource_types=_words({row.resource_type for row in rows}, {event.resource_type for event in known}),
        pager=_pager(call, asked, found),
        missing_sources=tuple(source.value for source in found.missing),
        admin_events_hidden=not may_see_all,
        invalid_filters=asked.complaint,
        as_of=asked.as_of,
        exported=export_parameters(asked) if call.actor.may(Permission.EXPORT_AUDIT) else None,
    )


def _words(*found: set[str] | set[str | None]) -> tuple[str, ...]:
    return tuple(sorted({word for words in found for word in words if word}))


def _pager(call: Call, asked: AuditRequest, found: AuditPage) -> Pager:
    as_of = str(int(asked.as_of.timestamp()))
    looks = looks_of(call, AUDIT)
    kept = {**asked.filters.chosen, "range": asked.filters.range, AS_OF: as_of, **looks}

    def link(cursor: str | None) -> str | None:
        return page_url(AUDIT_PATH, {**kept, "cursor": cursor}) if cursor else None

    return Pager(newer=link(found.page.prev_cursor), older=link(found.page.next_cursor))


def detail_view(found: AuditDetail, check: PredicateCheckView | None) -> AuditDetailView:
    """One event, its twin, its place, and the question that may be asked of it."""
    row, twin, place = found.row, found.twin, found.place
    return AuditDetailView(
        row=shown_row(row),
        chain=row.chain,
        chain_seq=row.chain_seq,
        hash=row.hash,
        prev_hash=row.prev_hash,
        scope=row.scope,
        request_id=row.request_id or None,
        pair_id=row.pair_id,
        twin=shown_row(twin) if twin else None,
        twin_chain=twin.chain if twin else None,
        twin_seq=twin.chain_seq if twin else None,
        twin_hash=twin.hash if twin else None,
        next_hash=place.next_hash if place else None,
        head_seq=place.head_seq if place else None,
        checkpoint=place.checkpoint if place else None,
        checkpoint_seq=place.checkpoint_seq if place else None,
        reason=row.reason or None,
        ticket_ref=row.ticket_ref or None,
        ip=row.ip or None,
        user_agent=row.user_agent or None,
        check=check,
    )
