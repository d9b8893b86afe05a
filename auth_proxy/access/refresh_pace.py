"""Decides when the key set may be fetched; it fetches nothing itself.

It never lets tokens, however many and however bad, set the pace: forced fetches keep a floor, and
an endpoint that fails or asks for a pause gets one.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from service_kit.clock import Clock

_SMALLEST_FLOOR_SECONDS: Final = 30
_MAX_DOUBLINGS: Final = 16
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """When to fetch, and how long to go on without an answer."""

    refresh_every_seconds: float = 600
    hard_age_seconds: float = 86_400
    forced_floor_seconds: float = _SMALLEST_FLOOR_SECONDS
    strikes: int = 3
    first_pause_seconds: float = 1
    longest_pause_seconds: float = 60
    longest_retry_after_seconds: float = 3600

    def __post_init__(self) -> None:
        if self.forced_floor_seconds < _SMALLEST_FLOOR_SECONDS:
            raise ValueError("tokens may not force fetches more often than every 30 seconds (R-047)")
        if not 0 < self.refresh_every_seconds < self.hard_age_seconds:
            raise ValueError("keys must be renewed before they are too old to trust")
        if not 0 < self.first_pause_seconds <= self.longest_pause_seconds:
            raise ValueError("the first pause is positive and not above the longest")
        if self.strikes < 1:
            raise ValueError("at least one strike")


class RefreshPace:
    """The times of the next fetches. `chance` gives numbers in [0, 1), so that sidecars spread out."""

    def __init__(
        self, policy: RefreshPolicy, *, clock: Clock, chance: Callable[[], float] | None = None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._chance = chance or secrets.SystemRandom().random
        self._failures = 0
        self._due_at = _NEVER
        self._blocked_until = _NEVER
        self._forced_at = _NEVER

    @property
    def failing(self) -> bool:
        """Whether the last fetch brought no usable keys."""
        return self._failures > 0

    def seconds_until_due(self) -> float:
        return max(0.0, self._due_at - self._clock.monotonic())

    def take_forced_turn(self) -> bool:
        """Whether a token may cause a fetch now; a yes uses up the turn for the length of the floor."""
        now = self._clock.monotonic()
        if now < self._blocked_until or now - self._forced_at < self._policy.forced_floor_seconds:
            return False
        self._forced_at = now
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._blocked_until = _NEVER
        self._due_at = self._clock.monotonic() + self._spread(self._policy.refresh_every_seconds)

    def failed(self, *, retry_after: float | None = None) -> None:
        """Pause: twice as long after each failure, and as long as the endpoint asks, up to a bound."""
        doublings = min(self._failures, _MAX_DOUBLINGS)
        self._failures += 1
        pause = min(self._policy.first_pause_seconds * 2**doublings, self._policy.longest_pause_seconds)
        asked = min(retry_after or 0.0, self._policy.longest_retry_after_seconds)
        self._blocked_until = self._clock.monotonic() + max(self._spread(pause), asked)
        self._due_at = self._blocked_until

    def _spread(self, seconds: float) -> float:
        # Always earlier, never later: no bound that the policy names is exceeded.
        return seconds * (1 - 0.2 * self._chance())
