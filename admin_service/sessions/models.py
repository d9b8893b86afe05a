"""The sessions' table, and sessions as frozen values.

No value here but `MintedSession` holds a token, and none holds its digest: neither can be read back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
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
MOST_MINTS: Final = 60
MINTS_WINDOW: Final = timedelta(minutes=1)
"""A browser that restores twenty tabs asks twenty times; a frontend that asks in a loop is stopped. The
window is shorter than `REVOKED_KEPT`, so every row that counts is still there to be counted."""


class EndReason(StrEnum):
    """Why a session was revoked, as far as its row must know."""

    ROTATED = "rotated"
    SIGNED_OUT = "signed_out"
    """Somebody ended it on purpose: its operator, or who manages operators."""
    DEACTIVATED = "deactivated"
    TOO_MANY = "too_many"
    """The operator opened more sessions than one person needs; the oldest goes."""


class EndCause(StrEnum):
    """Why a session ended, as the audit log tells it."""

    SIGNED_OUT = "signed_out"
    ENDED = "ended"
    """Chosen from the list of an operator's sessions, by themselves or by who manages operators."""
    REBOUND = "rebound"
    """The operator's row is to be bound to another Access subject (G-09)."""
    DEACTIVATED = "deactivated"
    TOO_MANY = "too_many"

    @property
    def reason(self) -> EndReason:
        match self:
            case EndCause.DEACTIVATED:
                return EndReason.DEACTIVATED
            case EndCause.TOO_MANY:
                return EndReason.TOO_MANY
            case _:
                return EndReason.SIGNED_OUT


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
    ip: str
    user_agent: str
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
class ListedSession:
    """A session as a list of them shows it: nothing in it is a credential, or leads to one.

    `id` is the name under which the audit log knows the session; it stays the same over renewals.
    """

    id: str
    renewed_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str
    user_agent: str

    @classmethod
    def of(cls, stored: StoredSession) -> "ListedSession":
        return cls(
            id=stored.chain_id,
            renewed_at=stored.created_at,
            last_seen_at=stored.last_seen_at,
            expires_at=stored.expires_at,
            ip=stored.ip,
            user_agent=stored.user_agent,
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many more sessions an operator may mint or renew now, and in how many seconds one more."""

    left: int
    seconds: int

    @classmethod
    def after(cls, made: Sequence[datetime], now: datetime) -> "Allowance":
        """What is left when these were made within the window, the oldest first."""
        oldest = made[0] if made else now
        return cls(max(0, MOST_MINTS - len(made)), ceil((oldest + MINTS_WINDOW - now).total_seconds()))

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-10 writes it."""
        return {
            "RateLimit-Policy": f'"session-mint";q={MOST_MINTS};w={int(MINTS_WINDOW.total_seconds())}',
            "RateLimit": f'"session-mint";r={self.left};t={self.seconds}',
        }


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
    allowance: Allowance
