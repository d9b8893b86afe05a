"""The whole proof of an audit log: its chains, its signed checkpoints, and the other service's witness.

A chain that was rewritten as a whole is whole in itself; a checkpoint that was signed before names another
hash. Somebody who removed the checkpoints too has not reached the ones that the other service kept.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import BigInteger, Text, bindparam, select, tuple_

from service_kit.audit.anchors import PAGE, After
from service_kit.audit.notes import TIME, Checkpoint, NoteRejectedError, SignedCheckpoint, origin_of, proven
from service_kit.audit.peer import WITNESSES, Peer
from service_kit.audit.stored import as_text, raw_value
from service_kit.audit.tables import AuditTables
from service_kit.audit.verifying import (
    Break,
    ChainVerifier,
    Differs,
    OnProgress,
    Stretch,
    Verified,
    silent,
)
from service_kit.db.session import Database, ReadSession
from service_kit.errors import UnavailableError

PublicKeys = Callable[[], Mapping[str, Ed25519PublicKey]]
"""The keys at this moment: a key that was added since the start counts too."""


class AnchorState(StrEnum):
    """Whether what was signed could be held against the chains."""

    CHECKED = "checked"
    NONE = "none"
    """There is none yet."""
    UNAVAILABLE = "unavailable"
    """The other service does not answer."""
    NOT_CONFIGURED = "not_configured"
    """No other service is named here."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """How many signed checkpoints were held against the chains, and when the newest of them was signed."""

    state: AnchorState
    checked: int = 0
    newest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of one service's audit log."""

    verified: Verified
    checkpoints: Anchored
    witness: Anchored
    breaks: tuple[Break, ...]

    @property
    def ok(self) -> bool:
        """Nothing is broken; whether there was a witness at all, its state tells."""
        return not self.breaks


OnProof = Callable[[Stretch, Proof], Awaitable[None]]
"""Told of every proof, for alarms and metrics; the commands on the host have none, because they only read."""


_TEXTS: Final = ("chain", "hash", "at", "key_id", "note")


