"""Proving the ledger: every transaction sums to zero, and every total is what the postings add up to.

It reads one tenant at a time and a batch of postings at a time, so that a ledger of any length can be proven
beside a service that goes on writing. It mends nothing: whoever finds a mismatch must find its cause.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import RowMapping, Select, func, select, union

from service_kit.db.session import Database, ReadSession
from tenant_service.billing.closed_sets import Account, ReservationState
from tenant_service.billing.tables import BillingTables

_BATCH: Final = 2000
_TENANTS_AT_A_TIME: Final = 500


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What does not add up, and for whom."""

    organization_id: str
    what: str
    ledger: int
    stored: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read, and what did not add up; nothing there is a whole ledger."""

    accounts: int
    postings: int
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        return not self.mismatches


@dataclass(slots=True)
class _Sums:
    """What one tenant's postings add up to."""

    accounts: Counter[str] = field(default_factory=Counter)
    grants: Counter[str] = field(default_factory=Counter)
    reserved: Counter[str] = field(default_factory=Counter)
    postings: int = 0
    faults: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, row: RowMapping) -> None:
        self.postings += 1
        self.accounts[row["account"]] += row["amount"]
        if row["account"] == Account.RESERVED.value:
            self.reserved[row["grant_id"]] += row["amount"]
        if row["account"] == Account.AVAILABLE.value:
            self.grants[row["grant_id"]] += row["amount"]
            if row["balance_after"] != self.accounts[Account.AVAILABLE.value]:
                there = row["balance_after"]
                self._fault(f"balance_after of {row['id']}", self.accounts[row["account"]], there)
            if self.grants[row["grant_id"]] < 0:
                self._fault(f"grant {row['grant_id']} below zero", self.grants[row["grant_id"]], 0)
        if row["organization_id"] != row["txn_organization_id"]:
            self._fault(f"posting {row['id']} belongs to a transaction of another tenant", 1, 0)

    def _fault(self, what: str, ledger: int, stored: int) -> None:
        self.faults.append((what, ledger, stored))


class LedgerVerifier:
    """Reads the whole ledger of a database."""

    def __init__(self, database: Database, tables: BillingTables) -> None:
        self._database = database
        self._tables = tables

    async def verify(self) -> Verified:
        """Everything that does not add up, of all tenants."""
        accounts = postings = 0
        found: list[Mismatch] = []
        async for organization_id in self._tenants():
            count, mismatches = await self.verify_tenant(organization_id)
            accounts, postings = accounts + 1, postings + count
            found += mismatches
        return Verified(accounts, postings, tuple(found))

    async def verify_tenant(self, organization_id: str) -> tuple[int, tuple[Mismatch, ...]]:
        """How many postings one tenant has, and what does not add up."""
        async with self._database.read() as session:
            return await self._checked(session, organization_id)

    async def _tenants(self) -> AsyncIterator[str]:
        """Every tenant that has an account or a posting."""
        last = ""
        while True:
            async with self._database.read() as session:
                rows = await session.rows(self._after(last))
            for row in rows:
                yield row["organization_id"]
            if len(rows) < _TENANTS_AT_A_TIME:
                return
            last = rows[-1]["organization_id"]

    def _after(self, last: str) -> Select[Any]:
        named = union(
            *(select(table.c.organization_id) for table in (self._tables.accounts, self._tables.txns))
        ).subquery()
        return (
            select(named.c.organization_id)
            .where(named.c.organization_id > last)
            .order_by(named.c.organization_id)
            .limit(_TENANTS_AT_A_TIME)
        )

    async def _checked(self, session: ReadSession, organization_id: str) -> tuple[int, tuple[Mismatch, ...]]:
        sums = _Sums()
        async for row in self._postings(session, organization_id):
            sums.add(row)
        faults = [
            *sums.faults,
            *await self._unbalanced(session, organization_id),
            *_totals(sums, await self._account(session, organization_id)),
            *await self._grants(session, organization_id, sums),
            *await self._held(session, organization_id, sums),
        ]
        return sums.postings, tuple(Mismatch(organization_id, *fault) for fault in faults)

    async def _postings(self, session: ReadSession, organization_id: str) -> AsyncIterator[RowMapping]:
        postings, txns = self._tables.postings, self._tables.txns
        last = -1
        while True:
            query = (
                select(postings, txns.c.organization_id.label("txn_organization_id"))
                .select_from(postings.join(txns, postings.c.txn_id == txns.c.id))
                .where(postings.c.organization_id == organization_id, postings.c.seq > last)
                .order_by(postings.c.seq)
                .limit(_BATCH)
            )
            rows = await session.rows(query)
            for row in rows:
                yield row
            if len(rows) < _BATCH:
                return
            last = rows[-1]["seq"]

    async def _unbalanced(self, session: ReadSession, organization_id: str) -> list[tuple[str, int, int]]:
        postings = self._tables.postings.c
        query = (
            select(postings.txn_id, func.sum(postings.amount).label("n"))
            .where(postings.organization_id == organization_id)
            .group_by(postings.txn_id, postings.grant_id)
            .having(func.sum(postings.amount) != 0)
            .limit(_BATCH)
        )
        rows = await session.rows(query)
        return [(f"transaction {row['txn_id']} does not sum to zero", int(row["n"]), 0) for row in rows]

    async def _account(self, session: ReadSession, organization_id: str) -> RowMapping | None:
        accounts = self._tables.accounts
        return await session.first(select(accounts).where(accounts.c.organization_id == organization_id))

    async def _grants(
        self, session: ReadSession, organization_id: str, sums: _Sums
    ) -> list[tuple[str, int, int]]:
        grants = self._tables.grants.c
        query = select(grants.id, grants.remaining).where(grants.organization_id == organization_id)
        stored = {row["id"]: row["remaining"] for row in await session.rows(query)}
        return [
            (f"grant {grant_id}", sums.grants[grant_id], stored.get(grant_id, 0))
            for grant_id in sorted({*stored, *sums.grants})
            if sums.grants[grant_id] != stored.get(grant_id, 0)
        ]

    async def _held(
        self, session: ReadSession, organization_id: str, sums: _Sums
    ) -> list[tuple[str, int, int]]:
        table = self._tables.reservations.c
        query = select(func.coalesce(func.sum(table.amount), 0)).where(
            table.organization_id == organization_id, table.state == ReservationState.HELD.value
        )
        held, booked = int(await session.scalar(query)), sums.accounts[Account.RESERVED.value]
        return [("held reservations", booked, held)] if held != booked else []


_COLUMNS: Final = {
    "replies_remaining": (Account.AVAILABLE, 1),
    "replies_reserved": (Account.RESERVED, 1),
    "replies_used": (Account.CONSUMED, 1),
    "replies_expired": (Account.EXPIRED, 1),
    "replies_voided": (Account.VOIDED, 1),
    "replies_granted": (Account.ISSUED, -1),
}


def _totals(sums: _Sums, row: RowMapping | None) -> Iterator[tuple[str, int, int]]:
    for column, (account, sign) in _COLUMNS.items():
        ledger, stored = sign * sums.accounts[account.value], row[column] if row is not None else 0
        if ledger != stored:
            yield column, ledger, stored
