"""The sessions' table, and sessions as frozen values.

No value here but `MintedSession` holds a token, and none holds its digest: neither can be read back.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint

from admin_service.operators.models import Operator
from admin_service.tables import METADATA
from service_kit.db.columns import UtcDateTime, one_of

SESSION_LIFETIME: Final = timedelta(hours=8)
ROTATION_GRACE: Final = timedelta(seconds=10)
"""How long a token that was just replaced still continues its chain: two tabs that start at once present
the same cookie, and the later one must not end up with a session that nobody watches."""
MOST_LIVE: Final = 20
SEEN_EVERY: Final = timedelta(minutes=1)
REVOKED_KEPT: Final = timedelta(minutes=10)
"""A revoked row only serves the grace above; what happened to a session stands in the audit log."""
MOST_SWEPT: Final = 100


class EndReason(StrEnum):
    """Why a session was revoked."""

    ROTATED = "rotated"
    SIGNED_OUT = "signed_out"
    DEACTIVATED = "deactivated"
    TOO_MANY = "too_many"
    """The operator opened more sessions than one person needs; the oldest goes."""


OPERATOR_SESSIONS: Final = Table(
    "operator_sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("chain_id", Text, nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("admin_id", Text, ForeignKey("global_admins.id"), nullable=False),
    Column("access_sub", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("ip", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("revoked_at", UtcDateTime, nullable=True),
    Column("revoked_reason", Text, nullable=True),
    UniqueConstraint("token_hash"),
    one_of("revoked_reason", EndReason),
    CheckConstraint("(revoked_at IS NULL) = (revoked_reason IS NULL)", name="revoked_for_a_reason"),
    CheckConstraint("expires_at > created_at", name="expires_later"),
    CheckConstraint("access_sub <> ''", name="sub_not_empty"),
    Index("ix_operator_sessions_admin", "admin_id", "revoked_at"),
    Index("ix_operator_sessions_expires", "expires_at"),
    sqlite_strict=True,
)
"""One row for each token. Rows that came from each other by rotation share `chain_id`, the id of the
first of them: that is the session as a person knows it, and as the audit log names it."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One row of `operator_sessions`."""

    id: str
    chain_id: str
    operator_id: str
    access_sub: str
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime
    revoked_at: datetime | None
    revoked_reason: EndReason | None

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and self.expires_at > now

    def was_just_rotated(self, now: datetime) -> bool:
        return (
            self.revoked_reason is EndReason.ROTATED
            and self.revoked_at is not None
            and now - self.revoked_at <= ROTATION_GRACE
        )


@dataclass(frozen=True, slots=True)
class NewSession:
    """A row to insert; the digest is seen by the statement alone."""

    id: str
    chain_id: str
    token_hash: str = field(repr=False)
    operator_id: str
    access_sub: str
    created_at: datetime
    ip: str
    user_agent: str

    @property
    def expires_at(self) -> datetime:
        return self.created_at + SESSION_LIFETIME


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that counts now, and its operator as the row says it now."""

    operator: Operator
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MintedSession:
    """A session just made: the only value that holds the token in clear."""

    live: LiveSession
    token: str = field(repr=False)
