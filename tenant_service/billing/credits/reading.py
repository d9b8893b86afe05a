"""Seeing credit: a tenant's balance and grants, its ledger as a list or a file, and the platform's totals.

It changes nothing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from service_kit.clock import Clock
from service_kit.db.keyset import Position
from service_kit.db.session import Database, ReadSession
from service_kit.errors import BadRequestError
from service_kit.identity.model import Permission
from service_kit.ids import is_id
from service_kit.web.pages import Page, PageModel, cut, read_cursor
from service_kit.web.paging import CursorCodec
from tenant_service.asking import Asker
from tenant_service.billing.closed_sets import Account
from tenant_service.billing.credits.csv_rows import HEADER_ROW, csv_row
from tenant_service.billing.credits.models import LOW_BALANCE, Balance, Grant
from tenant_service.billing.credits.repository import CreditRepository
from tenant_service.billing.credits.runtime_schemas import BalanceModel
from tenant_service.billing.credits.schemas import (
    BillingQuery,
    BillingSummaryModel,
    GrantLimits,
    GrantModel,
    LedgerLine,
    LedgerPage,
    LedgerQuery,
    LedgerRow,
    Liability,
    LowBalance,
    SummaryDay,
    SummaryQuery,
    TenantBilling,
    TenantUse,
)
from tenant_service.billing.credits.service import Caps
from tenant_service.billing.credits.statements import LedgerFilter, Line, Statement, Statements
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.repository import TenantRepository

_MOST_GRANTS: Final = 200
_MOST_TENANTS: Final = 10
_MOST_LOW: Final = 20
_CSV_BATCH: Final = 500
_DEFAULT_RANGE: Final = timedelta(days=29)
"""Back to midnight: with today, thirty days."""
_LONGEST_RANGE: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class BillingReader:
    """The operators' view of credit."""

    database: Database
    tenants: TenantRepository
    credits: CreditRepository
    statements: Statements
    cursors: CursorCodec
    clock: Clock
    caps: Caps

    async def billing(self, asker: Asker, reference: str, query: BillingQuery) -> TenantBilling:
        """One tenant, and what whoever asks may grant it. Raises NotFoundError."""
        now = self.clock.now()
        async with self.database.read() as session:
            organization_id = (await named_tenant(self.tenants, session, reference)).id
            balance = await self.credits.balance(session, organization_id) or Balance()
            found = await self._grants(session, organization_id, query.grant)
            spendable = await self.credits.spendable_sum(session, organization_id, now)
            expiry = await self.credits.expires_next(session, [organization_id], now)
            threshold = await self.statements.threshold(session, organization_id)
            limits = await self._limits(session, asker, now)
        return TenantBilling(
            organization_id=organization_id,
            balance=BalanceModel.of(balance),
            lapsed=max(balance.remaining - spendable, 0),
            expires_next=expiry.get(organization_id),
            low_balance_threshold=LOW_BALANCE if threshold is None else threshold,
            limits=limits,
            grants=[GrantModel.of(grant, now) for grant in found[:_MOST_GRANTS]],
            grants_cut=len(found) > _MOST_GRANTS,
        )

    async def _grants(
        self, session: ReadSession, organization_id: str, grant_id: str | None
    ) -> Sequence[Grant]:
        """The one that is named, if it is the tenant's; else the first, and one more than are listed."""
        if grant_id is None:
            return await self.credits.grants_of(session, organization_id, limit=_MOST_GRANTS + 1)
        one = None
        if is_id(grant_id, "grant"):
            one = await self.credits.grant_of(session, organization_id, grant_id)
        return () if one is None else (one,)

    async def _limits(self, session: ReadSession, asker: Asker, now: datetime) -> GrantLimits | None:
        if not asker.identity.may(Permission.BILLING_GRANT):
            return None
        today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        return GrantLimits(
            at_once=self.caps.at_once_by(asker.identity.role),
            a_day=self.caps.a_day,
            granted_today=await self.credits.granted_since(session, asker.actor.id, today),
        )

    async def ledger(self, reference: str, query: LedgerQuery) -> tuple[LedgerPage, Page[Statement]]:
        """One page of a tenant's ledger, newest first. Raises NotFoundError, BadRequestError."""
        wanted = LedgerFilter(query.kind, query.since, query.until)
        async with self.database.read() as session:
            organization_id = (await named_tenant(self.tenants, session, reference)).id
            bound = {"list": "ledger", "of": organization_id, **asdict(wanted)}
            position = read_cursor(self.cursors, query.cursor, bound)
            found = await self.statements.page(
                session, organization_id, wanted, position=position, limit=query.limit + 1
            )
        page = cut(
            found,
            limit=query.limit,
            position=position,
            key=lambda statement: (statement.txn.created_at, statement.txn.id),
            encode=lambda at: self.cursors.encode(at, bound),
        )
        return LedgerPage(data=[_row(each) for each in page.rows], page=PageModel.of(page)), page

    async def csv(self, reference: str, query: LedgerQuery) -> AsyncIterator[str]:
        """The whole ledger of a tenant as CSV, newest first, some hundred transactions at a time.

        Raises NotFoundError before the first line is given.
        """
        async with self.database.read() as session:
            organization_id = (await named_tenant(self.tenants, session, reference)).id
        return self._csv(organization_id, LedgerFilter(query.kind, query.since, query.until))

    async def _csv(self, organization_id: str, wanted: LedgerFilter) -> AsyncIterator[str]:
        yield HEADER_ROW
        position: Position | None = None
        while True:
            async with self.database.read() as session:
                found = await self.statements.page(
                    session, organization_id, wanted, position=position, limit=_CSV_BATCH
                )
            yield "".join(csv_row(_row(each)) for each in found)
            if len(found) < _CSV_BATCH:
                return
            position = Position(found[-1].txn.created_at, found[-1].txn.id)

    async def summary(self, query: SummaryQuery) -> BillingSummaryModel:
        """The platform's totals over a range of at most a year. Raises BadRequestError."""
        now = self.clock.now()
        until = query.until or now + timedelta(microseconds=1)
        since = query.since or datetime.combine((until - _DEFAULT_RANGE).date(), time(), UTC)
        if not timedelta() < until - since <= _LONGEST_RANGE:
            raise BadRequestError(
                "QUERY_INVALID", "The range must be of at most 366 days, and begin before it ends"
            )
        async with self.database.read() as session:
            days = await self.statements.per_day(session, since, until)
            outstanding = await self.statements.outstanding(session, now)
            reserved = await self.statements.reserved(session)
            top = await self.statements.top(session, since, until, limit=_MOST_TENANTS)
            low = await self.statements.low(session, limit=_MOST_LOW)
        return BillingSummaryModel(
            days=[_day(since, number, days) for number in range(_days_between(since, until))],
            liability=Liability(
                replies=sum(outstanding.values()) + reserved,
                by_category={category.value: amount for category, amount in outstanding.items()},
                reserved=reserved,
            ),
            top_tenants=[
                TenantUse(
                    organization_id=row["id"], slug=row["slug"], name=row["name"], used=int(row["used"])
                )
                for row in top
            ],
            low_balances=[
                LowBalance(
                    organization_id=row["id"],
                    slug=row["slug"],
                    name=row["name"],
                    remaining=row["remaining"],
                    threshold=row["threshold"],
                )
                for row in low
            ],
        )


