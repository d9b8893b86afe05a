"""P-15, finding a person: the form, what is left of the budget, and one page of people.

Nothing here searches; a page of people exists only as the answer to a form that was sent.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from admin_service.panel.views.audit import AUDIT_PATH
from admin_service.panel.views.parts import FieldError, Notice, messages_by_field, path_segment
from admin_service.panel.views.tenants import TENANTS_PATH

USERS_PATH: Final = "/manage/users"
HOWS: Final = (
    ("email:exact", "Email is exactly"),
    ("email:prefix", "Email begins with"),
    ("email:contains", "Email contains"),
    ("q:prefix", "Email or name begins with"),
    ("q:contains", "Email or name contains"),
)
"""What is looked through and how, as one choice; the value is `field:match` of the API."""


@dataclass(frozen=True, slots=True)
class PersonForm:
    """What the operator typed, kept exactly."""

    text: str = ""
    how: str = HOWS[0][0]
    justification: str = ""
    ticket_ref: str = ""


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """How many searches are left, and when the next one comes back."""

    limit: int
    remaining: int
    resets_at: datetime
    tenants_told: bool = True


@dataclass(frozen=True, slots=True)
class PersonTenant:
    """One tenant of a person; `org_id` is empty where the operator may not view tenants."""

    slug: str
    role: str
    status: str
    org_id: str = ""

    @property
    def href(self) -> str:
        return f"{TENANTS_PATH}/{path_segment(self.org_id)}" if self.org_id else ""


@dataclass(frozen=True, slots=True)
class PersonRow:
    name: str
    email: str
    email_verified: bool
    tenants: tuple[PersonTenant, ...]


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """What one search gave. `event_linked` says whether this operator may read the row about it."""

    rows: tuple[PersonRow, ...]
    event_id: str
    event_linked: bool
    next_cursor: str = ""

    @property
    def event_href(self) -> str:
        return f"{AUDIT_PATH}/{path_segment(self.event_id)}" if self.event_linked else ""


@dataclass(frozen=True, slots=True)
class UsersView:
    """The page before a search (`found` is None), after one, and after a refused one."""

    template: ClassVar[str] = "users_search.html"
    section: ClassVar[str] = "users"

    csrf_token: str = field(repr=False)
    form: PersonForm = PersonForm()
    budget: BudgetLine | None = None
    found: PeoplePage | None = None
    errors: tuple[FieldError, ...] = ()
    problem: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return ("Error: Find a person" if self.errors or self.problem else "Find a person",)

    @property
    def messages(self) -> dict[str, str]:
        return messages_by_field(self.errors)

    @property
    def hows(self) -> tuple[tuple[str, str], ...]:
        return HOWS

    @property
    def tenants_told(self) -> bool:
        """Whether tenants read of searches; while nobody knows, the page says the stricter thing."""
        return self.budget is None or self.budget.tenants_told
