"""The dashboard (P-01): who you are, how much there is, what happened last.

Does not decide what a role may see: whoever fills it leaves out what must not be shown.
"""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from admin_service.panel.views.audit import AuditRow
from admin_service.panel.views.chart import BarChart, bar_chart
from admin_service.panel.views.parts import Notice


@dataclass(frozen=True, slots=True)
class TenantCounts:
    """How many tenants there are (R-018); the parts are None when nobody counted them."""

    total: int
    active: int | None = None
    suspended: int | None = None
    pending_invitations: int | None = None


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many management actions one day (UTC) saw."""

    day: date
    count: int


@dataclass(frozen=True, slots=True)
class DashboardView:
    """P-01 (R-017, R-018, R-019).

    `tenants` is None when the count is not shown; then `tenants_absent` says why, in a sentence.
    `recent` and `activity` are None when this operator may not read the audit log.
    """

    template: ClassVar[str] = "dashboard.html"
    section: ClassVar[str] = "dashboard"

    operator_email: str
    operator_role: str
    tenants: TenantCounts | None
    tenants_absent: str = ""
    recent: tuple[AuditRow, ...] | None = None
    activity: tuple[DayCount, ...] | None = None
    may_list_tenants: bool = False
    may_create_tenant: bool = False
    may_view_audit: bool = False
    billing_available: bool = False
    partial: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return ("Dashboard",)

    @property
    def chart(self) -> BarChart | None:
        if not self.activity:
            return None
        return bar_chart(tuple((day.day, day.count) for day in self.activity))
