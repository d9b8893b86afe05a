"""The credit packs (P-13, P-14): the list, the form with prices as people write them, the confirm pages.

It holds no rule of billing; what a pack costs per reply is told here, and charged nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Final

from admin_service.panel.views.chart import (
    AreaChart,
    BarChart,
    Series,
    Spark,
    area_chart,
    bar_chart,
    spark,
)
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Notice, path_segment
from service_kit import money

BILLING_PATH: Final = "/manage/billing"
PACKS_PATH: Final = f"{BILLING_PATH}/packs"
CURRENCIES: Final = ("INR", "USD")


@dataclass(frozen=True, slots=True)
class PackRow:
    """One pack; prices are minor units by currency."""

    id: str
    name: str
    replies: int
    prices: Mapping[str, int]
    active: bool
    sort_order: int
    version: int = 1

    @property
    def href(self) -> str:
        return f"{PACKS_PATH}/{path_segment(self.id)}"

    @property
    def status(self) -> str:
        return "active" if self.active else "none"

    @property
    def status_label(self) -> str:
        return "On offer" if self.active else "Not on offer"

    def price(self, currency: str) -> str:
        """`₹2,99,900.00`; a currency without a price is told as such."""
        amount = self.prices.get(currency)
        return "no price" if amount is None else money.shown(amount, currency)

    def per_reply(self, currency: str) -> str:
        return price_per_reply(self.prices.get(currency, 0), self.replies, currency)


def price_per_reply(amount_minor: int, replies: int, currency: str) -> str:
    """`₹0.4980`, to a hundredth of a minor unit, half of one rounded up."""
    hundredths = (amount_minor * 100 * 2 + replies) // (2 * max(replies, 1))
    minor, rest = divmod(hundredths, 100)
    return f"{money.shown(minor, currency)}{rest:02d}"


@dataclass(frozen=True, slots=True)
class CreditDay:
    """What one UTC day did to the credits of all tenants."""

    day: date
    granted: int
    used: int
    expired: int
    voided: int


@dataclass(frozen=True, slots=True)
class LowTenant:
    id: str
    name: str
    remaining: int

    @property
    def href(self) -> str:
        return f"/manage/tenants/{path_segment(self.id)}/billing"


@dataclass(frozen=True, slots=True)
class CreditTotals:
    """The last thirty days of all tenants, and what they may still use."""

    liability: int
    reserved: int
    days: tuple[CreditDay, ...] = ()
    low: tuple[LowTenant, ...] = ()

    @property
    def granted(self) -> int:
        return sum(day.granted for day in self.days)

    @property
    def used(self) -> int:
        return sum(day.used for day in self.days)

    @property
    def granted_and_used(self) -> BarChart:
        """What came in and what went out, day by day."""
        granted = Series("Granted", tuple(day.granted for day in self.days))
        used = Series("Used", tuple(day.used for day in self.days))
        return bar_chart(tuple(day.day for day in self.days), granted, used)

    @property
    def went(self) -> AreaChart:
        """Where replies went, day by day."""
        ways = (
            Series("Used", tuple(day.used for day in self.days)),
            Series("Expired", tuple(day.expired for day in self.days)),
            Series("Voided", tuple(day.voided for day in self.days)),
        )
        return area_chart(tuple(day.day for day in self.days), *ways)

    @property
    def used_spark(self) -> Spark | None:
        return spark(tuple(day.used for day in self.days))

    @property
    def granted_spark(self) -> Spark | None:
        return spark(tuple(day.granted for day in self.days))


@dataclass(frozen=True, slots=True)
class PackListView:
    """P-13 (R-024). `packs` and `totals` are None when the tenant service did not tell them.

    `form` moves packs up and down; None for who may not.
    """

    template: ClassVar[str] = "packs_list.html"
    section: ClassVar[str] = "billing"

    packs: tuple[PackRow, ...] | None
    totals: CreditTotals | None = None
    form: FormState | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def title(self) -> tuple[str, ...]:
        return ("Billing",)

    @property
    def order(self) -> str:
        """The order that this page shows; a move of a list that changed meanwhile is refused."""
        return " ".join(pack.id for pack in self.packs or ())

    @property
    def on_offer(self) -> int:
        return sum(1 for pack in self.packs or () if pack.active)


@dataclass(frozen=True, slots=True)
class TypedPack:
    """What was typed, kept exactly, also when it was wrong."""

    name: str = ""
    replies: str = ""
    price_inr: str = ""
    price_usd: str = ""
    sort_order: str = ""
    active: str = "yes"

    @classmethod
    def of(cls, pack: PackRow) -> "TypedPack":
        return cls(
            name=pack.name,
            replies=str(pack.replies),
            price_inr=money.plain(pack.prices.get("INR", 0)),
            price_usd=money.plain(pack.prices.get("USD", 0)),
            sort_order=str(pack.sort_order),
            active="yes" if pack.active else "no",
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of which two versions are there: the stored one, and the one that was sent."""

    label: str
    stored: str
    sent: str

    @property
    def differs(self) -> bool:
        return self.stored != self.sent


@dataclass(frozen=True, slots=True)
class PackFormView:
    """P-14: a new pack, or the pack as it is. `conflict` holds both versions when somebody was faster."""

    template: ClassVar[str] = "pack_form.html"
    section: ClassVar[str] = "billing"

    typed: TypedPack
    form: FormState
    pack: PackRow | None = None
    conflict: tuple[Difference, ...] = ()
    version: int | None = None
    """The version that is sent, where it is not the pack's as it is."""

    @property
    def heading(self) -> str:
        return f"Edit {self.pack.name}" if self.pack else "New pack"

    @property
    def title(self) -> tuple[str, ...]:
        return (f"Error: {self.heading}" if self.form.is_refused else self.heading, "Billing")

    @property
    def action(self) -> str:
        return f"{self.pack.href}/edit" if self.pack else f"{PACKS_PATH}/new"


@dataclass(frozen=True, slots=True)
class PackStepView:
    """Activate, deactivate or delete: what it does, and the button; delete wants the name typed."""

    template: ClassVar[str] = "pack_step.html"
    section: ClassVar[str] = "billing"

    heading: str
    button: str
    pack: PackRow
    form: FormState
    consequences: tuple[str, ...]
    is_deletion: bool = False
    not_offered: Notice | None = None
    confirm: str = field(default="")
    step: str = "delete"
    """Where the form is sent; it does not follow from the pack, which may be changed already."""

    @property
    def title(self) -> tuple[str, ...]:
        words = f"{self.heading}: {self.pack.name}"
        return (f"Error: {words}" if self.form.is_refused else words, "Billing")
