"""The dashboard (P-01): who you are, how much there is, what wants looking at, what happened last.

Does not decide what a role may see: whoever fills it leaves out what must not be shown.
"""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from admin_service.panel.views.audit import AuditRow
from admin_service.panel.views.billing_packs import CreditTotals
from admin_service.panel.views.chart import BarChart, Series, bar_chart
from admin_service.panel.views.parts import Notice, Tone

LIVE_PATH: Final = "/manage/live"


@dataclass(frozen=True, slots=True)
class Tile:
    """One number. `id` names its element: the live stream says which text it holds now.

    `tone` and `note` say when it wants looking at; both, because colour alone says nothing to many.
    """

    id: str
    label: str
    value: str
    href: str = ""
    note: str = ""
    tone: Tone = "neutral"
    is_watched: bool = True


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many management actions one day (UTC) saw."""

    day: date
    count: int


@dataclass(frozen=True, slots=True)
class DashboardView:
    """P-01 (R-017, R-018, R-019).

    `tiles` are those that this operator may see and somebody could count; `tiles_absent` says in a sentence
    why the tenants are not among them. `recent` and `activity` are None when this operator may not read the
    audit log, `credits` when they may not see billing or nobody told it.
    """

    template: ClassVar[str] = "dashboard.html"
    section: ClassVar[str] = "dashboard"

    operator_email: str
    operator_role: str
    tiles: tuple[Tile, ...] = ()
    tiles_absent: str = ""
    recent: tuple[AuditRow, ...] | None = None
    activity: tuple[DayCount, ...] | None = None
    credits: CreditTotals | None = None
    may_list_tenants: bool = False
    may_create_tenant: bool = False
    may_view_audit: bool = False
    billing_available: bool = False
    partial: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return ("Dashboard",)

    @property
    def size_tiles(self) -> tuple[Tile, ...]:
        """How much there is."""
        return tuple(tile for tile in self.tiles if not tile.is_watched)

    @property
    def watch_tiles(self) -> tuple[Tile, ...]:
        """What should be zero, or whole."""
        return tuple(tile for tile in self.tiles if tile.is_watched)

    @property
    def live_href(self) -> str:
        return LIVE_PATH

    @property
    def chart(self) -> BarChart | None:
        if not self.activity:
            return None
        counted = Series("Actions", tuple(day.count for day in self.activity))
        return bar_chart(tuple(day.day for day in self.activity), counted)

    @property
    def credit_chart(self) -> BarChart | None:
        return self.credits.granted_and_used if self.credits else None
