"""The forms about one tenant (P-12 and the changes of P-05…P-10): what happens, what is asked, why not.

A form here changes nothing; what follows from it stands beside it in numbers.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Link, Notice, Undo
from admin_service.panel.views.tenant_place import LIST_PATH, TenantHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One field of a form; its name is that of the API's member. `value` is what was typed."""

    name: str
    label: str
    kind: Literal["text", "email", "select", "hidden"] = "text"
    value: str = ""
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    is_required: bool = False
    most: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStepView:
    """One step about one tenant; where it does not apply, `not_offered` explains instead of asking.

    `is_danger` is for what a person cannot simply take back, `takes_away` for every other end of something.
    """

    template: ClassVar[str] = "tenant_step.html"
    section: ClassVar[str] = "tenants"

    head: TenantHead
    heading: str
    action: str
    back: Link
    form: FormState
    button: str
    controls: tuple[Control, ...] = ()
    facts: tuple[tuple[str, str | datetime], ...] = ()
    consequences: tuple[str, ...] = ()
    is_danger: bool = False
    takes_away: bool = False
    cancel: str = "Cancel"
    not_offered: Notice | None = None

    @property
    def begins_on_cancel(self) -> bool:
        """Whether a hasty Enter should do nothing: the focus begins on Cancel."""
        return self.is_danger or self.takes_away

    @property
    def title(self) -> tuple[str, ...]:
        words = f"{self.heading}: {self.head.name}"
        return (f"Error: {words}" if self.form.is_refused else words, "Tenants")

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        own = (("Tenants", LIST_PATH), (self.head.name, self.head.href))
        return own if self.back.href == self.head.href else (*own, (self.back.label, self.back.href))


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantInvitedView:
    """The one page that ever shows an invitation's link: the answer to the POST itself, never stored."""

    template: ClassVar[str] = "tenant_invited.html"
    section: ClassVar[str] = "tenants"

    head: TenantHead
    email: str
    role: str
    accept_url: str
    expires_at: datetime
    undo: Undo

    @property
    def title(self) -> tuple[str, ...]:
        return (f"{self.email} invited: {self.head.name}", "Tenants")

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        invitations = ("Invitations", f"{self.head.href}/invitations")
        return (("Tenants", LIST_PATH), (self.head.name, self.head.href), invitations)
