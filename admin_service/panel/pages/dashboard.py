"""The dashboard (P-01, R-017…R-019): it stands also when the tenant service does not."""

from typing import Final

from aiohttp import web

from admin_service.audit.models import Activity, AuditPage
from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page, reader_of
from admin_service.panel.pages.audit_rows import shown_row
from admin_service.panel.pages.packs import shown_totals
from admin_service.panel.pages.trouble import TENANTS_AWAY
from admin_service.panel.pulse import Pulse, take_pulse, tiles_of
from admin_service.panel.views.billing_packs import CreditTotals
from admin_service.panel.views.dashboard import DashboardView, DayCount
from service_kit.audit.queries import AuditFilter
from service_kit.errors import UnavailableError
from service_kit.identity.model import Permission
from service_kit.web.api import Call

RECENT_ROWS: Final = 10
ACTIVITY_DAYS: Final = 30


async def show_dashboard(services: PanelServices, call: Call) -> web.Response:
    """Email and role, the tenant count, what happened last; each role sees what it may."""
    (frame, (pulse, credits_)), (recent, activity) = await both(
        both(operator_frame(services, call), both(take_pulse(services, call), _credits(services, call))),
        both(_recent(services, call), _activity(services, call)),
    )
    may = call.actor.may
    missing = bool((recent and recent.missing) or (activity and activity.missing))
    may_list = may(Permission.TENANT_LIST)
    view = DashboardView(
        operator_email=call.actor.email,
        operator_role=call.actor.role.value if call.actor.role else "",
        tiles=tiles_of(pulse),
        tiles_absent=_absent(pulse, may_list=may_list),
        recent=tuple(map(shown_row, recent.rows)) if recent else None,
        activity=_days(activity),
        credits=credits_,
        may_list_tenants=may_list,
        may_create_tenant=may(Permission.TENANT_CREATE),
        may_view_audit=may(Permission.VIEW_AUDIT_LOGS_GLOBAL),
        billing_available=may(Permission.BILLING_VIEW),
        partial=TENANTS_AWAY if missing or pulse.missing else None,
    )
    return page(services, frame, view)


async def _credits(services: PanelServices, call: Call) -> CreditTotals | None:
    if not call.actor.may(Permission.BILLING_VIEW):
        return None
    try:
        return shown_totals(await services.billing.summary(behalf_of(call)))
    except UnavailableError:
        return None


async def _recent(services: PanelServices, call: Call) -> AuditPage | None:
    if not call.actor.may(Permission.VIEW_AUDIT_LOGS_GLOBAL):
        return None
    return await services.audit.page(reader_of(call), AuditFilter(), limit=RECENT_ROWS, allow_partial=True)


async def _activity(services: PanelServices, call: Call) -> Activity | None:
    if not call.actor.may(Permission.VIEW_AUDIT_LOGS_GLOBAL):
        return None
    return await services.audit.activity(reader_of(call), days=ACTIVITY_DAYS)


def _days(activity: Activity | None) -> tuple[DayCount, ...]:
    """Nothing to draw while nothing was ever done."""
    if activity is None or not any(day.count for day in activity.days):
        return ()
    return tuple(DayCount(day.day, day.count) for day in activity.days)


def _absent(pulse: Pulse, *, may_list: bool) -> str:
    if not may_list:
        return "Your role does not view tenants."
    return "The tenant count is not available." if pulse.counts is None else ""
