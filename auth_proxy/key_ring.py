"""The keys that sign the internal identity, renewed from their folder without a restart.

A key that appears while the sidecar runs signs only after it was published for the lead time, whatever
its file says of its age: a service that cached the key set a moment ago does not know it yet. A
broken folder never takes the good keys away.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from auth_proxy.watched import LOOK_EVERY_SECONDS, Watched
from service_kit.clock import Clock
from service_kit.identity.keys import KeyFileError, SigningKey, load_signing_keys


class KeyRing:
    """Raises KeyFileError when there is no key at start."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        refused: Callable[[], None] = lambda: None,
        every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        self._clock = clock
        self._watched = Watched(
            path,
            load_signing_keys,
            expected=KeyFileError,
            adopted=self._adopt,
            refused=refused,
            every_seconds=every_seconds,
        )
        self._keys = self._watched.value

    def current(self) -> tuple[SigningKey, ...]:
        """The keys of this moment, oldest first."""
        return self._keys

    async def start(self) -> None:
        await self._watched.start()

    async def close(self) -> None:
        await self._watched.close()

    def look(self) -> None:
        """Read the folder now if it changed."""
        self._watched.look()

    def _adopt(self, found: tuple[SigningKey, ...]) -> None:
        known = {key.kid: key for key in self._keys}
        now = self._clock.now()
        arrived = (known.get(key.kid) or replace(key, created_at=max(key.created_at, now)) for key in found)
        self._keys = tuple(sorted(arrived, key=lambda key: (key.created_at, key.kid)))
