"""What the pages of one tenant have in common: its head, its tabs, and what may be done to it.

Hiding an action protects nothing: the tenant service refuses what must not be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from admin_service.panel.views.parts import Author, Choice, Link, Notice, Pager, path_segment

LIST_PATH: Final = "/manage/tenants"

_TABS: Final = (
    ("", "Overview", "tenant.view"),
    ("/members", "Members", "tenant.view"),
    ("/invitations", "Invitations", "tenant.view"),
    ("/accounts", "Accounts", "tenant.view"),
    ("/flags", "Flags", "tenant.view"),
    ("/billing", "Billing", "billing.view"),
    ("/audit", "Audit", "platform.view_audit_logs_global"),
)
# (path, label, permission, in which states)
_ACTIONS: Final = (
    ("/edit", "Edit", "tenant.update", ("active", "suspended")),
    ("/invitations/new", "Invite admin", "tenant.invite_admin", ("active",)),
    ("/suspend", "Suspend", "tenant.suspend", ("active",)),
    ("/restore", "Restore", "tenant.suspend", ("suspended",)),
    ("/delete", "Delete", "tenant.delete", ("active", "suspended")),
    ("/undelete", "Undelete", "tenant.delete", ("deleted",)),
)


@dataclass(frozen=True, slots=True)
class TenantHead:
    """Which tenant it is; `status` is empty where nobody may know more than its id."""

    id: str
    name: str
    status: str = ""
    hosted_at: str = ""
    is_purged: bool = False

    @property
    def href(self) -> str:
        """By the id: a deleted tenant is not found by its slug."""
        return f"{LIST_PATH}/{path_segment(self.id)}"


def actions_for(head: TenantHead, permissions: frozenset[str]) -> tuple[Link, ...]:
    """What these permissions may do to a tenant in this state."""
    return tuple(
        Link(label, head.href + path)
        for path, label, permission, states in _ACTIONS
        if permission in permissions and head.status in states and not head.is_purged
    )


def tabs_for(head: TenantHead, permissions: frozenset[str], chosen: str) -> tuple[Choice, ...]:
    """The pages of the tenant that these permissions open."""
    return tuple(
        Choice(label, head.href + path, selected=path == chosen)
        for path, label, permission in _TABS
        if permission in permissions
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPlaceView:
    """One page of one tenant; `tab` is the end of its own address."""

    template: ClassVar[str] = ""
    section: ClassVar[str] = "tenants"
    tab: ClassVar[str] = ""
    tab_title: ClassVar[str] = ""

    head: TenantHead
    permissions: frozenset[str] = frozenset()
    notice: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return (f"{self.tab_title}: {self.head.name}", "Tenants")

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        """To whom the tenant is closed, its overview and the list are, too."""
        if "tenant.view" not in self.permissions:
            return ()
        own = ((self.head.name, self.head.href),) if self.tab else ()
        return (("Tenants", LIST_PATH), *own)

    @property
    def tabs(self) -> tuple[Choice, ...]:
        return tabs_for(self.head, self.permissions, self.tab)

    @property
    def is_open(self) -> bool:
        """Whether anything about it can be changed."""
        return self.head.status in {"active", "suspended"}

    def may(self, permission: str) -> bool:
        """Whether a change that needs this is offered here."""
        return self.is_open and permission in self.permissions


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One member; `sessions_href` is where their sessions are ended."""

    user_id: str
    name: str
    email: str
    role: str
    since: datetime
    last_sign_in_at: datetime | None
    sessions_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantMembersView(TenantPlaceView):
    """P-05."""

    template: ClassVar[str] = "tenant_members.html"
    tab: ClassVar[str] = "/members"
    tab_title: ClassVar[str] = "Members"

    rows: tuple[MemberLine, ...]
    pager: Pager
    open_sessions: int

    @property
    def may_revoke(self) -> bool:
        return self.may("tenant.suspend")


@dataclass(frozen=True, slots=True)
class InvitationLine:
    """One invitation by its public id. `look` is its state as of now: a pending one may be over."""

    id: str
    email: str
    role: str
    look: str
    invited_by: str
    created_at: datetime
    expires_at: datetime
    last_sent_at: datetime | None
    accepted_at: datetime | None
    href: str
    can_change: bool
    half_accepted_by: str = ""
    """The account that an acceptance left without a place (R-112)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantInvitationsView(TenantPlaceView):
    """P-06."""

    template: ClassVar[str] = "tenant_invitations.html"
    tab: ClassVar[str] = "/invitations"
    tab_title: ClassVar[str] = "Invitations"

    rows: tuple[InvitationLine, ...]
    pager: Pager

    @property
    def may_invite(self) -> bool:
        return self.head.status == "active" and "tenant.invite_admin" in self.permissions

    @property
    def may_cancel(self) -> bool:
        return self.may("tenant.invite_admin")


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One connected account, and where it is removed."""

    provider: str
    display_name: str
    external_id: str
    status: str
    connected_at: datetime
    remove_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantAccountsView(TenantPlaceView):
    """P-07."""

    template: ClassVar[str] = "tenant_accounts.html"
    tab: ClassVar[str] = "/accounts"
    tab_title: ClassVar[str] = "Accounts"

    rows: tuple[AccountLine, ...]
    pager: Pager

    @property
    def may_remove(self) -> bool:
        return self.may("tenant.update")


@dataclass(frozen=True, slots=True)
class FlagLine:
    """One flag that the settings know; `updated_at` is None while nobody has set it."""

    key: str
    enabled: bool
    note: str
    updated_by: Author | None
    updated_at: datetime | None
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFlagsView(TenantPlaceView):
    """P-10."""

    template: ClassVar[str] = "tenant_flags.html"
    tab: ClassVar[str] = "/flags"
    tab_title: ClassVar[str] = "Flags"

    rows: tuple[FlagLine, ...]

    @property
    def may_switch(self) -> bool:
        return self.may("tenant.feature_flags")


@dataclass(frozen=True, slots=True)
class TenantAuditLine:
    """One row as the tenant reads it; `href` leads to the row with its global twin."""

    occurred_at: datetime
    event: str
    outcome: str
    severity: str
    actor: str
    via_operator: bool
    why: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantAuditView(TenantPlaceView):
    """P-11. `filters` are those of the URL. It stands under the audit log, which all its readers see."""

    template: ClassVar[str] = "tenant_audit.html"
    section: ClassVar[str] = "audit"
    tab: ClassVar[str] = "/audit"
    tab_title: ClassVar[str] = "Audit"

    rows: tuple[TenantAuditLine, ...]
    pager: Pager
    filters: Mapping[str, str]
    csv_href: str = ""

    @property
    def action(self) -> str:
        return f"{self.head.href}/audit"
