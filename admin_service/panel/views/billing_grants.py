"""The forms about a tenant's grants: a new one with its preview (P-09), a void, and another expiry.

What is shown before a grant is what the tenant service answered; it may have changed by the time of sending.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from admin_service.panel.views.billing import BalanceTiles, GrantRow, TenantLine
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Notice


@dataclass(frozen=True, slots=True)
class TypedGrant:
    """What was typed, kept exactly."""

    replies: str = ""
    expires_on: str = ""
    reason: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much whoever looks may grant: at once, and what is left of this day."""

    at_once: int
    left_today: int
    a_day: int


@dataclass(frozen=True, slots=True)
class GrantPreview:
    """What sending the form would do; `seen` is what the form sends back to say that it was shown."""

    replies: int
    before: int
    expires_at: datetime | None
    seen: str

    @property
    def after(self) -> int:
        return self.before + self.replies


@dataclass(frozen=True, slots=True)
class GrantView:
    """P-09 (R-029): first the values, then the same form with what they do."""

    template: ClassVar[str] = "grant_new.html"
    section: ClassVar[str] = "billing"

    tenant: TenantLine
    balance: BalanceTiles
    form: FormState
    typed: TypedGrant = field(default_factory=TypedGrant)
    limits: Limits | None = None
    preview: GrantPreview | None = None
    not_offered: Notice | None = None

    @property
    def reason(self) -> str:
        return self.typed.reason

    @property
    def title(self) -> tuple[str, ...]:
        words = f"Grant replies to {self.tenant.name}"
        return (f"Error: {words}" if self.form.is_refused else words, "Billing")


@dataclass(frozen=True, slots=True)
class GrantStepView:
    """Void a grant, or let it end at another time."""

    template: ClassVar[str] = "grant_step.html"
    section: ClassVar[str] = "tenants"

    heading: str
    action: str
    tenant: TenantLine
    balance: BalanceTiles
    grant: GrantRow
    form: FormState
    is_void: bool
    reason: str = ""
    expires_on: str = ""
    not_offered: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        words = f"{self.heading}: {self.tenant.name}"
        return (f"Error: {words}" if self.form.is_refused else words, "Tenants")
