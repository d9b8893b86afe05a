"""Holds the keys that prove the team's tokens, and renews them without ever stopping a request.

It never trades good keys for none: whatever the endpoint answers, the last good set stays until a
better one replaces it or until it is too old to trust. It never lets tokens decide how often it
fetches (CVE-2026-48524).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.jwk_set import parse_jwk_set, require_fit
from auth_proxy.access.key_source import KeySource
from auth_proxy.access.refresh_pace import RefreshPace, RefreshPolicy
from auth_proxy.refusals import Reason, Refusal
from service_kit.clock import Clock

_NEVER: Final = float("-inf")


class KeySet(Protocol):
    """The keys a signature may be made with, by `kid`."""

    @property
    def generation(self) -> int:
        """Grows whenever any key of the set changes."""
        ...

    def has(self, kid: str, key: RSAPublicKey) -> bool:
        """Whether exactly this key is still trusted under this `kid`."""
        ...

    def known(self, kid: str) -> RSAPublicKey | None:
        """The key, if it is held already and may be trusted."""
        ...

    async def key(self, kid: str) -> RSAPublicKey | None:
        """The key, or None when the team does not publish it. Raises Refusal(KEYS_UNAVAILABLE)."""
        ...

    def signature_verified(self) -> None:
        """A signature was checked with a key of this set and is good."""

    def signature_refused(self) -> None:
        """A token was refused because its signature does not match its key of this set."""


class KeySetObserver(Protocol):
    """Who counts what happens to the key set."""

    def refresh(self, outcome: RefreshOutcome) -> None:
        """One fetch has ended."""

    def unknown_kid(self) -> None:
        """A token named a key that the loaded set does not hold."""


class NobodyWatches:
    """Counts nothing: for commands that verify one token and end."""

    def refresh(self, outcome: RefreshOutcome) -> None:
        pass

    def unknown_kid(self) -> None:
        pass


class StaticKeySet:
    """Keys that never change, for `explain` and for tests. Raises ValueError for an unfit key."""

    def __init__(self, keys: Mapping[str, RSAPublicKey]) -> None:
        self._keys = {kid: require_fit(key) for kid, key in keys.items()}

    @property
    def generation(self) -> int:
        return 1

    def has(self, kid: str, key: RSAPublicKey) -> bool:
        return self._keys.get(kid) == key

    def known(self, kid: str) -> RSAPublicKey | None:
        return self._keys.get(kid)

    async def key(self, kid: str) -> RSAPublicKey | None:
        return self.known(kid)

    def signature_verified(self) -> None:
        pass

    def signature_refused(self) -> None:
        pass


class RemoteKeySet:
    """The team's published keys: cached, renewed in the background, fetched by one flight at a time.

    `start` begins the background renewal and never fails; `close` ends it. While a fetch hangs, only
    tokens whose `kid` is unknown wait for it. Three refused signatures in a row ask for a fresh set
    (R-047); the old keys stay until it has come.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        clock: Clock,
        policy: RefreshPolicy | None = None,
        observer: KeySetObserver | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._policy = policy or RefreshPolicy()
        self._pace = RefreshPace(self._policy, clock=clock, chance=chance)
        self._observer = observer or NobodyWatches()
        self._sleep = sleep
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._generation = 0
        self._loaded_at = _NEVER
        self._last_success: datetime | None = None
        self._last_outcome: RefreshOutcome | None = None
        self._strikes = 0
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def ready(self) -> bool:
        """Whether tokens can be proven now: keys are here and not past the hard age."""
        return bool(self._trusted())

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the last good fetch; None before the first."""
        return None if self._last_success is None else self._clock.monotonic() - self._loaded_at

    @property
    def last_success(self) -> datetime | None:
        return self._last_success

    @property
    def last_outcome(self) -> RefreshOutcome | None:
        """How the last fetch ended, for readiness and `doctor`; None before the first."""
        return self._last_outcome

    @property
    def key_count(self) -> int:
        return len(self._trusted())

    async def start(self) -> None:
        """Begin to renew; the first fetch is under way when this returns, and may fail."""
        _ = self._launch()
        self._keeper = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        self._closed = True
        tasks = [task for task in (self._keeper, self._flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def has(self, kid: str, key: RSAPublicKey) -> bool:
        # A renewed set keeps the objects of unchanged keys, so identity is equality here.
        return self._trusted().get(kid) is key

    def known(self, kid: str) -> RSAPublicKey | None:
        return self._trusted().get(kid)

    async def key(self, kid: str) -> RSAPublicKey | None:
        found = self.known(kid)
        if found is not None:
            return found
        if self.ready:
            self._observer.unknown_kid()
        # Nothing promises that a key is published before it signs, so a timer alone is not enough.
        # Twice, because a flight that was under way may bring an answer older than the rotation.
        for _ in range(2):
            flight = self._flight_under_way() or self._force()
            if flight is None:
                break
            # wait, unlike await, leaves the flight alone when this request is cancelled.
            await asyncio.wait({flight})
            if (found := self._trusted().get(kid)) is not None:
                return found
        if self._pace.failing or not self.ready:
            raise Refusal(Reason.KEYS_UNAVAILABLE, "the team's key set cannot be fetched")
        return None

    def signature_verified(self) -> None:
        self._strikes = 0

    def signature_refused(self) -> None:
        self._strikes += 1
        # Without a turn the strikes stand, so that the next refusal asks again.
        if self._strikes >= self._policy.strikes and self._force() is not None:
            self._strikes = 0

    def _trusted(self) -> Mapping[str, RSAPublicKey]:
        age = self._clock.monotonic() - self._loaded_at
        return self._keys if age < self._policy.hard_age_seconds else {}

    def _flight_under_way(self) -> asyncio.Task[None] | None:
        return None if self._flight is None or self._flight.done() else self._flight

    def _force(self) -> asyncio.Task[None] | None:
        return None if self._closed or not self._pace.take_forced_turn() else self._launch()

    def _launch(self) -> asyncio.Task[None]:
        flight = self._flight_under_way() or asyncio.create_task(self._refresh())
        self._flight = flight
        return flight

    async def _keep_fresh(self) -> None:
        while True:
            pause = self._pace.seconds_until_due()
            if pause:
                await self._sleep(pause)
            else:
                await asyncio.wait({self._launch()})

    async def _refresh(self) -> None:
        try:
            self._adopt(parse_jwk_set(await self._source.read()))
        except KeyRefreshError as error:
            self._pace.failed(retry_after=error.retry_after)
            self._report(error.outcome)
        except Exception:  # noqa: BLE001 - whatever it was, renewal must outlive it; it shows as `internal`
            self._pace.failed()
            self._report(RefreshOutcome.INTERNAL)
        else:
            self._pace.succeeded()
            self._report(RefreshOutcome.OK)

    def _report(self, outcome: RefreshOutcome) -> None:
        self._last_outcome = outcome
        self._observer.refresh(outcome)

    def _adopt(self, fetched: dict[str, RSAPublicKey]) -> None:
        known = self._keys
        renewed = {kid: known[kid] if known.get(kid) == key else key for kid, key in fetched.items()}
        if renewed != known:
            self._generation += 1
        self._keys = renewed
        self._loaded_at = self._clock.monotonic()
        self._last_success = self._clock.now()
