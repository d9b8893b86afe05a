"""The beat beside a service: signs heads that are due, fetches the other's checkpoints, verifies a piece.

It runs for itself: no request waits for it, and when the database or the other service is away it tries again
at the next beat.
"""

from datetime import datetime, timedelta
from typing import Final

from service_kit.audit.alarm import AuditMetrics
from service_kit.audit.anchors import PAGE, After, Checkpoints, Witnesses
from service_kit.audit.notes import NoteRejectedError, SignedCheckpoint
from service_kit.audit.patrol import Patrol
from service_kit.audit.peer import CHECKPOINTS, Peer
from service_kit.errors import UnavailableError
from service_kit.repeating import Repeating
from service_kit.telemetry.logging import get_logger

SECONDS: Final = 30.0
_FIRST_SECONDS: Final = 1.0
"""A service that has just started answers first, and proves its log a moment later."""
_OVERLAP: Final = timedelta(minutes=10)
"""Asked for again at each beat: another replica may have committed a checkpoint late."""
_MOST_PAGES: Final = 50

_log = get_logger(__name__)


class AuditBeat:
    """One task that ends with the service."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        witnesses: Witnesses | None,
        peer: Peer | None,
        patrol: Patrol,
        metrics: AuditMetrics,
    ) -> None:
        self._checkpoints = checkpoints
        self._patrol = patrol
        self._metrics = metrics
        self._witnesses = witnesses
        self._peer = peer
        self._rest: After | None = None
        self._repeating = Repeating(self._turn, first=_FIRST_SECONDS, every=SECONDS)

    async def start(self) -> None:
        self._repeating.start()

    async def close(self) -> None:
        await self._repeating.close()

    async def once(self) -> None:
        """One beat. It never raises for what may be well again at the next one."""
        try:
            await self._checkpoints.sign_due()
            self._metrics.unsigned.set(await self._checkpoints.unsigned())
        except UnavailableError:
            _log.warning("audit_checkpoint_delayed")
        await self._fetch()
        try:
            await self._patrol.turn()
        except UnavailableError:
            _log.warning("audit_verification_delayed")

    async def _fetch(self) -> None:
        if self._witnesses is None or self._peer is None:
            return
        try:
            await self._witness(self._witnesses, self._peer)
        except UnavailableError:
            _log.warning("audit_witness_delayed")

    async def _turn(self) -> None:
        try:
            await self.once()
        except Exception:  # noqa: BLE001 - a beat that stops for good would go unnoticed
            _log.exception("audit_beat_failed")

    async def _witness(self, witnesses: Witnesses, peer: Peer) -> None:
        newest = await witnesses.newest_at()
        # What the last beat left is first: more notes of ten minutes than a beat reads would never end.
        after, self._rest = self._rest or _overlapping(newest), None
        for _ in range(_MOST_PAGES):
            notes = await peer.notes(CHECKPOINTS, after)
            found = [signed for note in notes if (signed := _proven(witnesses, note)) is not None]
            await witnesses.keep(found)
            newest = max(
                [*([newest] if newest else []), *(signed.checkpoint.at for signed in found)], default=None
            )
            if newest is not None:
                self._metrics.witnessed_at.set(newest.timestamp())
            if len(notes) < PAGE or not found:
                return
            last = found[-1].checkpoint
            after = After(last.at, last.chain)
        self._rest = after


def _overlapping(newest: datetime | None) -> After | None:
    return After(newest - _OVERLAP) if newest is not None else None


def _proven(witnesses: Witnesses, note: str) -> SignedCheckpoint | None:
    try:
        return witnesses.prove(note)
    except NoteRejectedError as error:
        _log.critical("audit_witness_rejected", problem=str(error))
        return None
