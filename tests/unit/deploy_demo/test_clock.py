from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.fakes.clock import FrozenClock


def test_it_stands_still_until_it_is_moved() -> None:
    """A frozen clock tells one time, in UTC, until a test moves both of its times."""
    clock = FrozenClock()
    before = clock.monotonic()
    assert clock.now() == clock.now() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    clock.advance(90)

    assert clock.now() == datetime(2026, 1, 2, 3, 5, 35, tzinfo=UTC)
    assert clock.monotonic() - before == 90


def test_wall_time_can_go_back_but_monotonic_time_cannot() -> None:
    """A corrected machine clock moves the wall time back and leaves the monotonic time alone."""
    clock = FrozenClock()
    before = clock.monotonic()

    clock.advance(-60)

    assert clock.now() == datetime(2026, 1, 2, 3, 3, 5, tzinfo=UTC)
    assert clock.monotonic() == before


def test_it_takes_aware_times_only() -> None:
    """Any zone is turned into UTC; a time without one is refused."""
    india = timezone(timedelta(hours=5, minutes=30))
    assert FrozenClock(datetime(2026, 1, 1, 5, 30, tzinfo=india)).now() == datetime(2026, 1, 1, tzinfo=UTC)

    with pytest.raises(ValueError, match="aware"):
        FrozenClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the naive time is what must be refused
