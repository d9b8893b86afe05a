"""Tenants as stored: the tables, their closed sets, and the frozen values that repositories give.

It asks no database anything.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, Text, func, text
from sqlalchemy.schema import SchemaItem

from service_kit.db.columns import BigInt, UtcDateTime, one_of


class TenantStatus(StrEnum):
    """The states of data-model 2.7."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class Currency(StrEnum):
    INR = "INR"
    USD = "USD"


class OwnerState(StrEnum):
    """How far the owner of a tenant has come."""

    JOINED = "joined"
    INVITED = "invited"
    INVITATION_EXPIRED = "invitation_expired"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Organization:
    """One tenant. `primary_email` is where the platform writes to it; `version` is its ETag."""

    id: str
    slug: str
    name: str
    primary_email: str
    plan: str
    currency: Currency
    status: TenantStatus
    created_by_operator_id: str
    created_at: datetime
    updated_at: datetime
    suspended_at: datetime | None = None
    suspended_by: str | None = None
    suspension_reason: str | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    deletion_reason: str | None = None
    purge_after: datetime | None = None
    purged_at: datetime | None = None
    version: int = 1

    @property
    def status_since(self) -> datetime | None:
        """Since when it is not active; None while it is."""
        return self.deleted_at if self.status is TenantStatus.DELETED else self.suspended_at

    @property
    def status_reason(self) -> str | None:
        return self.deletion_reason if self.status is TenantStatus.DELETED else self.suspension_reason


@dataclass(frozen=True, slots=True)
class TenantFilter:
    """Which tenants to list; an empty member asks nothing."""

    q: str = ""
    status: TenantStatus | None = None
    plan: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    low_balance: bool = False


@dataclass(frozen=True, slots=True)
class StatusCounts:
    """How many tenants are in each state."""

    active: int
    suspended: int
    deleted: int

    @property
    def total(self) -> int:
        return self.active + self.suspended + self.deleted


_LIVE: Final = text("status <> 'deleted'")
_TO_PURGE: Final = text("status = 'deleted' AND purged_at IS NULL")
_SLUG_SQLITE: Final = (
    "slug GLOB '[a-z]*' AND slug GLOB '*[a-z0-9]' AND slug NOT GLOB '*[^a-z0-9-]*' "
    "AND instr(slug, '--') = 0 AND length(slug) BETWEEN 3 AND 63"
)
_SLUG_POSTGRES: Final = "slug ~ '^[a-z][a-z0-9-]{1,61}[a-z0-9]$' AND strpos(slug, '--') = 0"


def organizations_table(metadata: MetaData) -> Table:
    return Table("organizations", metadata, *_organization_columns(), sqlite_strict=True)


def _organization_columns() -> tuple[SchemaItem, ...]:
    name = Column("name", Text, nullable=False)
    return (
        Column("id", Text, primary_key=True),
        Column("slug", Text, nullable=False),
        name,
        Column("primary_email", Text, nullable=False),
        Column("plan", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("suspended_at", UtcDateTime, nullable=True),
        Column("suspended_by", Text, nullable=True),
        Column("suspension_reason", Text, nullable=True),
        Column("deleted_at", UtcDateTime, nullable=True),
        Column("deleted_by", Text, nullable=True),
        Column("deletion_reason", Text, nullable=True),
        Column("purge_after", UtcDateTime, nullable=True),
        Column("purged_at", UtcDateTime, nullable=True),
        Column("created_by_operator_id", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("version", BigInt, nullable=False),
        CheckConstraint(_SLUG_SQLITE, name="slug").ddl_if(dialect="sqlite"),
        CheckConstraint(_SLUG_POSTGRES, name="slug").ddl_if(dialect="postgresql"),
        CheckConstraint("length(name) BETWEEN 1 AND 120", name="name"),
        one_of("currency", Currency),
        one_of("status", TenantStatus),
        CheckConstraint("status <> 'active' OR suspended_at IS NULL", name="active_is_not_suspended"),
        CheckConstraint("status <> 'suspended' OR suspended_at IS NOT NULL", name="suspended_since"),
        CheckConstraint("(status = 'deleted') = (deleted_at IS NOT NULL)", name="deleted_since"),
        # A deleted tenant's slug lives on as a tombstone; only living tenants share the name space.
        Index("uq_organizations_slug", "slug", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_organizations_time", "created_at", "id"),
        Index("ix_organizations_status", "status", "created_at", "id"),
        Index("ix_organizations_plan", "plan", "created_at", "id"),
        Index("ix_organizations_name", func.lower(name)),
        Index("ix_organizations_email", "primary_email"),
        Index("ix_organizations_purge", "purge_after", sqlite_where=_TO_PURGE, postgresql_where=_TO_PURGE),
    )


def slug_tombstones_table(metadata: MetaData) -> Table:
    """Slugs that were used once and are kept from others until a super_admin releases them."""
    return Table(
        "slug_tombstones",
        metadata,
        Column("slug", Text, primary_key=True),
        Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
        Column("tombstoned_at", UtcDateTime, nullable=False),
        Column("released_at", UtcDateTime, nullable=True),
        sqlite_strict=True,
    )
