"""Proving that an audit log is as it was written: every row against its hash, its place and its neighbour.

It changes nothing and holds one batch of rows at a time, so that a log of any length can be proven beside a
service that goes on writing. What it alone cannot see is a log that was rewritten as a whole, hashes and
heads included: checkpoints that were signed before, and the other service's witness of them, show that.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from service_kit.audit.chain import GENESIS, digest_of, pii_commitment, row_hash
from service_kit.audit.stored import ChainHead, Raw, StoredRows, UnreadableError, as_text, twins_agree
from service_kit.audit.tables import AuditTables
from service_kit.db.session import Database, ReadSession

BATCH: Final = 250
"""Rows that are read at a time: a few megabytes."""
_ROWS_OF_A_CHAIN: Final = 20
"""What it costs to begin with another chain, in rows: with many short chains a piece stays bounded."""
_AT_A_TIME: Final = 25
"""Rows after which other work gets its turn: a few milliseconds."""


class Differs(StrEnum):
    """What does not fit at a break."""

    PLACE = "chain_seq"
    """A row is missing, or stands where none should."""
    LINK = "prev_hash"
    """The row does not follow from the one before it."""
    CONTENT = "hash"
    """A column was changed after the hash was taken, or the hash was."""
    FORM = "form"
    """A value is stored in a way in which the recorder writes none."""
    PERSON = "pii_commitment"
    """The personal data is not what the chain committed to, or it is gone and no erasure tells of it."""
    PAIR = "pair_id"
    """The other row of the same action is missing, or tells it otherwise (R-126)."""
    HEAD = "head"
    """The head of the chain names another last row."""
    CHECKPOINT = "checkpoint"
    """A checkpoint that this service signed names another row, or its signature is not this service's."""
    WITNESS = "witness"
    """The other service has kept a signed checkpoint that names another row, or one that is gone."""


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain is not what it was. `row_id` is empty when the row is missing."""

    chain: str
    seq: int
    row_id: str
    differs: Differs
    column: str = ""
    """The column, where it is known: a hash tells only that one of them was changed."""


def printable(found: Break) -> dict[str, Any]:
    """A break for a document: bytes of a forged row that are no text are shown as escapes."""
    names = {name: getattr(found, name).encode("utf-8", "backslashreplace").decode() for name in _NAMES}
    return {**names, "seq": found.seq, "differs": found.differs}


_NAMES: Final = ("chain", "row_id", "column")


@dataclass(frozen=True, slots=True)
class Stretch:
    """What to verify: everything by default. Times choose the rows of a chain from the first one at or after
    `since` to the last one before `until`.
    """

    chain: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_everything(self) -> bool:
        return not self.chain and self.since is None and self.until is None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is."""

    chain: str
    checked: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: the first break of each chain that has one, and how many rows were read."""

    checked: int
    chains: int
    erased: int
    """Rows whose personal data is gone: expected after erasure, no break."""
    breaks: tuple[Break, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.breaks

    @property
    def first_break(self) -> Break | None:
        return self.breaks[0] if self.breaks else None


@dataclass(frozen=True, slots=True)
class WalkPlace:
    """Up to where a walk in pieces has come: the last row that was read of a chain."""

    chain: str | None
    seq: int


BEGINNING: Final = WalkPlace(None, 0)

OnProgress = Callable[[Progress], None]


def silent(_progress: Progress) -> None:
    """Nobody waits for it."""


class ChainVerifier:
    """Verifies the chains of one service's audit log."""

    def __init__(self, database: Database, tables: AuditTables) -> None:
        self._database = database
        self._rows = StoredRows(tables)

    async def verify(self, wanted: Stretch | None = None, on_progress: OnProgress = silent) -> Verified:
        """Verify one chain or all of them. Raises UnavailableError when the database does not answer."""
        wanted = wanted or Stretch()
        walk = _Walk(self._database, self._rows, on_progress)
        chain = wanted.chain or await self._next(None)
        while chain is not None:
            await walk.chain(chain, wanted.since, wanted.until)
            chain = None if wanted.chain else await self._next(chain)
        if wanted.is_everything:
            await walk.orphans()
            await walk.erasures()
        return walk.result()

    async def piece(
        self, after: WalkPlace, rows: int, on_progress: OnProgress = silent
    ) -> tuple[Verified, WalkPlace | None]:
        """About so many rows after a place, over the ends of chains; None is the end of the last one."""
        walk = _Walk(self._database, self._rows, on_progress)
        chain, seq = after.chain, after.seq
        if chain is None:
            chain = await self._next(None)
        while chain is not None and walk.checked + walk.chains * _ROWS_OF_A_CHAIN < rows:
            reached = await walk.piece(chain, seq, rows - walk.checked)
            if reached is not None:
                return walk.result(), WalkPlace(chain, reached)
            chain, seq = await self._next(chain), 0
        if chain is None:
            await walk.orphans()
            await walk.erasures()
        return walk.result(), WalkPlace(chain, seq) if chain is not None else None

    async def newest(self, chain: str, rows: int) -> Verified:
        """The last rows of a chain."""
        walk = _Walk(self._database, self._rows, silent)
        async with self._database.read() as session:
            head = await self._rows.head(session, chain)
        if head is not None:
            await walk.piece(chain, max(0, head.seq - rows), rows)
        return walk.result()

    async def _next(self, after: str | None) -> str | None:
        async with self._database.read() as session:
            return await self._rows.next_chain(session, after)


