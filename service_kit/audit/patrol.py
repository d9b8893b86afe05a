"""Verifying the log beside the service, a bounded piece at each beat, so that a break is found unasked.

It reads the newest rows each time and walks the rest in turns; it never takes longer than its piece allows.
"""

from typing import Final

from service_kit.audit.alarm import Alarm
from service_kit.audit.chain import GLOBAL_CHAIN
from service_kit.audit.proving import AuditProver
from service_kit.audit.verifying import BEGINNING, ChainVerifier, Verified
from service_kit.clock import Clock

PIECE: Final = 1500
"""Rows of a turn: about a third of a second of one core, every half minute; a million rows in six hours."""
NEWEST: Final = 100


class Patrol:
    """Where the walk is; it begins anew when the process does."""

    def __init__(self, verifier: ChainVerifier, prover: AuditProver, alarm: Alarm, clock: Clock) -> None:
        self._verifier = verifier
        self._prover = prover
        self._alarm = alarm
        self._clock = clock
        self._place = BEGINNING
        self._found_broken = False
        self._checked = 0

    async def turn(self) -> None:
        """Verify the newest rows and the next piece. Raises UnavailableError."""
        await self._tell(await self._verifier.newest(GLOBAL_CHAIN, NEWEST))
        found, place = await self._verifier.piece(self._place, PIECE)
        await self._tell(found)
        self._checked += found.checked
        self._place = place or BEGINNING
        if place is None:
            await self._end_of_round()

    async def _tell(self, found: Verified) -> None:
        self._found_broken = self._found_broken or not found.ok
        await self._alarm.tell(found.breaks)

    async def _end_of_round(self) -> None:
        """Everything was read once: hold what was signed against it, too."""
        breaks = await self._prover.anchor_breaks()
        await self._alarm.tell(breaks)
        broken = self._found_broken or bool(breaks)
        self._alarm.metrics.whole_log(broken=broken, rows=self._checked, at=self._clock.now())
        self._found_broken, self._checked = False, 0
