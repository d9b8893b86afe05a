"""The tenant pages: list (P-02), new (P-03), created (P-03 → P-04) and detail (P-04).

Does not validate, count or fetch; it names what the tenant service answered.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from admin_service.panel.views.audit import AuditRow
from admin_service.panel.views.list_tools import ListTools
from admin_service.panel.views.parts import (
    Author,
    Choice,
    FieldError,
    Link,
    Notice,
    Pager,
    choices,
    count_text,
    messages_by_field,
    page_url,
    path_segment,
)
from admin_service.panel.views.tenant_place import LIST_PATH, TenantHead, actions_for, tabs_for

TENANTS_PATH = LIST_PATH
STATUS_OPTIONS: tuple[tuple[str | None, str], ...] = (
    (None, "All"),
    ("active", "Active"),
    ("suspended", "Suspended"),
    ("deleted", "Deleted"),
)


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One line of the list, as `GET /api/admin/tenants` answers it (R-020)."""

    id: str
    slug: str
    name: str
    email: str
    plan: str
    status: str
    created_at: datetime
    owner_state: str
    credits_remaining: int | None = None

    @property
    def href(self) -> str:
        return f"{TENANTS_PATH}/{path_segment(self.id)}"


@dataclass(frozen=True, slots=True)
class TenantListView:
    """P-02. `total` counts what the filters match; None when it was not counted."""

    template: ClassVar[str] = "tenants_list.html"
    section: ClassVar[str] = "tenants"

    rows: tuple[TenantRow, ...]
    query: str = ""
    status: str | None = None
    plan: str | None = None
    created_from: str = ""
    created_to: str = ""
    low_balance: str = ""
    sort: str = ""
    plans: tuple[str, ...] = ()
    total: int | None = None
    pager: Pager = field(default_factory=Pager)
    may_create: bool = False
    notice: Notice | None = None
    tools: ListTools = field(default_factory=lambda: ListTools("tenants", TENANTS_PATH, {}))

    @property
    def title(self) -> tuple[str, ...]:
        return ("Tenants",)

    @property
    def sorted(self) -> str:
        """How the dates of creation stand, in the words of `aria-sort`."""
        return "ascending" if self.sort == "oldest" else "descending"

    @property
    def other_order(self) -> str:
        """The same list the other way round, from its beginning."""
        return page_url(
            TENANTS_PATH, {**self.parameters, "sort": None if self.sort == "oldest" else "oldest"}
        )

    @property
    def parameters(self) -> dict[str, str | None]:
        """Everything that the address says, except where the page begins."""
        return {**self.filters, "sort": self.sort, **self.tools.looks}

    @property
    def filters(self) -> dict[str, str | None]:
        """What narrows the list."""
        return {
            "q": self.query,
            "status": self.status,
            "plan": self.plan,
            "createdFrom": self.created_from,
            "createdTo": self.created_to,
            "lowBalance": self.low_balance,
        }

    @property
    def total_text(self) -> str:
        text = "" if self.total is None else count_text(self.total, "tenant")
        return text[:1].upper() + text[1:]

    @property
    def status_choices(self) -> tuple[Choice, ...]:
        return choices(TENANTS_PATH, self.parameters, "status", STATUS_OPTIONS)

    @property
    def balance_choices(self) -> tuple[Choice, ...]:
        options = ((None, "Any balance"), ("true", "Low balance"))
        return choices(TENANTS_PATH, self.parameters, "lowBalance", options)

    @property
    def plan_choices(self) -> tuple[Choice, ...]:
        known = tuple((plan, plan.capitalize()) for plan in self.plans)
        return choices(TENANTS_PATH, self.parameters, "plan", ((None, "Any plan"), *known))

    @property
    def filter_text(self) -> str:
        """The filters in the words of the URL, for "No tenants match …"."""
        return " ".join(f"{name}={value}" for name, value in self.filters.items() if value)

    @property
    def shows_credits(self) -> bool:
        return any(row.credits_remaining is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class TenantForm:
    """What the operator typed, kept exactly, also when it was wrong.

    The names of the controls are those of the API: slug, name, primaryAdminEmail, plan, currency.
    """

    name: str = ""
    slug: str = ""
    primary_admin_email: str = ""
    plan: str = "free"
    currency: str = "INR"


@dataclass(frozen=True, slots=True)
class TenantNewView:
    """P-03. `host_suffix` is ".app.example.com"; `idempotency_key` makes a double submit harmless."""

    template: ClassVar[str] = "tenant_new.html"
    section: ClassVar[str] = "tenants"

    form: TenantForm
    csrf_token: str
    idempotency_key: str
    host_suffix: str
    plans: tuple[str, ...] = ("free", "starter", "pro", "enterprise")
    currencies: tuple[str, ...] = ("INR", "USD")
    errors: tuple[FieldError, ...] = ()
    problem: Notice | None = None
    slug_suggestions: tuple[str, ...] = ()

    @property
    def title(self) -> tuple[str, ...]:
        return ("Error: New tenant" if self.errors or self.problem else "New tenant", "Tenants")

    @property
    def messages(self) -> dict[str, str]:
        return messages_by_field(self.errors)


@dataclass(frozen=True, slots=True)
class TenantCreatedView:
    """The one page that ever shows the invitation link: the answer to the POST itself, never stored."""

    template: ClassVar[str] = "tenant_created.html"
    section: ClassVar[str] = "tenants"

    org_id: str
    name: str
    slug: str
    hosted_at: str
    owner_email: str
    accept_url: str
    expires_at: datetime
    may_view: bool = True
    may_create: bool = True

    @property
    def title(self) -> tuple[str, ...]:
        return (f"{self.name} created", "Tenants")

    @property
    def href(self) -> str:
        return f"{TENANTS_PATH}/{path_segment(self.org_id)}"


@dataclass(frozen=True, slots=True)
class TenantOwner:
    """The person who accepted the owner invitation."""

    name: str
    email: str
    since: datetime
    last_sign_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingInvitation:
    """An open invitation by its public id; the secret half of its link is shown nowhere."""

    id: str
    email: str
    role: str
    sent_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ConnectedAccount:
    """One account of a channel that the tenant connected (R-021)."""

    provider: str
    display_name: str
    external_id: str
    status: str
    connected_at: datetime


@dataclass(frozen=True, slots=True)
class BillingSummary:
    """R-022: remaining, used, granted; counted in replies."""

    remaining: int
    used: int
    granted: int
    reserved: int = 0
    expires_next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TenantDetailView:
    """P-04. `billing` is None until the tenant has a billing account or while billing does not exist.

    `recent` is None when this operator may not read the audit log.
    """

    template: ClassVar[str] = "tenant_detail.html"
    section: ClassVar[str] = "tenants"

    id: str
    slug: str
    name: str
    email: str
    plan: str
    currency: str
    status: str
    hosted_at: str
    created_at: datetime
    created_by: Author | None = None
    status_since: datetime | None = None
    status_reason: str | None = None
    owner: TenantOwner | None = None
    invitations: tuple[PendingInvitation, ...] = ()
    member_count: int | None = None
    accounts: tuple[ConnectedAccount, ...] = ()
    account_count: int = 0
    flags: tuple[tuple[str, bool], ...] = ()
    purge_after: datetime | None = None
    purged_at: datetime | None = None
    permissions: frozenset[str] = frozenset()
    billing: BillingSummary | None = None
    recent: tuple[AuditRow, ...] | None = None
    notice: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return (self.name, "Tenants")

    @property
    def head(self) -> TenantHead:
        is_purged = self.purged_at is not None
        return TenantHead(self.id, self.name, self.status, self.hosted_at, is_purged=is_purged)

    @property
    def tabs(self) -> tuple[Choice, ...]:
        return tabs_for(self.head, self.permissions, "")

    @property
    def actions(self) -> tuple[Link, ...]:
        return actions_for(self.head, self.permissions)

    @property
    def audit_href(self) -> str:
        return page_url("/manage/audit", {"organizationId": self.id, "range": "all"})
