"""The audit log of one tenant as the tenant itself reads it (P-11); each row leads to its global twin.

Whoever may read the log but no tenants sees the rows without the tenant's name.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page
from admin_service.panel.pages.tenant_asking import (
    AuditPage,
    api_path,
    cursor_of,
    head_of,
    pager_of,
    permissions_of,
    tenant_of,
)
from admin_service.panel.views.audit import EXPORT_PATH
from admin_service.panel.views.parts import Notice, page_url, path_segment
from admin_service.panel.views.tenant_place import TenantAuditLine, TenantAuditView, TenantHead
from admin_service.tenant_answers import AuditRow
from service_kit.errors import BadRequestError
from service_kit.identity.model import Permission
from service_kit.ids import is_id
from service_kit.web.api import Call

_LONGEST: Final = timedelta(days=365)
_FILTERS: Final = ("event", "actorEmail", "from", "to")
_OPERATOR: Final = "global_admin"


async def show_audit(services: PanelServices, call: Call) -> web.Response:
    """Newest first; a filter that cannot be read is named. Raises NotFoundError, UnavailableError."""
    frame, (head, (found, notice)) = await both(
        operator_frame(services, call), both(_head(services, call), _rows(services, call))
    )
    filters = {} if notice else _filters(call)
    view = TenantAuditView(
        head=head,
        permissions=permissions_of(call.actor),
        notice=notice,
        rows=tuple(map(_line, found.data)),
        pager=pager_of(f"{head.href}/audit", found.page, filters),
        filters=filters,
        csv_href=_csv_href(services, call, head, filters),
    )
    return page(services, frame, view)


def _csv_href(services: PanelServices, call: Call, head: TenantHead, filters: Mapping[str, str]) -> str:
    """The audit log's own export, of these rows: recorded, signed, and only for whoever may export.

    It reaches back one year; a tenant that is known by its slug alone has none.
    """
    if not call.actor.may(Permission.EXPORT_AUDIT) or not is_id(head.id, "org"):
        return ""
    until = services.clock.now()
    times = {"from": (until - _LONGEST).isoformat(), **filters}
    chosen = {"scope": "tenant", "organizationId": head.id, "format": "csv", **times}
    return page_url(EXPORT_PATH, chosen)


async def _head(services: PanelServices, call: Call) -> TenantHead:
    if call.actor.may(Permission.TENANT_VIEW):
        return head_of(await tenant_of(services, call))
    return TenantHead(call.path("id"), call.path("id"))


async def _rows(services: PanelServices, call: Call) -> tuple[AuditPage, Notice | None]:
    path, behalf = api_path(call.path("id"), "audit-logs"), behalf_of(call)
    asked = {**_filters(call), **cursor_of(call)}
    try:
        return await services.tenants.at(AuditPage, path, behalf, query=asked), None
    except BadRequestError as error:
        notice = Notice("warning", "These filters were not applied", error.message)
        return await services.tenants.at(AuditPage, path, behalf), notice


def _filters(call: Call) -> dict[str, str]:
    given = ((name, call.request.query.get(name, "").strip()) for name in _FILTERS)
    return {name: value for name, value in given if value}


def _line(row: AuditRow) -> TenantAuditLine:
    """What the tenant reads: of an operator the name and the reason, never the address (R-127)."""
    by_operator = row.actor_type == _OPERATOR
    person = row.actor_name if by_operator else row.actor_email or row.actor_name
    return TenantAuditLine(
        occurred_at=row.occurred_at,
        event=row.event,
        outcome=row.outcome,
        severity=row.severity,
        actor=person or ("system" if row.actor_type == "system" else "erased person"),
        via_operator=by_operator,
        why=row.reason if by_operator else "",
        href=f"/manage/audit/{path_segment(row.id)}",
    )
