"""What comes in and goes out of the runtime's endpoints (http-api 3.3)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints

from service_kit.web.schemas import ApiModel, PlainText
from tenant_service.billing.credits.models import Balance, Grant, Share

MOST_AT_ONCE: Final = 1_000_000
Amount = Annotated[int, Field(ge=1, le=MOST_AT_ONCE)]
Reference = Annotated[PlainText, StringConstraints(max_length=200)]


class BalanceModel(ApiModel):
    """R-022: the totals of a tenant, in replies."""

    remaining: int
    reserved: int
    used: int
    granted: int
    expired: int
    voided: int

    @classmethod
    def of(cls, balance: Balance) -> Self:
        return cls(
            remaining=balance.remaining,
            reserved=balance.reserved,
            used=balance.used,
            granted=balance.granted,
            expired=balance.expired,
            voided=balance.voided,
        )


class Allocation(ApiModel):
    """Which grant paid, or got back, how much."""

    grant_id: str
    amount: int
    expires_at: datetime | None


def allocations(shares: Iterable[Share], grants: Mapping[str, Grant]) -> list[Allocation]:
    return [
        Allocation(grant_id=share.grant_id, amount=share.amount, expires_at=grants[share.grant_id].expires_at)
        for share in shares
    ]


class Use(ApiModel):
    """The body of `…/credits/consume`. `reference` is kept with the transaction: what it was for."""

    amount: Amount
    reference: Reference = ""


class Hold(ApiModel):
    """The body of `…/credits/reserve`. Without `ttlSeconds` the service's default holds (15 minutes)."""

    amount: Amount
    reference: Reference = ""
    ttl_seconds: int | None = Field(default=None, ge=1, le=86_400)


class Remark(ApiModel):
    """The body of commit, release and restore; all of it may be absent."""

    reference: Reference = ""


class Moved(ApiModel):
    """The answer of consume, commit, release and restore.

    `ended` tells how much of what came back belongs to grants that expired or were voided meanwhile: it
    is not spendable again.
    """

    txn_id: str
    amount: int
    ended: int
    balance: BalanceModel
    allocations: list[Allocation]


class Reserved(ApiModel):
    reservation_id: str
    txn_id: str
    amount: int
    expires_at: datetime
    balance: BalanceModel
    allocations: list[Allocation]
