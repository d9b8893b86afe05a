"""A tenant's totals for its own page and for the tenant list (R-020…R-022); it shows no grant and no use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service_kit.clock import Clock
from service_kit.db.session import ReadSession
from tenant_service.billing.credits.repository import CreditRepository
from tenant_service.tenants.schemas import BillingSummary


@dataclass(frozen=True, slots=True)
class TenantTotals:
    """What `TenantService` asks billing for."""

    credits: CreditRepository
    clock: Clock

    async def totals(
        self, session: ReadSession, organization_ids: Sequence[str]
    ) -> Mapping[str, BillingSummary]:
        """The totals of those of the tenants that have a billing account."""
        balances = await self.credits.balances(session, organization_ids)
        expiry = await self.credits.expires_next(session, organization_ids, self.clock.now())
        return {
            organization_id: BillingSummary(
                remaining=balance.remaining,
                used=balance.used,
                granted=balance.granted,
                reserved=balance.reserved,
                expires_next=expiry.get(organization_id),
            )
            for organization_id, balance in balances.items()
        }
