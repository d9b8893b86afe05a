"""The other service's operations listener, asked for its signed checkpoints and for the ones it witnessed.

Nothing that it answers is believed without a signature; an answer that is late, long or strange is an outage.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from service_kit.audit.anchors import After
from service_kit.errors import UnavailableError
from service_kit.strict_json import parse_object

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5, connect=1)
_MOST_BYTES: Final = 512 * 1024
_OK: Final = 200


class HttpPeer:
    """A peer at an address; each question has a connection of its own, once in a while."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def notes(self, path: str, after: After | None) -> Sequence[str]:
        query = {}
        if after is not None:
            query = {"after": after.at.astimezone(UTC).isoformat(), "chain": after.chain}
        try:
            async with self._asked(self._url + path, query) as response:
                if response.status != _OK:
                    raise _away()
                return _read(await _bounded(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _away() from error

    @contextlib.asynccontextmanager
    async def _asked(self, url: str, query: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False, auto_decompress=False) as session,
            session.get(url, params=query, allow_redirects=False) as response,
        ):
            yield response


def peer_address(value: str) -> str:
    """The address of an operations listener. Raises ValueError."""
    parts = urlsplit(value)
    plain = parts.path in {"", "/"} and not parts.query and not parts.fragment and parts.username is None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise ValueError("must be http://host:port, the other service's operations listener")
    return value.rstrip("/")


def _read(body: bytes) -> Sequence[str]:
    notes = parse_object(body, max_bytes=_MOST_BYTES).get("notes")
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ValueError("no list of notes")
    return notes


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError("too long")
    return bytes(body)


def _away() -> UnavailableError:
    return UnavailableError("AUDIT_PEER_UNAVAILABLE", "The other service's checkpoints cannot be read now")