@dataclass(frozen=True, slots=True)
class _Place:
    """The last row that was found good; the next one must follow from it."""

    seq: int
    hash: str


class _Walk:
    """One verification under way."""

    def __init__(self, database: Database, rows: StoredRows, on_progress: OnProgress) -> None:
        self._database = database
        self._rows = rows
        self._on_progress = on_progress
        self.checked = self.chains = self.erased = 0
        self.breaks: list[Break] = []

    async def chain(self, chain: str, since: datetime | None, until: datetime | None) -> None:
        """Walk one chain up to where its head stood at the beginning, and note its first break.

        Rows and head are committed together: whatever is appended meanwhile lies behind that head.
        """
        self.chains += 1
        async with self._database.read() as session:
            head = await self._rows.head(session, chain) or ChainHead(0, GENESIS)
            first, last = await self._rows.stretch(session, chain, since, until)
            start = await self._start(session, chain, first)
        end = head.seq if last is None else min(last, head.seq)
        place = await self._rows_until(chain, start, end, from_beginning=first is None)
        if place is not None and last is None:
            await self._end(chain, place, head)

    async def piece(self, chain: str, after: int, most: int) -> int | None:
        """The next rows of a chain; the place of the last one, or None at the chain's end or a break."""
        self.chains += 1
        async with self._database.read() as session:
            head = await self._rows.head(session, chain) or ChainHead(0, GENESIS)
            start = await self._start(session, chain, after + 1)
        end = min(head.seq, after + most)
        place = await self._rows_until(chain, start, end, from_beginning=after == 0)
        if place is not None and place.seq < head.seq:
            return place.seq
        if place is not None:
            await self._end(chain, place, head)
        return None

    async def _end(self, chain: str, place: _Place, head: ChainHead) -> None:
        if place.seq == head.seq and place.hash != head.hash:
            self._broken(Break(chain, head.seq, "", Differs.HEAD))
        else:
            await self._nothing_beyond(chain)

    def result(self) -> Verified:
        return Verified(self.checked, self.chains, self.erased, tuple(self.breaks))

    async def orphans(self) -> None:
        async with self._database.read() as session:
            event_id = await self._rows.orphan(session)
        if event_id is not None:
            self._broken(Break("", 0, event_id, Differs.PERSON, "event_id"))

    async def erasures(self) -> None:
        """Hold what the audit rows of erasures say against the rows that are called erased."""
        after: str | None = ""
        while after is not None:
            async with self._database.read() as session:
                after = await self._erasures_after(session, after)
            await asyncio.sleep(0)
        async with self._database.read() as session:
            event_id = await self._rows.untold_erasure(session)
        if event_id is not None:
            self._broken(Break("", 0, event_id, Differs.PERSON, "erasure_id"))

    async def _erasures_after(self, session: ReadSession, after: str) -> str | None:
        raw = await self._rows.next_erasure(session, after)
        if raw is None:
            return None
        event_id = as_text(raw["id"])
        named = await self._rows.erased_by(session, event_id)
        try:
            told = self._rows.row(raw, session.dialect)["details"]
        except UnreadableError:
            return event_id  # the walk of its chain has named it
        if (told.get("rows"), told.get("digest")) != (len(named), digest_of(named)):
            place = as_text(raw["chain"]), raw["chain_seq"]
            self._broken(Break(*place, event_id, Differs.PERSON, "audit_erasures"))
        return event_id

    async def _start(self, session: ReadSession, chain: str, first: int | None) -> _Place:
        if first is None or first <= 1:
            return _Place(0, GENESIS)
        before = await self._rows.hash_at(session, chain, first - 1)
        return _Place(first - 1, before or "")

    async def _rows_until(
        self, chain: str, start: _Place, end: int, *, from_beginning: bool
    ) -> _Place | None:
        """The place of the last row, or None after a break."""
        place, after = start, None if from_beginning else start.seq
        while place.seq < end:
            async with self._database.read() as session:
                rows = await self._rows.batch(session, chain, after=after, last=end, limit=BATCH)
                found, place = await self._batch(session, chain, rows, place)
            self._on_progress(Progress(chain, self.checked))
            if found is None and not rows:
                found = Break(chain, place.seq + 1, "", Differs.PLACE)  # rows up to the head are missing
            if found is not None:
                self._broken(found)
                return None
            after = place.seq
            await asyncio.sleep(0)
        return place

    async def _batch(
        self, session: ReadSession, chain: str, rows: Sequence[Raw], place: _Place
    ) -> tuple[Break | None, _Place]:
        """The first break among the rows, and the last good place before it."""
        twins = await self._rows.twins(session, rows)
        for number, raw in enumerate(rows):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            differs = self._differs(raw, place, session.dialect)
            if not differs and raw["pair_id"] is not None and not twins_agree(twins[raw["pair_id"]]):
                differs = Differs.PAIR, ""
            if differs:
                return _break(chain, raw, place.seq + 1, *differs), place
            self.checked += 1
            place = _Place(raw["chain_seq"], as_text(raw["hash"]))
        return None, place

    def _differs(self, raw: Raw, place: _Place, dialect: str) -> tuple[Differs, str] | None:
        """What is wrong with one row that should follow the place."""
        if raw["chain_seq"] != place.seq + 1:
            return Differs.PLACE, ""
        try:
            row, pii = self._rows.row(raw, dialect), self._rows.pii(raw, dialect)
        except UnreadableError as error:
            return Differs.FORM, str(error)
        if row["prev_hash"] != place.hash:
            return Differs.LINK, ""
        try:
            if row_hash(row["prev_hash"], row) != row["hash"]:
                return Differs.CONTENT, ""
            return self._person(raw, row, pii)
        except (ValueError, RecursionError):  # a value without a canonical form was never hashed
            return Differs.FORM, ""

    def _person(
        self, raw: Raw, row: Mapping[str, Any], pii: dict[str, Any] | None
    ) -> tuple[Differs, str] | None:
        """What is wrong with the personal data of a row: it must fit, or an erasure must tell of it."""
        if (pii is None) != self._rows.is_erased(raw):
            return Differs.PERSON, "event_id"
        if pii is None:
            self.erased += 1
            return None
        if pii_commitment(pii.pop("salt"), pii) != row["pii_commitment"]:
            return Differs.PERSON, ""
        odd = self._rows.odd_copy(raw)
        return (Differs.PERSON, odd) if odd else None

    async def _nothing_beyond(self, chain: str) -> None:
        """Rows may have come meanwhile, and their head with them; rows that no head knows may not."""
        async with self._database.read() as session:
            last = await self._rows.last_seq(session, chain)
            # Read after the rows: whoever committed a row has moved the head by then.
            head = await self._rows.head(session, chain) or ChainHead(0, GENESIS)
            if last > head.seq:
                row_id = await self._rows.id_at(session, chain, last)
                self._broken(Break(chain, last, row_id, Differs.HEAD))

    def _broken(self, found: Break) -> None:
        self.breaks.append(found)


def _break(chain: str, raw: Raw, expected: int, differs: Differs, column: str) -> Break:
    if differs is Differs.PLACE and raw["chain_seq"] > expected:
        return Break(chain, expected, "", differs)  # the row at the expected place is missing
    return Break(chain, raw["chain_seq"], as_text(raw["id"]), differs, column)
