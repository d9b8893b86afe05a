"""Invitations as stored: the table, its closed sets, and the frozen value that the repository gives.

The secret half of an invitation has no place here but as a digest (G-16).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
    text,
)
from sqlalchemy.schema import SchemaItem

from service_kit.db.columns import BigInt, UtcDateTime, one_of

INVITATION_LIFETIME: Final = timedelta(hours=48)
"""R-103."""

_PENDING: Final = text("status = 'pending'")


class InvitationRole(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class InvitationStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation, of an operator or of a member of the tenant: exactly one of the inviters is set.

    An operator is no tenant user, so `inviter_id` is None where an operator invited (R-103). `version`
    counts what was done to it.
    """

    id: str
    organization_id: str
    email: str
    role: InvitationRole
    status: InvitationStatus
    inviter_operator_id: str | None
    created_at: datetime
    expires_at: datetime
    inviter_id: str | None = None
    last_sent_at: datetime | None = None
    accepted_at: datetime | None = None
    version: int = 1
    secret_hash: str = field(default="", repr=False)
    """The digest of the secret; what is made anew gets it when it is stored."""


def invitations_table(metadata: MetaData) -> Table:
    return Table("invitations", metadata, *_columns(), sqlite_strict=True)


def _columns() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        Column("secret_hash", Text, nullable=False),
        Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
        Column("email", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("inviter_id", Text, nullable=True),
        Column("inviter_operator_id", Text, nullable=True),
        Column("expires_at", UtcDateTime, nullable=False),
        Column("accepted_at", UtcDateTime, nullable=True),
        Column("accepted_user_id", Text, nullable=True),
        Column("attempts", BigInt, nullable=False),
        Column("last_sent_at", UtcDateTime, nullable=True),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("version", BigInt, nullable=False),
        UniqueConstraint("secret_hash"),
        one_of("role", InvitationRole),
        one_of("status", InvitationStatus),
        CheckConstraint("(inviter_id IS NULL) <> (inviter_operator_id IS NULL)", name="one_inviter"),
        Index(
            "uq_invitations_pending",
            "organization_id",
            "email",
            unique=True,
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
        Index("ix_invitations_organization", "organization_id", "created_at", "id"),
        Index("ix_invitations_expiry", "status", "expires_at"),
    )
