"""Where a row or a stretch of rows stands in its chain: neighbours, head, and what was signed over it.

It proves nothing: it hands over what somebody else can check.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from service_kit.audit.tables import AuditTables
from service_kit.db.session import ReadSession


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """Where a chain ends, and the newest checkpoint that was signed at or before a row of it.

    `checkpoint` is the signed note as text; None when nothing was signed that early.
    """

    chain: str
    head_seq: int
    head_hash: str
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class RowPlace:
    """A row's neighbours by their hashes, and the newest checkpoint that covers the row.

    A neighbour may be a row that the reader must not see (R-080): no more than its hash is told.
    """

    previous_hash: str | None
    next_hash: str | None
    head_seq: int
    checkpoint: str | None
    checkpoint_seq: int | None


class ChainPlaces:
    """Asks one service's tables."""

    def __init__(self, tables: AuditTables) -> None:
        self._tables = tables

    async def at(self, session: ReadSession, chain: str, last: int) -> ChainPlace:
        """The place of a chain whose last exported row is `last`."""
        head = await self._head(session, chain)
        columns = self._tables.checkpoints.c
        newest = select(columns.note).where(columns.chain == chain, columns.seq <= last)
        note = await session.scalar(newest.order_by(columns.seq.desc(), columns.at.desc()).limit(1))
        return ChainPlace(chain, head["seq"] if head else 0, head["hash"] if head else "", note)

    async def of(self, session: ReadSession, row: Mapping[str, Any]) -> RowPlace:
        """The place of one row."""
        chain, seq = row["chain"], row["chain_seq"]
        head = await self._head(session, chain)
        columns = self._tables.checkpoints.c
        covering = select(columns.note, columns.seq).where(columns.chain == chain, columns.seq >= seq)
        newest = await session.first(covering.order_by(columns.seq.desc(), columns.at.desc()).limit(1))
        return RowPlace(
            previous_hash=await self._hash(session, chain, seq - 1),
            next_hash=await self._hash(session, chain, seq + 1),
            head_seq=head["seq"] if head else 0,
            checkpoint=newest["note"] if newest else None,
            checkpoint_seq=newest["seq"] if newest else None,
        )

    async def _head(self, session: ReadSession, chain: str) -> Mapping[Any, Any] | None:
        heads = self._tables.heads
        return await session.first(select(heads.c.seq, heads.c.hash).where(heads.c.chain == chain))

    async def _hash(self, session: ReadSession, chain: str, seq: int) -> str | None:
        events = self._tables.events.c
        value = await session.scalar(
            select(events.hash).where(events.chain == chain, events.chain_seq == seq)
        )
        return None if value is None else str(value)
