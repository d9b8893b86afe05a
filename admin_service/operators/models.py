"""The operators' table, and operators as frozen values.

A value here never holds an enrollment token, nor its hash: neither can be read back (R-068). What
must hold against raw SQL too is kept by triggers, in the first migration: never zero active
super_admins (R-079), and a roster version that moves with every change that the sidecars must see.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, text

from admin_service.tables import METADATA
from service_kit.db.columns import BigInt, UtcDateTime, one_of
from service_kit.identity.model import InternalIdentity, Role

GLOBAL_ADMINS: Final = Table(
    "global_admins",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("cf_access_sub", Text, nullable=True),
    Column("enrollment_token_hash", Text, nullable=True),
    Column("enrollment_token_expires_at", UtcDateTime, nullable=True),
    Column("enrollment_issued_by", Text, nullable=True),
    Column("enrollment_issued_at", UtcDateTime, nullable=True),
    Column("last_active_at", UtcDateTime, nullable=True),
    Column("deactivated_at", UtcDateTime, nullable=True),
    Column("deactivated_by", Text, nullable=True),
    Column("deactivation_reason", Text, nullable=True),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", BigInt, nullable=False),
    one_of("role", Role),
    CheckConstraint("email = lower(trim(email)) AND email <> ''", name="email_normal"),
    CheckConstraint(
        "(enrollment_token_hash IS NULL) = (enrollment_token_expires_at IS NULL)", name="token_expires"
    ),
    CheckConstraint("cf_access_sub IS NULL OR enrollment_token_hash IS NULL", name="token_is_spent"),
    CheckConstraint("cf_access_sub <> ''", name="sub_not_empty"),
    Index(
        "uq_global_admins_cf_access_sub",
        "cf_access_sub",
        unique=True,
        sqlite_where=text("cf_access_sub IS NOT NULL"),
        postgresql_where=text("cf_access_sub IS NOT NULL"),
    ),
    Index(
        "uq_global_admins_enrollment_token_hash",
        "enrollment_token_hash",
        unique=True,
        sqlite_where=text("enrollment_token_hash IS NOT NULL"),
        postgresql_where=text("enrollment_token_hash IS NOT NULL"),
    ),
    # A person who left may come back as a new row; two live rows for one address never exist.
    Index(
        "uq_global_admins_live_email",
        "email",
        unique=True,
        sqlite_where=text("deactivated_at IS NULL"),
        postgresql_where=text("deactivated_at IS NULL"),
    ),
    Index("ix_global_admins_role", "role", "deactivated_at"),
    Index("ix_global_admins_created", "created_at", "id"),
    sqlite_strict=True,
)

SUPER_ADMIN_GUARD: Final = Table(
    "super_admin_guard",
    METADATA,
    Column("id", BigInt, primary_key=True, autoincrement=False),
    Column("active", BigInt, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    CheckConstraint("active >= 1", name="never_zero"),
    sqlite_strict=True,
)
"""How many super_admins are enrolled and not deactivated (G-08); the first enrolment makes the row.

Only the triggers on `global_admins` write it. The CHECK is what makes zero impossible (R-079).
"""

ROSTER_VERSION: Final = Table(
    "roster_version",
    METADATA,
    Column("id", BigInt, primary_key=True, autoincrement=False),
    Column("version", BigInt, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    sqlite_strict=True,
)
"""One number that triggers move on with each change of an operator that decides who passes."""


class OperatorState(StrEnum):
    """`pending` was provisioned and has not enrolled; its token may have expired."""

    ACTIVE = "active"
    PENDING = "pending"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of `global_admins`. Operators are never tenant users (R-035)."""

    id: str
    email: str
    name: str
    role: Role
    access_sub: str | None
    enrollment_expires_at: datetime | None
    last_active_at: datetime | None
    deactivated_at: datetime | None
    created_at: datetime
    created_by: str
    version: int

    @property
    def state(self) -> OperatorState:
        if self.deactivated_at is not None:
            return OperatorState.DEACTIVATED
        return OperatorState.ACTIVE if self.access_sub is not None else OperatorState.PENDING

    @property
    def is_active_super_admin(self) -> bool:
        """The one definition of "active super_admin", the same as in the triggers (G-08)."""
        return self.role is Role.SUPER_ADMIN and self.state is OperatorState.ACTIVE

    def speaks(self, identity: InternalIdentity) -> InternalIdentity:
        """The identity with what this row says now: a role in a token may be seconds old."""
        return replace(identity, role=self.role, name=self.name)


@dataclass(frozen=True, slots=True)
class OperatorFilter:
    """What to list; an empty member asks nothing. `q` is a part of a name or an address."""

    state: OperatorState | None = None
    role: Role | None = None
    q: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"state": self.state or "", "role": self.role or "", "q": self.q}


@dataclass(frozen=True, slots=True)
class NewOperator:
    """Whom to provision; the address is in its normal form."""

    email: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class IssuedEnrollment:
    """A freshly issued enrollment: the only value in the house that holds the token in clear."""

    operator: Operator
    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Sighting:
    """An operator was seen at work."""

    operator_id: str
    at: datetime
