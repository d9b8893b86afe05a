"""What is searched for, and what is found, as frozen values; no SQL and no HTTP stands here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from service_kit.clock import Clock
from tenant_service.people.models import MemberRole
from tenant_service.people.sliding_log import Limit, Standing
from tenant_service.tenants.models import TenantStatus

MOST_ROWS: Final = 100
"""R-122: a page holds no more, whatever is asked."""

BUDGET: Final = Limit(60, timedelta(hours=1))
"""R-123: per operator."""

LEAST_CHARACTERS: Final = 3


class Match(StrEnum):
    """How the text has to stand in an address or name."""

    EXACT = "exact"
    PREFIX = "prefix"
    CONTAINS = "contains"


class Field(StrEnum):
    """What is looked through. `ANY` is an address or a name."""

    EMAIL = "email"
    ANY = "q"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One search. `value` is as it was typed: the database folds letters, on both sides alike."""

    field: Field
    match: Match
    value: str

    @property
    def folded(self) -> str:
        """What addresses are compared with, and what digests and cursors are made of."""
        return self.value.lower()

    @property
    def shape(self) -> dict[str, str]:
        """How it was asked, without what: `{"email": "contains"}`."""
        columns = ("email",) if self.field is Field.EMAIL else ("email", "name")
        return dict.fromkeys(columns, self.match.value)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a further page begins: after the last user of the page before."""

    user_id: str
    page_no: int


@dataclass(frozen=True, slots=True)
class FoundUser:
    id: str
    email: str
    name: str
    email_verified: bool


@dataclass(frozen=True, slots=True)
class FoundMembership:
    """A person's place in one tenant, and how that tenant stands."""

    user_id: str
    organization_id: str
    slug: str
    role: MemberRole
    status: TenantStatus


@dataclass(frozen=True, slots=True)
class Budget:
    """What an operator has left of their searches. At `resets_at` the next one comes back."""

    limit: int
    remaining: int
    resets_at: datetime
    seconds: int
    """Until then, rounded up."""

    @classmethod
    def of(cls, standing: Standing, clock: Clock) -> "Budget":
        now = clock.now()
        resets_at = standing.frees_at or now
        seconds = -(-(resets_at - now) // timedelta(seconds=1))
        return cls(BUDGET.most, max(BUDGET.most - standing.hits, 0), resets_at, max(seconds, 0))
