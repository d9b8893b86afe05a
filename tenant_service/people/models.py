"""People as stored: the tables of users, members and their sessions, and the values repositories give.

No value here holds a password's hash or a session's digest: those stand in tables of their own, so that
a read of `users` cannot leak them. Operators are in no table of this service (R-035).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import SchemaItem

from service_kit.db.columns import BigInt, BoolInt, UtcDateTime, one_of

LAST_OWNER_TEXT: Final = "the last owner of a tenant cannot be removed"
"""What both databases say when a change would leave a tenant without an owner; see migration 0003."""

MOST_NAME_CHARACTERS: Final = 120

_BYTEWISE: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text whose order is that of its bytes on both databases, so that one index finds prefixes too."""


class MemberRole(StrEnum):
    """What a person is in one tenant. It says nothing of any other tenant, nor of operators."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class User:
    """One person, known to one or more tenants by one address in its normal form."""

    id: str
    email: str
    name: str
    email_verified: bool
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A person's place in one tenant."""

    id: str
    organization_id: str
    user_id: str
    role: MemberRole
    created_at: datetime
    updated_at: datetime
    version: int = 1


def refuses_last_owner(error: IntegrityError) -> bool:
    """Whether the database refused a change because the tenant would be left without an owner."""
    return LAST_OWNER_TEXT in str(error.orig)


class PeopleTables:
    """The tables of migration 0003."""

    def __init__(self, metadata: MetaData) -> None:
        self.users = Table("users", metadata, *_users(), sqlite_strict=True)
        self.credentials = Table("user_credentials", metadata, *_credentials(), sqlite_strict=True)
        self.members = Table("members", metadata, *_members(), sqlite_strict=True)
        self.owner_guard = Table("org_owner_guard", metadata, *_owner_guard(), sqlite_strict=True)
        self.sessions = Table("sessions", metadata, *_sessions(), sqlite_strict=True)


def rate_limit_hits_table(metadata: MetaData) -> Table:
    """The hits that sliding logs count; `partition` names who did what: `adm_…:support_query`."""
    return Table(
        "rate_limit_hits",
        metadata,
        Column("partition", Text, primary_key=True),
        Column("seq", BigInt, primary_key=True, autoincrement=False),
        Column("at", UtcDateTime, nullable=False),
        Index("ix_rate_limit_hits_time", "partition", "at"),
        sqlite_strict=True,
    )


def _users() -> tuple[SchemaItem, ...]:
    name = Column("name", Text, nullable=False)
    return (
        Column("id", Text, primary_key=True),
        Column("email", _BYTEWISE, nullable=False),
        name,
        Column("email_verified", BoolInt, nullable=False),
        Column("disabled_at", UtcDateTime, nullable=True),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("version", BigInt, nullable=False),
        UniqueConstraint("email"),
        CheckConstraint("email = lower(trim(email)) AND email <> ''", name="email_normal"),
        CheckConstraint(f"length(name) BETWEEN 1 AND {MOST_NAME_CHARACTERS}", name="name"),
        CheckConstraint("email_verified IN (0, 1)", name="email_verified"),
        Index("ix_users_time", "created_at", "id"),
        # Bytewise on PostgreSQL whatever the database's own order: that is what finds prefixes.
        Index(
            "ix_users_name",
            func.lower(name).label("lower_name"),
            postgresql_ops={"lower_name": "text_pattern_ops"},
        ),
    )


def _credentials() -> tuple[SchemaItem, ...]:
    return (
        Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
        Column("password_hash", Text, nullable=False),
        Column("changed_at", UtcDateTime, nullable=False),
        Column("failed_count", BigInt, nullable=False),
        Column("locked_until", UtcDateTime, nullable=True),
        CheckConstraint("failed_count >= 0", name="failed_count"),
    )


def _members() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("role", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("version", BigInt, nullable=False),
        UniqueConstraint("organization_id", "user_id"),
        one_of("role", MemberRole),
        Index("ix_members_user", "user_id"),
        Index("ix_members_time", "organization_id", "created_at", "id"),
    )


def _owner_guard() -> tuple[SchemaItem, ...]:
    """How many owners a tenant has; only the triggers on `members` write it."""
    return (
        Column("organization_id", Text, ForeignKey("organizations.id"), primary_key=True),
        Column("owners", BigInt, nullable=False),
        CheckConstraint("owners >= 1", name="never_zero"),
    )


def _sessions() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        Column("token_hash", Text, nullable=False),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        Column("last_seen_at", UtcDateTime, nullable=False),
        Column("ip", Text, nullable=False),
        Column("user_agent", Text, nullable=False),
        Column("revoked_at", UtcDateTime, nullable=True),
        UniqueConstraint("token_hash"),
        CheckConstraint("expires_at > created_at", name="expires_later"),
        Index("ix_sessions_user", "user_id"),
        Index("ix_sessions_organization", "organization_id", "revoked_at"),
    )
