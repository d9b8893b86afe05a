"""Prefixed, sortable ids: `org_01J…`; it makes names, never secrets.

The 26 characters are a ULID in Crockford's alphabet, monotonic within a process, so that
`(created_at, id)` is a total order and one key pages every list (data-model 2.1).
"""

import re
from typing import Final

from ulid import ULIDGenerator

from service_kit.clock import Clock

_ULID: Final = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"


class IdFactory:
    """Makes ids whose order is the order of their making, also within one millisecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ms = 0
        self._generator = ULIDGenerator(clock=self._milliseconds)

    def new(self, prefix: str) -> str:
        return f"{prefix}_{self._generator.generate()}"

    def _milliseconds(self) -> int:
        # A wall clock that steps back must not make an id that sorts before its elders.
        self._last_ms = max(self._last_ms, int(self._clock.now().timestamp() * 1000))
        return self._last_ms


def is_id(value: str, prefix: str) -> bool:
    """Whether the text has the exact shape of an id of that kind; it says nothing of existence."""
    return re.fullmatch(f"{re.escape(prefix)}_{_ULID}", value) is not None
