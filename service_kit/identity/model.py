"""Who may do what: roles, permissions, the one matrix between them, and the identity that carries them.

It verifies nothing; `verifying.py` makes an `InternalIdentity` only from a proven token.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """The closed set of operator roles (R-071)."""

    SUPER_ADMIN = "super_admin"
    SUPPORT = "support"
    READ_ONLY = "read_only"
    SECURITY = "security"


class Permission(StrEnum):
    """Everything that a route or a page can ask for."""

    TENANT_CREATE = "tenant.create"
    TENANT_INVITE_ADMIN = "tenant.invite_admin"
    TENANT_SUSPEND = "tenant.suspend"
    TENANT_LIST = "tenant.list"
    TENANT_VIEW = "tenant.view"
    TENANT_UPDATE = "tenant.update"
    TENANT_FEATURE_FLAGS = "tenant.feature_flags"
    TENANT_DELETE = "tenant.delete"
    BILLING_VIEW = "billing.view"
    BILLING_GRANT = "billing.grant"
    BILLING_MANAGE_PACKS = "billing.manage_packs"
    VIEW_AUDIT_LOGS_GLOBAL = "platform.view_audit_logs_global"
    VIEW_ADMIN_AUDIT_EVENTS = "platform.view_admin_audit_events"
    EXPORT_AUDIT = "platform.export_audit"
    MANAGE_GLOBAL_ADMINS = "platform.manage_global_admins"
    VIEW_SYSTEM_METRICS = "platform.view_system_metrics"


_READ_ONLY: Final = frozenset(
    {
        Permission.TENANT_LIST,
        Permission.TENANT_VIEW,
        Permission.BILLING_VIEW,
        Permission.VIEW_AUDIT_LOGS_GLOBAL,
    }
)

OPERATOR_PERMISSIONS: Final[MappingProxyType[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.SUPER_ADMIN: frozenset(Permission),
        Role.SUPPORT: _READ_ONLY
        | {
            Permission.TENANT_CREATE,
            Permission.TENANT_INVITE_ADMIN,
            Permission.TENANT_SUSPEND,
            Permission.TENANT_UPDATE,
            Permission.TENANT_FEATURE_FLAGS,
            Permission.BILLING_GRANT,
        },
        Role.READ_ONLY: _READ_ONLY,
        Role.SECURITY: frozenset(
            {
                Permission.VIEW_AUDIT_LOGS_GLOBAL,
                Permission.VIEW_ADMIN_AUDIT_EVENTS,
                Permission.EXPORT_AUDIT,
            }
        ),
    }
)
"""The permission matrix: the single source for routes, services, panel and docs (R-081)."""


class Scope(StrEnum):
    """What a process, not a person, may ask for."""

    ROSTER = "roster"
    CREDITS = "credits"
    """The product's runtime uses credit; it signs with a key of its own (ADR 0024)."""


@dataclass(frozen=True, slots=True)
class InternalIdentity:
    """A proven caller of a service.

    Three kinds: an operator (`operator_id` and `role` set), a verified person who is no operator
    (neither set), and a process of ours (`scope` set). `delegate` names the service that asks in
    the operator's name. `token_id` is unique per token, `request_id` per browser request.
    """

    subject: str
    email: str
    name: str
    audience: str
    token_id: str
    expires_at: int
    operator_id: str | None = None
    role: Role | None = None
    roster_version: int | None = None
    scope: Scope | None = None
    delegate: str | None = None

    @property
    def is_operator(self) -> bool:
        return self.operator_id is not None and self.role is not None

    @property
    def permissions(self) -> frozenset[Permission]:
        return OPERATOR_PERMISSIONS[self.role] if self.role is not None else frozenset()

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """The roles that hold a permission, in the order of the enum: what a 403 names as the way out."""
    return tuple(role for role in Role if permission in OPERATOR_PERMISSIONS[role])
