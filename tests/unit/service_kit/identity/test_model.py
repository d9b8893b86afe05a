"""The permission matrix as a snapshot, and what an identity may do."""

import pytest

from service_kit.identity.model import (
    OPERATOR_PERMISSIONS,
    InternalIdentity,
    Permission,
    Role,
    Scope,
    roles_with,
)

MATRIX = """
tenant.create                        super_admin support
tenant.invite_admin                  super_admin support
tenant.suspend                       super_admin support
tenant.list                          super_admin support read_only
tenant.view                          super_admin support read_only
tenant.update                        super_admin support
tenant.feature_flags                 super_admin support
tenant.delete                        super_admin
billing.view                         super_admin support read_only
billing.grant                        super_admin support
billing.manage_packs                 super_admin
platform.view_audit_logs_global      super_admin support read_only security
platform.view_admin_audit_events     super_admin security
platform.export_audit                super_admin security
platform.manage_global_admins        super_admin
platform.view_system_metrics         super_admin
"""


def identity(
    role: Role | None, operator_id: str | None = None, scope: Scope | None = None
) -> InternalIdentity:
    return InternalIdentity("s", "e@example.com", "", "a", "j" * 16, 0, operator_id, role, scope=scope)


def test_the_matrix_is_what_the_seed_says() -> None:
    """R-071…R-075, R-081: any change of who may do what is a change of this table."""
    rows = [f"{permission.value:<36} {' '.join(roles_with(permission))}" for permission in Permission]

    assert "\n".join(rows) == MATRIX.strip()


def test_every_role_has_a_row_that_nobody_can_change() -> None:
    """R-081: one constant, read-only at run time."""
    assert set(OPERATOR_PERMISSIONS) == set(Role)
    with pytest.raises(TypeError):
        OPERATOR_PERMISSIONS[Role.SUPPORT] = frozenset(Permission)  # type: ignore[index]  # the point of the test


@pytest.mark.parametrize("role", [Role.READ_ONLY, Role.SECURITY])
def test_the_roles_that_only_read_hold_no_changing_permission(role: Role) -> None:
    """R-074, R-075: every mutation is out of their reach."""
    words = ("create", "invite", "suspend", "update", "flags", "delete", "grant", "manage")

    assert not [name for name in OPERATOR_PERMISSIONS[role] if any(word in name for word in words)]


def test_an_operator_needs_both_an_id_and_a_role() -> None:
    """R-039: half an operator is none, and holds the permissions of its role alone."""
    assert identity(Role.SUPPORT, "adm_1").is_operator
    assert not identity(Role.SUPPORT).is_operator
    assert not identity(None, "adm_1").is_operator
    assert identity(Role.SUPPORT, "adm_1").may(Permission.TENANT_SUSPEND)
    assert not identity(Role.SUPPORT, "adm_1").may(Permission.TENANT_DELETE)
    assert not identity(None, scope=Scope.ROSTER).may(Permission.TENANT_LIST)
