"""Credits as stored: the frozen values that repositories give and take.

It asks no database anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tenant_service.billing.closed_sets import (
    Account,
    ActorKind,
    Category,
    Kind,
    ReservationState,
    Source,
)

DEFAULT_PRIORITY: Final = 50
LOW_BALANCE: Final = 100
"""Below so many replies a tenant stands on the list of low balances."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A tenant's totals, in replies. `remaining` can be spent, `reserved` is held for work that runs."""

    remaining: int = 0
    reserved: int = 0
    used: int = 0
    granted: int = 0
    expired: int = 0
    voided: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant. `remaining` is what of it is still available."""

    id: str
    organization_id: str
    amount: int
    remaining: int
    category: Category
    source: Source
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    reason: str
    ticket_ref: str
    granted_by_type: ActorKind
    granted_by_id: str
    granted_by_email: str
    created_at: datetime
    updated_at: datetime
    voided_at: datetime | None = None
    voided_by: str | None = None
    void_reason: str | None = None
    pack_id: str | None = None
    pack_snapshot: Mapping[str, Any] | None = None
    purchase_id: str | None = None
    version: int = 1

    def has_lapsed(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Share:
    """What of one grant takes part in a transaction."""

    grant_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of the ledger: credit of one grant enters (+) or leaves (−) an account."""

    grant_id: str
    account: Account
    amount: int


@dataclass(frozen=True, slots=True)
class Booking:
    """What a transaction says of itself, before it has an id.

    `key` makes it the only one of its kind in the tenant; a request with the same key and the same
    `request_hash` is that request again.
    """

    organization_id: str
    kind: Kind
    key: str
    request_hash: str
    actor_type: ActorKind
    actor_id: str
    note: str = ""
    reverses: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTxn:
    """A transaction as the ledger holds it."""

    id: str
    organization_id: str
    kind: Kind
    request_hash: str
    reverses: str | None
    actor_type: ActorKind
    actor_id: str
    note: str
    answer: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reservation:
    id: str
    organization_id: str
    amount: int
    state: ReservationState
    expires_at: datetime
    txn_id: str
