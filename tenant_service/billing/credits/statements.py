"""The SQL of reading the ledger: pages of transactions with their postings, and sums for the summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Join,
    RowMapping,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    select,
    tuple_,
)

from service_kit.db.columns import UtcDateTime
from service_kit.db.keyset import Position
from service_kit.db.session import ReadSession
from tenant_service.billing.closed_sets import Account, Category, Kind
from tenant_service.billing.credits.journal import stored_txn
from tenant_service.billing.credits.models import StoredTxn
from tenant_service.billing.tables import BillingTables
from tenant_service.tenants.models import TenantStatus

_LENGTH_OF_A_DAY: Final = len("2026-01-31")
_PER_DAY: Final = (Account.ISSUED, Account.CONSUMED, Account.EXPIRED, Account.VOIDED)


@dataclass(frozen=True, slots=True)
class Line:
    """A posting as it is shown."""

    account: Account
    grant_id: str
    amount: int
    balance_after: int | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A transaction with its postings in the order in which they were written."""

    txn: StoredTxn
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Which transactions to list; an empty member asks nothing."""

    kind: Kind | None = None
    since: datetime | None = None
    until: datetime | None = None


class Statements:
    """Reads; nothing here writes."""

    def __init__(self, tables: BillingTables, organizations: Table) -> None:
        self._tables = tables
        self._organizations = organizations

    async def page(
        self,
        session: ReadSession,
        organization_id: str,
        wanted: LedgerFilter,
        *,
        position: Position | None,
        limit: int,
    ) -> Sequence[Statement]:
        """At most `limit` transactions of a tenant, newest first, beyond the position."""
        txns = self._tables.txns.c
        query = select(self._tables.txns).where(
            txns.organization_id == organization_id, *self._conditions(wanted)
        )
        key, backward = tuple_(txns.created_at, txns.id), position is not None and position.backward
        if position is not None:
            at = bindparam(None, position.at, type_=UtcDateTime())
            edge = tuple_(at, bindparam(None, position.id, type_=Text()))
            query = query.where(key > edge if backward else key < edge)
        order = (txns.created_at, txns.id)
        query = query.order_by(*(order if backward else [column.desc() for column in order]))
        rows = await session.rows(query.limit(limit))
        found = [stored_txn(row) for row in (rows[::-1] if backward else rows)]
        lines = await self._lines(session, [txn.id for txn in found])
        return [Statement(txn, tuple(lines.get(txn.id, ()))) for txn in found]

    async def per_day(
        self, session: ReadSession, since: datetime, until: datetime
    ) -> Mapping[tuple[date, Account], int]:
        """What entered (or, issued, left) the accounts of all tenants on each UTC day."""
        txns, postings = self._tables.txns.c, self._tables.postings.c
        day = self._day(session.dialect).label("day")
        query = (
            select(day, postings.account, func.sum(postings.amount).label("n"))
            .select_from(self._tables.postings.join(self._tables.txns, postings.txn_id == txns.id))
            .where(txns.created_at >= since, txns.created_at < until)
            .where(postings.account.in_([account.value for account in _PER_DAY]))
            .group_by(day, postings.account)
        )
        rows = await session.rows(query)
        return {(date.fromisoformat(row["day"]), Account(row["account"])): int(row["n"]) for row in rows}

    async def outstanding(self, session: ReadSession, now: datetime) -> Mapping[Category, int]:
        """What living tenants can still spend, by category."""
        grants = self._tables.grants.c
        lives = case((grants.expires_at.is_(None), 1), (grants.expires_at > now, 1), else_=0) == 1
        query = (
            select(grants.category, func.sum(grants.remaining).label("n"))
            .select_from(self._of_living(self._tables.grants))
            .where(grants.remaining > 0, lives)
            .group_by(grants.category)
        )
        return {Category(row["category"]): int(row["n"]) for row in await session.rows(query)}

    async def reserved(self, session: ReadSession) -> int:
        """What is held for living tenants."""
        held = func.coalesce(func.sum(self._tables.accounts.c.replies_reserved), 0)
        query = select(held).select_from(self._of_living(self._tables.accounts))
        return int(await session.scalar(query))

    async def top(
        self, session: ReadSession, since: datetime, until: datetime, *, limit: int
    ) -> Sequence[RowMapping]:
        """The tenants that used most."""
        txns, postings, tenants = self._tables.txns.c, self._tables.postings.c, self._organizations.c
        used = func.sum(postings.amount).label("used")
        joined = self._tables.postings.join(self._tables.txns, postings.txn_id == txns.id).join(
            self._organizations, tenants.id == postings.organization_id
        )
        query = (
            select(tenants.id, tenants.slug, tenants.name, used)
            .select_from(joined)
            .where(txns.created_at >= since, txns.created_at < until)
            .where(postings.account == Account.CONSUMED.value)
            .group_by(tenants.id, tenants.slug, tenants.name)
            .having(func.sum(postings.amount) > 0)
            .order_by(used.desc(), tenants.id)
            .limit(limit)
        )
        return await session.rows(query)

    async def low(self, session: ReadSession, *, limit: int) -> Sequence[RowMapping]:
        """Living tenants whose balance is below their threshold, the lowest first."""
        accounts, tenants = self._tables.accounts.c, self._organizations.c
        query = (
            self._low(
                tenants.id,
                tenants.slug,
                tenants.name,
                accounts.replies_remaining.label("remaining"),
                accounts.low_balance_threshold.label("threshold"),
            )
            .order_by(accounts.replies_remaining, tenants.id)
            .limit(limit)
        )
        return await session.rows(query)

    async def count_low(self, session: ReadSession) -> int:
        """How many living tenants have a balance below their threshold."""
        return int(await session.scalar(self._low(func.count())))

    def _low(self, *columns: ColumnElement[Any]) -> Select[Any]:
        accounts = self._tables.accounts.c
        return (
            select(*columns)
            .select_from(self._of_living(self._tables.accounts))
            .where(accounts.replies_remaining < accounts.low_balance_threshold)
        )

    def _of_living(self, table: Table) -> Join:
        """The rows of a table that belong to tenants that are not deleted."""
        tenants = self._organizations.c
        living = and_(tenants.id == table.c.organization_id, tenants.status != TenantStatus.DELETED.value)
        return table.join(self._organizations, living)

    async def threshold(self, session: ReadSession, organization_id: str) -> int | None:
        accounts = self._tables.accounts.c
        query = select(accounts.low_balance_threshold).where(accounts.organization_id == organization_id)
        found: int | None = await session.scalar(query)
        return found

    async def _lines(self, session: ReadSession, txn_ids: Sequence[str]) -> Mapping[str, list[Line]]:
        columns = self._tables.postings.c
        query = (
            select(self._tables.postings)
            .where(columns.txn_id.in_(txn_ids))
            .order_by(columns.txn_id, columns.seq)
        )
        lines: dict[str, list[Line]] = {}
        for row in await session.rows(query):
            line = Line(Account(row["account"]), row["grant_id"], row["amount"], row["balance_after"])
            lines.setdefault(row["txn_id"], []).append(line)
        return lines

    def _conditions(self, wanted: LedgerFilter) -> list[ColumnElement[bool]]:
        txns = self._tables.txns.c
        conditions: list[ColumnElement[bool]] = []
        if wanted.kind is not None:
            conditions.append(txns.kind == wanted.kind.value)
        if wanted.since is not None:
            conditions.append(txns.created_at >= wanted.since)
        if wanted.until is not None:
            conditions.append(txns.created_at < wanted.until)
        return conditions

    def _day(self, dialect: str) -> ColumnElement[Any]:
        created_at = self._tables.txns.c.created_at
        if dialect == "postgresql":
            return func.to_char(created_at, "YYYY-MM-DD")  # the session's time zone is UTC
        return func.substr(cast(created_at, Text), 1, _LENGTH_OF_A_DAY)
