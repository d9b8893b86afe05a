"""The SQL of the ledger itself: transactions and their postings, which only grow."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service_kit.db.session import ReadSession, WriteSession
from tenant_service.billing.closed_sets import Account, ActorKind, Kind
from tenant_service.billing.credits.models import Booking, Posting, StoredTxn
from tenant_service.billing.tables import BillingTables


class Journal:
    """Transactions and postings."""

    def __init__(self, tables: BillingTables) -> None:
        self._txns = tables.txns
        self._postings = tables.postings

    async def by_key(self, session: ReadSession, organization_id: str, key: str) -> StoredTxn | None:
        txns = self._txns.c
        return await self._one(session, txns.organization_id == organization_id, txns.idempotency_key == key)

    async def by_id(self, session: ReadSession, organization_id: str, txn_id: str) -> StoredTxn | None:
        txns = self._txns.c
        return await self._one(session, txns.organization_id == organization_id, txns.id == txn_id)

    async def reversal_of(self, session: ReadSession, txn_id: str) -> StoredTxn | None:
        return await self._one(session, self._txns.c.reverses_txn_id == txn_id)

    async def add(
        self, session: WriteSession, txn_id: str, booking: Booking, answer: dict[str, Any], now: datetime
    ) -> bool:
        """Write a transaction; False when its key, or what it reverses, was taken a moment before."""
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        row = make(self._txns).values(
            id=txn_id,
            organization_id=booking.organization_id,
            kind=booking.kind.value,
            idempotency_key=booking.key,
            request_hash=booking.request_hash,
            reverses_txn_id=booking.reverses,
            actor_type=booking.actor_type.value,
            actor_id=booking.actor_id,
            note=booking.note,
            answer=answer,
            created_at=now,
        )
        return await session.execute(row.on_conflict_do_nothing()) == 1

    async def add_postings(
        self,
        session: WriteSession,
        txn_id: str,
        organization_id: str,
        postings: Sequence[tuple[str, Posting, int | None]],
    ) -> None:
        """Write postings, each with its id and the balance after it."""
        rows = [
            {
                "id": posting_id,
                "txn_id": txn_id,
                "organization_id": organization_id,
                "account": posting.account.value,
                "grant_id": posting.grant_id,
                "amount": posting.amount,
                "balance_after": balance_after,
            }
            for posting_id, posting, balance_after in postings
        ]
        if rows:
            await session.execute(insert(self._postings), rows)

    async def postings_of(self, session: ReadSession, txn_id: str) -> Sequence[Posting]:
        columns = self._postings.c
        query = select(self._postings).where(columns.txn_id == txn_id).order_by(columns.seq)
        return [
            Posting(row["grant_id"], Account(row["account"]), row["amount"])
            for row in await session.rows(query)
        ]

    async def reserved_of_grant(self, session: ReadSession, grant_id: str) -> int:
        """How much of a grant is held in reservations."""
        columns = self._postings.c
        query = select(func.coalesce(func.sum(columns.amount), 0)).where(
            columns.grant_id == grant_id, columns.account == Account.RESERVED.value
        )
        return int(await session.scalar(query))

    async def _one(self, session: ReadSession, *conditions: Any) -> StoredTxn | None:
        row = await session.first(select(self._txns).where(*conditions))
        return stored_txn(row) if row is not None else None


def stored_txn(row: RowMapping) -> StoredTxn:
    return StoredTxn(
        id=row["id"],
        organization_id=row["organization_id"],
        kind=Kind(row["kind"]),
        request_hash=row["request_hash"],
        reverses=row["reverses_txn_id"],
        actor_type=ActorKind(row["actor_type"]),
        actor_id=row["actor_id"],
        note=row["note"],
        answer=row["answer"],
        created_at=row["created_at"],
    )
