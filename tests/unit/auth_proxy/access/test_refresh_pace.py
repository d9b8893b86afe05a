"""Proves `auth_proxy.access.refresh_pace`."""

import pytest

from auth_proxy.access.refresh_pace import RefreshPace, RefreshPolicy
from tests.fakes.clock import FrozenClock


def pace_of(clock: FrozenClock, *, chance: float = 0.0) -> RefreshPace:
    return RefreshPace(RefreshPolicy(), clock=clock, chance=lambda: chance)


def test_the_first_fetch_is_due_at_once(clock: FrozenClock) -> None:
    """A new process does not wait for its keys."""
    assert pace_of(clock).seconds_until_due() == 0


def test_a_success_is_good_for_ten_minutes(clock: FrozenClock) -> None:
    """The set is renewed before it is old (R-044)."""
    pace = pace_of(clock)

    pace.succeeded()

    assert pace.seconds_until_due() == 600
    clock.advance(600)
    assert pace.seconds_until_due() == 0


def test_failures_pause_twice_as_long_each_time_up_to_a_minute(clock: FrozenClock) -> None:
    """A broken endpoint is not hammered, and a repaired one is found within a minute."""
    pace = pace_of(clock)
    pauses = []
    for _ in range(30):
        pace.failed()
        pauses.append(pace.seconds_until_due())

    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pauses[-1] == 60
    assert pace.failing
    pace.succeeded()
    assert not pace.failing


def test_sidecars_spread_out(clock: FrozenClock) -> None:
    """Chance shortens each pause by up to a fifth, so that a fleet does not fetch in step."""
    pace = pace_of(clock, chance=0.5)
    pace.succeeded()
    assert pace.seconds_until_due() == pytest.approx(540)

    pace.failed()

    assert pace.seconds_until_due() == pytest.approx(0.9)


def test_chance_is_real_by_default(clock: FrozenClock) -> None:
    """Two processes started at one moment do not share their times."""
    times = set()
    for _ in range(8):
        pace = RefreshPace(RefreshPolicy(), clock=clock)
        pace.succeeded()
        times.add(pace.seconds_until_due())

    assert len(times) > 1
    assert all(480 <= seconds <= 600 for seconds in times)


@pytest.mark.parametrize(
    "asked, pause", [(None, 1), (-5.0, 1), (0.5, 1), (120.0, 120), (3600.0, 3600), (1e9, 3600)]
)
def test_retry_after_is_honoured_up_to_an_hour(clock: FrozenClock, asked: float | None, pause: float) -> None:
    """The endpoint may ask for patience, but not for ever."""
    pace = pace_of(clock)

    pace.failed(retry_after=asked)

    assert pace.seconds_until_due() == pause
    clock.advance(pause - 0.5)
    assert not pace.take_forced_turn()
    clock.advance(0.5)
    assert pace.take_forced_turn()


def test_tokens_get_one_turn_in_thirty_seconds(clock: FrozenClock) -> None:
    """The floor between forced fetches holds to the second, whatever the background does (R-047)."""
    pace = pace_of(clock)
    assert pace.take_forced_turn()
    pace.succeeded()
    clock.advance(29.9)
    assert not pace.take_forced_turn()

    clock.advance(0.1)

    assert pace.take_forced_turn()
    assert not pace.take_forced_turn()


@pytest.mark.parametrize(
    "settings",
    [
        {"forced_floor_seconds": 29},
        {"refresh_every_seconds": 0},
        {"refresh_every_seconds": 86_400},
        {"first_pause_seconds": 0},
        {"longest_pause_seconds": 0.5},
        {"strikes": 0},
    ],
)
def test_an_unsafe_policy_cannot_exist(settings: dict[str, float]) -> None:
    """No setting lets tokens set the pace, or keys grow too old before they are renewed (R-047)."""
    with pytest.raises(ValueError, match=r"\w"):
        RefreshPolicy(**settings)  # type: ignore[arg-type]  # the table is wrong on purpose
