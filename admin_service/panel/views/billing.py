"""A tenant's credits (P-08): the balance, the grants in burn order, and the ledger with its running balance.

Does not count and does not fetch; every number is the tenant service's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Final

from admin_service.panel.views.parts import Author, Choice, Notice, Pager, choices, path_segment

TENANTS_PATH: Final = "/manage/tenants"
SHORT: Final = timedelta(days=7)
"""Less than this is little time for a grant."""
GRANT_PATH: Final = "/manage/billing/grant"
KIND_LABELS: Final[Mapping[str, str]] = {
    "grant": "Granted",
    "consume": "Used",
    "reserve": "Reserved",
    "commit": "Reservation used",
    "release": "Reservation given back",
    "restore": "Restored",
    "expire": "Expired",
    "void": "Voided",
    "adjust": "Corrected",
}
KIND_OPTIONS: Final[tuple[tuple[str | None, str], ...]] = (
    (None, "Everything"),
    ("grant", "Granted"),
    ("consume", "Used"),
    ("restore", "Restored"),
    ("expire", "Expired"),
    ("void", "Voided"),
)
_STATE_LOOKS: Final[Mapping[str, str]] = {"active": "active", "used": "none", "expired": "expired"}


def billing_path(tenant_id: str) -> str:
    return f"{TENANTS_PATH}/{path_segment(tenant_id)}/billing"


@dataclass(frozen=True, slots=True)
class TenantLine:
    """The tenant whose credits these are."""

    id: str
    name: str
    status: str

    @property
    def href(self) -> str:
        return f"{TENANTS_PATH}/{path_segment(self.id)}"

    @property
    def billing_href(self) -> str:
        return billing_path(self.id)

    @property
    def grant_href(self) -> str:
        return f"{GRANT_PATH}/{path_segment(self.id)}"

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        return (("Tenants", TENANTS_PATH), (self.name, self.href))


@dataclass(frozen=True, slots=True)
class BalanceTiles:
    """R-022, in replies. `lapsed` has ended and is still counted, until the next run of the job."""

    remaining: int = 0
    used: int = 0
    granted: int = 0
    reserved: int = 0
    expired: int = 0
    voided: int = 0
    lapsed: int = 0
    low_below: int = 0

    @property
    def is_low(self) -> bool:
        return self.granted > 0 and self.remaining < self.low_below


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How much of a grant's time is left, for a bar, and in days for who reads."""

    percent: float
    days: int
    is_short: bool

    @classmethod
    def of(cls, since: datetime, until: datetime | None, now: datetime) -> "TimeLeft | None":
        """None for what does not end, or has ended."""
        if until is None or until <= now:
            return None
        whole = max((until - since).total_seconds(), 1.0)
        left = until - now
        share = min(left.total_seconds() / whole, 1.0)
        return cls(round(100 * share, 2), left.days, is_short=left < SHORT)


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One grant; `state` is active, used, expired or voided."""

    id: str
    tenant_id: str
    replies: int
    remaining: int
    state: str
    category: str
    reason: str
    granted_by: Author
    created_at: datetime
    expires_at: datetime | None = None
    ticket_ref: str = ""
    void_reason: str | None = None
    left: TimeLeft | None = None

    @property
    def href(self) -> str:
        return f"{billing_path(self.tenant_id)}/grants/{path_segment(self.id)}"

    @property
    def look(self) -> str:
        return _STATE_LOOKS.get(self.state, "deactivated")

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def may_still_end(self) -> bool:
        """A used-up grant may hold a reservation that comes back: it can be voided and end, too."""
        return self.state in {"active", "used"}


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One transaction, and which grants it touched."""

    id: str
    kind: str
    amount: int
    balance_after: int | None
    actor: Author
    note: str
    created_at: datetime
    grants: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return KIND_LABELS.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class TenantBillingView:
    """P-08. `may_grant` and `may_change_expiry` hide what the role cannot do; the server refuses anyway.

    `grants_cut` says that the tenant has more grants than these.
    """

    template: ClassVar[str] = "billing_tenant.html"
    section: ClassVar[str] = "tenants"

    tenant: TenantLine
    balance: BalanceTiles
    grants: tuple[GrantRow, ...]
    ledger: tuple[LedgerLine, ...]
    kind: str = ""
    csv_href: str = ""
    grants_csv_href: str = ""
    pager: Pager = field(default_factory=Pager)
    may_grant: bool = False
    may_change_expiry: bool = False
    notices: tuple[Notice, ...] = ()
    tabs: tuple[Choice, ...] = ()
    grants_cut: bool = False

    @property
    def title(self) -> tuple[str, ...]:
        return (f"Billing: {self.tenant.name}", "Tenants")

    @property
    def cut_notice(self) -> Notice | None:
        if not self.grants_cut:
            return None
        return Notice(
            "info",
            f"Only the first {len(self.grants)} grants are shown",
            "Those with something left come first; each of the others has its entry in the ledger.",
        )

    @property
    def kind_choices(self) -> tuple[Choice, ...]:
        return choices(self.tenant.billing_href, {"kind": self.kind}, "kind", KIND_OPTIONS)
