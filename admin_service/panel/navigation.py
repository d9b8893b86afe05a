"""The navigation as data: the pages that exist, who sees them, and which key leads there.

Hiding an item protects nothing: the server still answers 403 (panel.md, rule 4).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """One place; `permission` None means every operator."""

    section: str
    label: str
    href: str
    icon: str
    permission: str | None
    key: str


@dataclass(frozen=True, slots=True)
class VisibleItem:
    """An item for one operator, on one page."""

    item: NavigationItem
    current: bool


NAVIGATION: tuple[NavigationItem, ...] = (
    NavigationItem("dashboard", "Dashboard", "/manage", "dashboard", None, "d"),
    NavigationItem("tenants", "Tenants", "/manage/tenants", "tenants", "tenant.list", "t"),
    NavigationItem("billing", "Billing", "/manage/billing", "billing", "billing.view", "b"),
    NavigationItem(
        "users", "Find a person", "/manage/users", "search", "platform.view_audit_logs_global", "u"
    ),
    NavigationItem("audit", "Audit log", "/manage/audit", "audit", "platform.view_audit_logs_global", "a"),
    NavigationItem(
        "operators", "Operators", "/manage/operators", "operators", "platform.manage_global_admins", "o"
    ),
    NavigationItem("system", "System", "/manage/system", "mail", "platform.view_system_metrics", "y"),
)


def visible_items(permissions: frozenset[str], current: str) -> tuple[VisibleItem, ...]:
    """The items that these permissions open, in order; `current` is the section of the page."""
    return tuple(
        VisibleItem(item, current=item.section == current)
        for item in NAVIGATION
        if item.permission is None or item.permission in permissions
    )
