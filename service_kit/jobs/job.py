"""A job: a name, how often, and a plain function that does at most so much at a time; it runs nothing."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

Work = Callable[[int], Awaitable[int]]
"""Given the most things to do, does at most that many and tells how many it did.

It is safe to run again: a run may be cut off at any await, and another replica then begins anew. It opens
its own transactions, and commits in pieces.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What the runner is told at the composition root.

    A run that did as much as it may is followed by the next one at once.
    """

    name: str
    every: timedelta
    work: Work
    limit: int = 200
    most_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a job's name is lower case with underscores")
        if self.every < timedelta(seconds=1) or self.limit < 1 or self.most_seconds <= 0:
            raise ValueError("a job needs a second between its runs, a limit and an end")
