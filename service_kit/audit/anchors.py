"""Keeping signed checkpoints: this service's own, and the other service's as a witness.

It signs only a head that follows from the checkpoint before it, keeps only a note whose signature is proven,
and never changes or removes either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Table, Text, and_, bindparam, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert

from service_kit.audit.alarm import Alarm, broken_entry
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.notes import (
    Checkpoint,
    NoteRejectedError,
    SignedCheckpoint,
    is_signable,
    origin_of,
    proven,
    sign,
)
from service_kit.audit.own_events import WITNESSED
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.stored import as_text, raw_value
from service_kit.audit.tables import AuditTables
from service_kit.audit.verifying import Break, Differs
from service_kit.clock import Clock
from service_kit.db.columns import UtcDateTime
from service_kit.db.session import Database, ReadSession, WriteSession
from service_kit.identity.keys import SigningKey
from service_kit.telemetry.logging import get_logger

ROWS_BETWEEN: Final = 100
TIME_BETWEEN: Final = timedelta(minutes=5)
"""A head is signed after so many rows, or once it moved and its last checkpoint is that old."""

PAGE: Final = 200
_INSTANT: Final = timedelta(microseconds=1)
"""The least by which two times of a chain's notes differ."""
_LATEST: Final = 5
"""So many of the latest checkpoints are tried for one that we signed: a forged one does not hide it."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class After:
    """A place among checkpoints: time and chain stand in the signed text, so nobody can jump over others."""

    at: datetime
    chain: str = ""


class AnchorTable:
    """One table of signed checkpoints, in the order of their times."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def page(self, session: ReadSession, after: After | None) -> Sequence[Mapping[Any, Any]]:
        """The next rows after a place, the oldest first."""
        columns = self._table.c
        query = select(self._table).order_by(columns.at, columns.chain, columns.seq).limit(PAGE)
        if after is not None:
            at = bindparam(None, after.at, type_=UtcDateTime())
            chain = bindparam(None, after.chain, type_=Text())
            query = query.where(or_(columns.at > at, and_(columns.at == at, columns.chain > chain)))
        return await session.rows(query)

    async def newest_at(self, session: ReadSession) -> datetime | None:
        found = await session.first(select(func.max(self._table.c.at).label("at")))
        value = found["at"] if found is not None else None
        return value if value is None or isinstance(value, datetime) else None

    async def newest(self, session: ReadSession, chain: str) -> Mapping[Any, Any] | None:
        """The last checkpoint of a chain."""
        columns = self._table.c
        query = select(self._table).where(columns.chain == chain).order_by(columns.seq.desc())
        return await session.first(query.limit(1))

    async def latest_notes(self, session: ReadSession) -> Sequence[str]:
        """The notes with the latest times of all chains, the last one first, as they are stored.

        Nothing else is read of them: a forged row may hold a time that is none.
        """
        columns = self._table.c
        note = raw_value(columns.note, session.dialect).label("note")
        query = select(note).order_by(columns.at.desc(), columns.chain.desc()).limit(_LATEST)
        return [as_text(row["note"]) for row in await session.rows(query)]

    async def keep(self, session: WriteSession, signed: SignedCheckpoint, **more: Any) -> bool:
        """Add it; False when it is there already."""
        row = signed.checkpoint
        columns = self._table.c
        same = (columns.chain == row.chain, columns.seq == row.seq, columns.hash == row.hash)
        if await session.first(select(columns.seq).where(*same)) is not None:
            return False
        values = {
            "chain": row.chain,
            "seq": row.seq,
            "hash": row.hash,
            "at": row.at,
            "key_id": signed.key_id,
            "note": signed.note,
            **more,
        }
        if session.dialect == "postgresql":  # another replica may sign or witness the same at this moment
            statement = postgres_insert(self._table).values(**values).on_conflict_do_nothing()
            return await session.execute(statement) > 0
        return await session.execute(insert(self._table).values(**values)) > 0


