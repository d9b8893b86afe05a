"""What of all tenants wants looking at, in numbers: the dashboard's question (P-01).

It names no tenant and no person, and changes nothing.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web
from sqlalchemy import Table, func, select

from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint
from service_kit.web.schemas import ApiModel
from tenant_service.asking import Asker
from tenant_service.billing.credits.statements import Statements
from tenant_service.calls import asker_of
from tenant_service.half_accepted import HalfAcceptedRows
from tenant_service.invitations.models import InvitationStatus

SOON: Final = timedelta(hours=24)


class AttentionModel(ApiModel):
    """Open invitations that end within a day, tenants that run out of replies, people left half accepted.

    `lowBalances` is null for a role that does not see billing.
    """

    expiring_invitations: int
    low_balances: int | None
    partial_failures: int


@dataclass(frozen=True, slots=True)
class AttentionReader:
    """Counts, by three statements that each walk one index."""

    database: Database
    invitations: Table
    statements: Statements
    half_accepted: HalfAcceptedRows
    clock: Clock

    async def read(self, asker: Asker) -> AttentionModel:
        now = self.clock.now()
        sees_billing = asker.identity.may(Permission.BILLING_VIEW)
        columns = self.invitations.c
        expiring = (
            select(func.count())
            .select_from(self.invitations)
            .where(
                columns.status == InvitationStatus.PENDING.value,
                columns.expires_at > now,
                columns.expires_at <= now + SOON,
            )
        )
        async with self.database.read() as session:
            return AttentionModel(
                expiring_invitations=int(await session.scalar(expiring)),
                low_balances=await self.statements.count_low(session) if sees_billing else None,
                partial_failures=await self.half_accepted.count(session, now),
            )


ATTENTION = web.AppKey("attention", AttentionReader)


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            "/internal/v1/tenant-attention",
            Permission.TENANT_LIST,
            _attention,
            "How many invitations, balances and people want looking at",
            returns=AttentionModel,
        ),
    )


async def _attention(call: Call) -> AttentionModel:
    return await call.request.app[ATTENTION].read(asker_of(call))
