"""Denials as values, and how many of them an hour may write."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

MOST_AN_HOUR: Final = 600
"""Rows of denials in an hour, over all sidecars: the second line of defence against a flooded log."""
MOST_UNPROVEN_AN_HOUR: Final = 300
"""How many of them may be about nobody: whoever has no token cannot use up the room for those who have."""
WINDOW: Final = timedelta(hours=1)
NOBODY: Final = "-"
"""The actor's id where nobody was proven."""
SUBJECT_CHANGED: Final = "subject_changed"
"""The sidecar's reason for: an operator's address under another Access subject (R-060)."""
FOLDED: Final = "folded"
"""The reason that a row carries which stands for many denials."""


@dataclass(frozen=True, slots=True)
class Denial:
    """One kind of refusal of one person on one route, `count` times between two moments.

    `sub` is empty when nobody was proven. The text came from a client at least in part.
    """

    reason: str
    sub: str
    email: str
    operator_id: str | None
    route: str
    count: int
    first_at: datetime
    last_at: datetime
    ip: str
    user_agent: str
    request_id: str

    @property
    def is_proven(self) -> bool:
        return self.sub != ""

    @property
    def is_subject_changed(self) -> bool:
        return self.reason == SUBJECT_CHANGED and self.is_proven


@dataclass(frozen=True, slots=True)
class DenialReport:
    """What a sidecar refused since its last report; `dropped` is what it had no room to remember."""

    denials: tuple[Denial, ...]
    dropped: int


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows of denials stand in the log since the window began."""

    every: int
    unproven: int
