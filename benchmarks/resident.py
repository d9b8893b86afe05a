"""The resident memory of this process, watched over a long piece of work."""

import resource
from pathlib import Path
from typing import Final

_KIB: Final = 1024
_EVERY: Final = 250
"""Pieces of work between two looks."""


class Resident:
    """Mebibytes before, after a tenth of the work, and at most; flat when the last two are alike."""

    def __init__(self) -> None:
        self.before = self.peak = resident_mib()
        self.after_a_tenth = 0.0

    def look(self, done: int, of: int) -> None:
        """Look at the memory now and then; `done` pieces `of` all are done."""
        if done % _EVERY:
            return
        now = resident_mib()
        self.peak = max(self.peak, now)
        if not self.after_a_tenth and done * 10 >= of:
            self.after_a_tenth = now

    def __str__(self) -> str:
        return (
            f"Resident memory: {self.before:.0f} MiB before, {self.after_a_tenth:.0f} after a tenth, "
            f"{self.peak:.0f} at most."
        )


def resident_mib() -> float:
    """Mebibytes that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / _KIB / _KIB
