"""A place in a list that is ordered by time and id: what a page begins after."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: the next one begins after it (or before it, going back)."""

    at: datetime
    id: str
    backward: bool = False
