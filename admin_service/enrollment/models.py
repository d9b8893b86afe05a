"""Failed tries to enroll, and the values of a claim."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Column, Index, Table, Text

from admin_service.operators.models import Operator
from admin_service.tables import METADATA
from service_kit.db.columns import UtcDateTime

MOST_TRIES: Final = 5
TRIES_WINDOW: Final = timedelta(minutes=15)

ENROLLMENT_ATTEMPTS: Final = Table(
    "enrollment_attempts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("access_sub", Text, nullable=False),
    Column("attempted_at", UtcDateTime, nullable=False),
    Index("ix_enrollment_attempts_sub", "access_sub", "attempted_at"),
    sqlite_strict=True,
)
"""Failed tries of one person within the window; at most five rows a person (G-18)."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """The person whom Access proved: its `sub`, and its address in normal form."""

    sub: str
    email: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The claimant is this operator from now on; the roster holds it from that version on."""

    operator: Operator
    roster_version: int


class ClaimFailure(StrEnum):
    """Why a claim failed: for the audit log alone, never for the claimant."""

    UNKNOWN_TOKEN = "unknown_token"
    EXPIRED = "expired"
    OTHER_EMAIL = "other_email"
    DEACTIVATED = "deactivated"
    SUB_TAKEN = "sub_taken"
    """This person is, or was, another operator already."""
    LOST_RACE = "lost_race"


@dataclass(frozen=True, slots=True)
class Limited:
    """Too many failed tries; the next one counts again after so many seconds."""

    retry_after: int
