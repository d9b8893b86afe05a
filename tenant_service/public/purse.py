"""What a tenant sees of its credit: the balance, and the packs on offer in its own currency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service_kit.clock import Clock
from service_kit.db.session import ReadSession
from service_kit.money import shown
from tenant_service.billing.credits.models import Balance
from tenant_service.billing.packs.models import Pack
from tenant_service.people.scope import TenantDatabase
from tenant_service.people.visitor import SignedIn


class Credits(Protocol):
    """The totals of a tenant."""

    async def balance(self, session: ReadSession, organization_id: str) -> Balance | None: ...

    async def spendable_sum(self, session: ReadSession, organization_id: str, now: datetime) -> int: ...

    async def expires_next(
        self, session: ReadSession, organization_ids: Sequence[str], now: datetime
    ) -> Mapping[str, datetime]: ...


class Packs(Protocol):
    """The packs of the platform."""

    async def all(self, session: ReadSession, *, inactive: bool = True) -> Sequence[Pack]: ...


@dataclass(frozen=True, slots=True)
class Credit:
    """`spendable` is what a reply can be paid with now."""

    spendable: int
    reserved: int
    used: int
    expires_next: datetime | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A pack at its price in the tenant's currency."""

    id: str
    name: str
    replies: int
    currency: str
    amount_minor: int
    price_display: str


@dataclass(frozen=True, slots=True)
class Purse:
    """Reads the credit of one tenant at a time."""

    database: TenantDatabase
    credits: Credits
    packs: Packs
    clock: Clock

    async def credit(self, by: SignedIn) -> Credit:
        now, tenant_id = self.clock.now(), by.visitor.tenant.id
        async with self.database.read(by.visitor.scope) as at:
            balance = await self.credits.balance(at.session, tenant_id) or Balance()
            spendable = await self.credits.spendable_sum(at.session, tenant_id, now)
            expiry = await self.credits.expires_next(at.session, [tenant_id], now)
        return Credit(spendable, balance.reserved, balance.used, expiry.get(tenant_id))

    async def offers(self, by: SignedIn) -> list[Offer]:
        """The active packs, by sort order."""
        currency = by.visitor.tenant.currency
        async with self.database.read(by.visitor.scope) as at:
            packs = await self.packs.all(at.session, inactive=False)
        return [
            Offer(pack.id, pack.name, pack.replies, currency.value, amount, shown(amount, currency.value))
            for pack in packs
            if (amount := pack.prices.get(currency)) is not None
        ]
