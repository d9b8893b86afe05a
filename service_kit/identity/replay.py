"""Memory of single-use tokens until they expire; when it is full it refuses rather than forgets."""

from typing import Final, Protocol

from service_kit.clock import Clock

_MOST_TOKENS: Final = 100_000


class ReplayGuard(Protocol):
    """Knows which single-use tokens were used."""

    async def first_use(self, token_id: str, expires_at: int) -> bool:
        """True exactly once per token id until it expires."""
        ...


class MemoryReplayGuard:
    """The guard of a service that runs as one process."""

    def __init__(self, clock: Clock, *, most_tokens: int = _MOST_TOKENS) -> None:
        self._clock = clock
        self._most_tokens = most_tokens
        self._used: dict[str, int] = {}

    async def first_use(self, token_id: str, expires_at: int) -> bool:
        if token_id in self._used:
            return False
        if len(self._used) >= self._most_tokens:
            self._forget_expired()
        if len(self._used) >= self._most_tokens:
            return False  # forgetting a live token would let it in twice
        self._used[token_id] = expires_at
        return True

    def _forget_expired(self) -> None:
        now = self._clock.now().timestamp()
        self._used = {token_id: at for token_id, at in self._used.items() if at >= now}
