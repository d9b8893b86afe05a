"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FrozenClock:
    """A `service_kit.clock.Clock` whose wall time and monotonic time move together, only by `advance`."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock tells aware time: pass a datetime with a time zone")
        self._now = start.astimezone(UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both times; a negative number moves the wall time back, as a corrected machine clock does."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += max(seconds, 0.0)