class _Held:
    """Signed checkpoints held against the stored rows, one page after the other."""

    def __init__(self, chain: str, differs: Differs, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self.keys = keys
        self._chain = chain
        self._differs = differs
        self.checked = 0
        self.newest_at: datetime | None = None
        self.breaks: list[Break] = []

    def reject(self, chain: str = "", seq: int = 0) -> None:
        """A note without a valid signature: it proves nothing, and nobody honest put it there."""
        self._broken(Break(chain, seq, "", self._differs, "signature"))

    async def hold(self, session: ReadSession, tables: AuditTables, page: Sequence[Checkpoint]) -> None:
        wanted = [one for one in page if self._chain in {"", one.chain}]
        stored = await _hashes(session, tables, wanted) if wanted else {}
        for one in wanted:
            self.checked += 1
            self.newest_at = max(self.newest_at or one.at, one.at)
            if stored.get((one.chain, one.seq)) != one.hash:
                self._broken(Break(one.chain, one.seq, "", self._differs))

    def result(self) -> Anchored:
        state = AnchorState.CHECKED if self.checked or self.breaks else AnchorState.NONE
        return Anchored(state, self.checked, self.newest_at)

    def _broken(self, found: Break) -> None:
        """The first of each chain is enough: the ones after it follow from it."""
        if all(one.chain != found.chain for one in self.breaks):
            self.breaks.append(found)


class AuditProver:
    """Proves one service's audit log. Without a peer it says so instead of asking."""

    def __init__(
        self,
        database: Database,
        tables: AuditTables,
        service: str,
        keys: PublicKeys,
        peer: Peer | None,
        *,
        on_proof: OnProof | None = None,
    ) -> None:
        self._database = database
        self._tables = tables
        self._origin = origin_of(service)
        self._keys = keys
        self._peer = peer
        self._on_proof = on_proof

    async def prove(self, wanted: Stretch | None = None, on_progress: OnProgress = silent) -> Proof:
        """Everything, or one chain. Raises UnavailableError when the own database does not answer."""
        wanted = wanted or Stretch()
        verified = await ChainVerifier(self._database, self._tables).verify(wanted, on_progress)
        own, theirs, witness = await self._anchors(wanted)
        breaks = (*verified.breaks, *own.breaks, *theirs.breaks)
        proof = Proof(verified, own.result(), witness, breaks)
        if self._on_proof is not None:
            await self._on_proof(wanted, proof)
        return proof

    async def anchor_breaks(self) -> tuple[Break, ...]:
        """Only what was signed, held against the rows: quick, and nothing is read of the rows between."""
        own, theirs, _ = await self._anchors(Stretch())
        return (*own.breaks, *theirs.breaks)

    async def _anchors(self, wanted: Stretch) -> tuple[_Held, _Held, Anchored]:
        keys = self._keys()
        own = _Held(wanted.chain, Differs.CHECKPOINT, keys)
        await self._checkpoints(own)
        theirs = _Held(wanted.chain, Differs.WITNESS, keys)
        return own, theirs, await self._witness(theirs)

    async def _checkpoints(self, held: _Held) -> None:
        place: tuple[str, int, str] | None = None
        while True:
            async with self._database.read() as session:
                rows = await self._page(session, place)
                page = [one for row in rows if (one := self._own(row, held)) is not None]
                await held.hold(session, self._tables, page)
            if len(rows) < PAGE:
                return
            place = (rows[-1]["chain"], rows[-1]["seq"], rows[-1]["hash"])

    async def _page(
        self, session: ReadSession, place: tuple[str, int, str] | None
    ) -> Sequence[Mapping[Any, Any]]:
        columns = self._tables.checkpoints.c
        key = (columns.chain, columns.seq, columns.hash)
        raw = [raw_value(one, session.dialect).label(one.name) for one in columns]
        query = select(*raw).order_by(*key).limit(PAGE)
        if place is not None:
            edge = [bindparam(None, place[0], type_=Text()), bindparam(None, place[1], type_=BigInteger())]
            query = query.where(tuple_(*key) > tuple_(*edge, bindparam(None, place[2], type_=Text())))
        rows = await session.rows(query)
        return [{**row, **{name: as_text(row[name]) for name in _TEXTS}} for row in rows]

    def _own(self, row: Mapping[Any, Any], held: _Held) -> Checkpoint | None:
        try:
            note = row["note"]
            signed = proven(note, self._origin, held.keys)
        except NoteRejectedError:
            held.reject(row["chain"], row["seq"])
            return None
        found = signed.checkpoint
        said = (found.chain, found.hash, f"{found.at:{TIME}}", signed.key_id, note, found.seq)
        if said != tuple(row[name] for name in (*_TEXTS, "seq")):
            held.reject(row["chain"], row["seq"])
        return found

    async def _witness(self, held: _Held) -> Anchored:
        if self._peer is None:
            return Anchored(AnchorState.NOT_CONFIGURED)
        after: After | None = None
        try:
            while True:
                notes = await self._peer.notes(WITNESSES, after)
                page = [one.checkpoint for note in notes if (one := self._witnessed(note, held)) is not None]
                async with self._database.read() as session:
                    await held.hold(session, self._tables, page)
                following = After(page[-1].at, page[-1].chain) if page else after
                if len(notes) < PAGE or following == after:
                    return held.result()
                after = following
        except UnavailableError:
            # What was held so far stays a break; an unanswered question is no proof of anything.
            return Anchored(AnchorState.UNAVAILABLE, held.checked, held.newest_at)

    def _witnessed(self, note: str, held: _Held) -> SignedCheckpoint | None:
        try:
            return proven(note, self._origin, held.keys)
        except NoteRejectedError:
            held.reject()
            return None


async def _hashes(
    session: ReadSession, tables: AuditTables, page: Sequence[Checkpoint]
) -> Mapping[tuple[str, int], str]:
    events = tables.events.c
    places = sorted({(one.chain, one.seq) for one in page})
    query = select(events.chain, events.chain_seq, events.hash).where(
        tuple_(events.chain, events.chain_seq).in_(places)
    )
    return {(row["chain"], row["chain_seq"]): row["hash"] for row in await session.rows(query)}
