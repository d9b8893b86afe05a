"""The public keys of the internal identity: from a file, or from the sidecar's operations listener.

A set that cannot be fetched or parsed never replaces a good one; a token that names an unknown key
may cause one fetch a second, not more.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service_kit.clock import Clock
from service_kit.identity.keys import KeyFileError, parse_public_jwks
from service_kit.identity.verifying import KeysNotLoadedError
from service_kit.telemetry.logging import get_logger
from service_kit.web.ops import Readiness

REFRESH_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 1.0
_FLOOR_SECONDS: Final = 1.0
_MOST_BYTES: Final = 64 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=3)

_log = get_logger(__name__)


class Fetch(Protocol):
    """Gets the bytes of the JWK set."""

    async def __call__(self) -> bytes: ...


class JwksSource:
    """Public keys that are refreshed in the background."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, Ed25519PublicKey] | None = None
        self._last_try = float("-inf")
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load once and keep fresh. The sidecar may be away: then nothing is proven until it answers."""
        await self._refresh()
        self._task = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def key(self, kid: str) -> Ed25519PublicKey | None:
        if self._keys is None or kid not in self._keys:
            await self._refresh_for_unknown_key()
        if self._keys is None:
            raise KeysNotLoadedError
        return self._keys.get(kid)

    async def readiness(self) -> Readiness:
        loaded = self._keys is not None
        return Readiness("identity_keys", loaded, "" if loaded else "the public keys were never loaded")

    async def _refresh_for_unknown_key(self) -> None:
        async with self._lock:
            if self._clock.monotonic() - self._last_try >= _FLOOR_SECONDS:
                await self._refresh()

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS if self._keys is not None else _RETRY_SECONDS)
            async with self._lock:
                await self._refresh()

    async def _refresh(self) -> None:
        try:
            self._keys = parse_public_jwks(await self._fetch())
        except (KeyFileError, OSError, aiohttp.ClientError, TimeoutError) as error:
            _log.warning("identity_keys_not_refreshed", cause=type(error).__name__)
        finally:
            # The end counts: requests that waited for a slow fetch must not each begin another one.
            self._last_try = self._clock.monotonic()


def open_jwks_source(*, url: str | None, file: Path | None, clock: Clock) -> JwksSource:
    """The source that the settings name. Exactly one of the two is given."""
    if (url is None) == (file is None):
        raise ValueError("set one of INTERNAL_JWKS_URL and INTERNAL_JWKS_FILE")
    if file is not None:
        return JwksSource(_from_file(file), clock)
    return JwksSource(_from_url(str(url)), clock)


def _from_file(path: Path) -> Fetch:
    async def fetch() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    return fetch


def _from_url(url: str) -> Fetch:
    async def fetch() -> bytes:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            body = b""
            async for part in response.content.iter_any():  # read() alone would end with the first packet
                body += part
                if len(body) > _MOST_BYTES:
                    raise KeyFileError("the answer is too long for a JWK set")
            if response.status != 200:  # noqa: PLR2004 - anything else is no key set
                raise KeyFileError("the answer is no JWK set")
            return body

    return fetch
