"""A sliding log: so many hits within so long, exactly, whichever replica they come to.

It forgets no hit that still counts and lets no second one in beside the last (R-123). It decides
nothing about the answer and commits nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Table, Text, bindparam, delete, func, insert, select

from service_kit.db.session import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class Limit:
    """So many hits within so long."""

    most: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Standing:
    """How many hits of a partition count now, and until when the oldest of them does."""

    hits: int
    frees_at: datetime | None
    granted: bool = True
    """Of `take`: whether this hit was let in."""


class SlidingLog:
    """The hits of all partitions, in one table."""

    def __init__(self, hits: Table) -> None:
        self._hits = hits

    async def take(self, session: WriteSession, partition: str, limit: Limit, now: datetime) -> Standing:
        """Count the hits that are young enough, and add one if there is room.

        Whoever takes from the same partition meanwhile waits until this transaction ends.
        """
        await self._only_one(session, partition)
        columns = self._hits.c
        old = delete(self._hits).where(columns.partition == partition, columns.at <= now - limit.window)
        await session.execute(old)
        before = await self.standing(session, partition, limit, now)
        if before.hits >= limit.most:
            return Standing(before.hits, before.frees_at, granted=False)
        newest = select(func.coalesce(func.max(columns.seq), 0)).where(columns.partition == partition)
        seq = int(await session.scalar(newest)) + 1
        await session.execute(insert(self._hits).values(partition=partition, seq=seq, at=now))
        return Standing(before.hits + 1, before.frees_at or now + limit.window)

    async def standing(self, session: ReadSession, partition: str, limit: Limit, now: datetime) -> Standing:
        """How the partition stands; nothing is counted for asking."""
        columns = self._hits.c
        query = select(func.count().label("n"), func.min(columns.at).label("oldest")).where(
            columns.partition == partition, columns.at > now - limit.window
        )
        row = await session.first(query)
        if row is None or row["oldest"] is None:
            return Standing(0, None)
        return Standing(int(row["n"]), row["oldest"] + limit.window)

    async def forget(self, session: WriteSession, partition: str) -> None:
        """Count nothing of the partition any more."""
        await session.execute(delete(self._hits).where(self._hits.c.partition == partition))

    async def _only_one(self, session: WriteSession, partition: str) -> None:
        # On SQLite BEGIN IMMEDIATE has seen to it already.
        if session.dialect == "postgresql":
            name = bindparam(None, f"sliding_log:{partition}", type_=Text())
            await session.scalar(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