def _row(statement: Statement) -> LedgerRow:
    txn, lines = statement.txn, statement.lines
    available = [line.balance_after for line in lines if line.account is Account.AVAILABLE]
    return LedgerRow(
        id=txn.id,
        kind=txn.kind,
        amount=_amount(lines),
        balance_after=available[-1] if available else None,
        actor_type=txn.actor_type,
        actor_id=txn.actor_id,
        note=txn.note,
        reverses=txn.reverses,
        created_at=txn.created_at,
        postings=[
            LedgerLine(account=line.account.value, grant_id=line.grant_id, amount=line.amount)
            for line in lines
        ],
    )


def _amount(lines: Sequence[Line]) -> int:
    """How much moved: what left the account that the first posting left, whatever was posted on after it."""
    return sum(-line.amount for line in lines if line.account is lines[0].account and line.amount < 0)


def _days_between(since: datetime, until: datetime) -> int:
    return ((until - timedelta(microseconds=1)).date() - since.date()).days + 1


def _day(since: datetime, number: int, sums: Mapping[tuple[date, Account], int]) -> SummaryDay:
    day = since.date() + timedelta(days=number)
    return SummaryDay(
        day=day,
        granted=-sums.get((day, Account.ISSUED), 0),
        used=sums.get((day, Account.CONSUMED), 0),
        expired=sums.get((day, Account.EXPIRED), 0),
        voided=sums.get((day, Account.VOIDED), 0),
    )
