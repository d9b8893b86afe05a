"""How many exports may run at once: each holds a connection to the tenant service for as long as it lasts.

It queues nobody: whoever comes too many is refused and may come again.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from admin_service.audit.errors import ExportBusyError

MOST_AT_ONCE: Final = 6
"""In one process. The tenant service is asked over 32 connections, and pages need them too."""

MOST_OF_ONE: Final = 2
"""Of one operator: nobody can take every turn with downloads that they do not read."""


@dataclass(frozen=True, slots=True)
class ExportTurns:
    """The exports under way, by operator."""

    running: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def turn(self, operator_id: str) -> Iterator[None]:
        """Raises ExportBusyError."""
        if self.running[operator_id] >= MOST_OF_ONE or self.running.total() >= MOST_AT_ONCE:
            raise ExportBusyError
        self.running[operator_id] += 1
        try:
            yield
        finally:
            self.running[operator_id] -= 1
            if not self.running[operator_id]:
                del self.running[operator_id]
