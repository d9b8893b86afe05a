"""Who sees which part of the navigation."""

import pytest

from admin_service.panel.navigation import NAVIGATION, visible_items
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role

SEEN_BY_ROLE = {
    Role.SUPER_ADMIN: ["dashboard", "tenants", "billing", "users", "audit", "operators", "system"],
    Role.SUPPORT: ["dashboard", "tenants", "billing", "users", "audit"],
    Role.READ_ONLY: ["dashboard", "tenants", "billing", "users", "audit"],
    Role.SECURITY: ["dashboard", "users", "audit"],
}


@pytest.mark.parametrize("role", Role)
def test_a_role_sees_what_it_may_open(role: Role) -> None:
    """R-072…R-075: the navigation hides what the role cannot do (panel.md, rule 4)."""
    seen = visible_items(frozenset(OPERATOR_PERMISSIONS[role]), "dashboard")

    assert [entry.item.section for entry in seen] == SEEN_BY_ROLE[role]


def test_without_permissions_only_the_dashboard_remains() -> None:
    """No permission opens nothing but the page that every operator has."""
    assert [entry.item.href for entry in visible_items(frozenset(), "")] == ["/manage"]


def test_exactly_the_current_section_is_current() -> None:
    """One item is current; a page without a section marks none."""
    every = frozenset(Permission)

    assert [e.item.section for e in visible_items(every, "audit") if e.current] == ["audit"]
    assert not any(entry.current for entry in visible_items(every, ""))


def test_items_ask_for_permissions_that_exist() -> None:
    """A mistyped permission would hide a page from everybody."""
    asked = {item.permission for item in NAVIGATION if item.permission}

    assert asked <= {str(permission) for permission in Permission}


def test_every_key_leads_to_one_place() -> None:
    """`g d/t/b/a/o`: no two items share a key (rule 8)."""
    assert [item.key for item in NAVIGATION] == ["d", "t", "b", "u", "a", "o", "y"]