class Checkpoints:
    """The service's own checkpoints: signs what is due, and tells what was signed."""

    def __init__(
        self,
        database: Database,
        tables: AuditTables,
        service: str,
        keys: tuple[SigningKey, ...],
        clock: Clock,
        *,
        alarm: Alarm,
    ) -> None:
        self._database = database
        self._tables = tables
        self._alarm = alarm
        self._keys = keys
        self._clock = clock
        self.origin = origin_of(service)
        self.table = AnchorTable(tables.checkpoints)

    @property
    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Every key that this service signs with or has signed with."""
        return {key.kid: key.private.public_key() for key in self._keys}

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        return self._keys

    async def sign_due(self, *, at_once: bool = False) -> int:
        """Sign every head that has moved far or long enough, or at all; how many were signed."""
        signed, chain = 0, ""
        while True:
            async with self._database.read() as session:
                heads = await self._heads(session, chain)
            for head in heads:
                chain = head["chain"]
                if is_signable(chain):
                    signed += await self._sign(head, at_once=at_once)
            if len(heads) < PAGE:
                return signed

    async def _heads(self, session: ReadSession, after: str) -> Sequence[Mapping[Any, Any]]:
        """The heads that have moved since they were signed: of thousands of tenants, a few."""
        heads, own = self._tables.heads, self._tables.checkpoints
        signed = select(func.max(own.c.seq)).where(own.c.chain == heads.c.chain).scalar_subquery()
        query = select(heads).where(heads.c.chain > after, heads.c.seq > func.coalesce(signed, 0))
        return await session.rows(query.order_by(heads.c.chain).limit(PAGE))

    async def _sign(self, head: Mapping[Any, Any], *, at_once: bool) -> bool:
        async with self._database.read() as session:
            before = await self.table.newest(session, head["chain"])
            if not await self._is_due(session, head, before, at_once=at_once):
                return False
        async with self._database.write() as session:
            await self._one_at_a_time(session)
            before = await self._newest_alone(session, head["chain"])
            if not await self._is_due(session, head, before, at_once=at_once):
                return False  # another replica was quicker
            if before is None or await self._still_stands(session, before):
                at = await self._moment_after(session, before)
                checkpoint = Checkpoint(self.origin, head["chain"], head["seq"], head["hash"], at)
                return await self.table.keep(session, sign(checkpoint, self._keys[-1]))
        # A signature over a rewritten chain would help whoever rewrote it.
        await self._alarm.tell([Break(head["chain"], before["seq"], "", Differs.CHECKPOINT)])
        return False

    async def _one_at_a_time(self, session: WriteSession) -> None:
        """Replicas sign one after the other, also different chains: each knows the latest time of them all.

        Before the head is locked, so that whoever waits here keeps nobody from recording. SQLite has one
        writer anyway.
        """
        if session.dialect == "postgresql":
            await session.scalar(
                select(func.pg_advisory_xact_lock(func.hashtextextended("audit_checkpoints", 0)))
            )

    async def _newest_alone(self, session: WriteSession, chain: str) -> Mapping[Any, Any] | None:
        """The last checkpoint of a chain, which no other replica signs until the transaction ends.

        One of more rows with an earlier time would look to the other service as if rows had been cut off.
        """
        heads = self._tables.heads
        # As the recorder locks it, and no second one: nobody waits for anybody in a circle.
        await session.first(select(heads).where(heads.c.chain == chain).with_for_update())
        return await self.table.newest(session, chain)

    async def _moment_after(self, session: ReadSession, before: Mapping[Any, Any] | None) -> datetime:
        """Now, but later than the checkpoint before it, and not before one of another chain.

        The clocks of two replicas differ, and the other service asks by time, for all chains at once.
        A time that we did not sign counts for nothing: from one in a far future on, the other service would
        ask for nothing any more. Whoever hides our latest ones under more forged ones than are tried here
        has left rows that every proof names.
        """
        now = self._clock.now()
        if before is not None and (last := self._own(before["note"])) is not None:
            now = max(now, last.at + _INSTANT)
        for note in await self.table.latest_notes(session):
            if (latest := self._own(note)) is not None:
                return max(now, latest.at)
        return now

    def _own(self, note: str) -> Checkpoint | None:
        """What a note says that we have signed; None for another one."""
        try:
            return proven(note, self.origin, self.public_keys).checkpoint
        except NoteRejectedError:
            return None

    async def _is_due(
        self,
        session: ReadSession,
        head: Mapping[Any, Any],
        before: Mapping[Any, Any] | None,
        *,
        at_once: bool,
    ) -> bool:
        signed = int(before["seq"]) if before is not None else 0
        moved = int(head["seq"]) - signed
        if moved <= 0:
            return False
        if at_once or moved >= ROWS_BETWEEN:
            return True
        # Also when a clock that was far ahead has signed it: a few rows would wait for that time.
        late = before is None or abs(self._clock.now() - before["at"]) >= TIME_BETWEEN
        return late and await self._says_more(session, head["chain"], signed)

    async def _says_more(self, session: ReadSession, chain: str, after: int) -> bool:
        """Whether anything happened since, apart from witnessing: else two idle services would sign and
        witness each other's witnessing for ever.
        """
        events = self._tables.events.c
        query = select(events.id).where(
            events.chain == chain, events.chain_seq > after, events.event != WITNESSED.name
        )
        return await session.first(query.limit(1)) is not None

    async def unsigned(self) -> int:
        """How many rows no checkpoint covers yet."""
        heads, own = self._tables.heads, self._tables.checkpoints
        signed = select(func.max(own.c.seq)).where(own.c.chain == heads.c.chain).scalar_subquery()
        async with self._database.read() as session:
            query = select(func.sum(heads.c.seq - func.coalesce(signed, 0)))
            return int(await session.scalar(query) or 0)

    async def _still_stands(self, session: ReadSession, before: Mapping[Any, Any]) -> bool:
        events = self._tables.events.c
        query = select(events.hash).where(events.chain == before["chain"], events.chain_seq == before["seq"])
        return bool(await session.scalar(query) == before["hash"])


class Witnesses:
    """The other service's checkpoints, kept here, where whoever rewrites its database cannot reach."""

    def __init__(
        self,
        database: Database,
        tables: AuditTables,
        service: str,
        keys: Mapping[str, Ed25519PublicKey],
        clock: Clock,
        *,
        recorder: AuditRecorder,
    ) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._recorder = recorder
        self._origin = origin_of(service)
        self.table = AnchorTable(tables.witnesses)

    def prove(self, note: str) -> SignedCheckpoint:
        """Raises NoteRejectedError for a note that the other service's pinned keys did not sign."""
        return proven(note, self._origin, self._keys)

    async def newest_at(self) -> datetime | None:
        async with self._database.read() as session:
            return await self.table.newest_at(session)

    async def keep(self, found: Sequence[SignedCheckpoint]) -> int:
        """Keep proven checkpoints, also ones that contradict an earlier one: both are evidence.

        The audit log of this service tells of chains that have grown, in one row, and of contradictions.
        """
        kept, grown = 0, []
        async with self._database.write() as session:
            for signed in found:
                before = await self.table.newest(session, signed.checkpoint.chain)
                if not await self.table.keep(session, signed, received_at=self._clock.now()):
                    continue
                kept += 1
                if _contradicts(signed.checkpoint, before):
                    await self._contradiction(session, signed.checkpoint)
                elif before is None or signed.checkpoint.seq > before["seq"]:
                    grown.append(signed.checkpoint)
            if grown:
                await self._recorder.record(session, self._witnessed(grown))
        return kept

    def _witnessed(self, grown: Sequence[Checkpoint]) -> AuditEntry:
        places = [
            {"chain": one.chain, "size": one.seq, "hash": one.hash, "at": one.at.isoformat()} for one in grown
        ]
        return AuditEntry(WITNESSED, SYSTEM, self._origin, details={"checkpoints": places})

    async def _contradiction(self, session: WriteSession, found: Checkpoint) -> None:
        _log.critical("audit_witness_contradicts", chain=found.chain, seq=found.seq)
        entry = broken_entry(Break(found.chain, found.seq, "", Differs.WITNESS), self._origin)
        await self._recorder.record(session, entry)


def _contradicts(checkpoint: Checkpoint, before: Mapping[Any, Any] | None) -> bool:
    """A chain only grows: a later note must not be of a shorter chain, nor of another one of that length."""
    if before is None or checkpoint.at < before["at"]:
        return False
    same_length = checkpoint.seq == before["seq"]
    return bool(checkpoint.seq < before["seq"] or (same_length and checkpoint.hash != before["hash"]))
