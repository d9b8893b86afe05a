"""Fetches the bytes of the team's key set over HTTP, within strict limits.

It follows no redirect, keeps no cookie, reads no more than a megabyte and waits no longer than five
seconds. It neither parses keys nor decides when to fetch: those are `jwk_set` and `key_set`.
"""

import asyncio
import ipaddress
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

import aiohttp

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.jwk_set import MAX_DOCUMENT_BYTES
from service_kit.clock import Clock

CERTS_PATH: Final = "/cdn-cgi/access/certs"

_CHUNK_BYTES: Final = 65_536
_GZIP_WINDOW: Final = 31
_MAX_RETRY_AFTER_DIGITS: Final = 10


class KeySource(Protocol):
    """Where the bytes of the key set come from."""

    async def read(self) -> bytes:
        """The document as it is now. Raises KeyRefreshError."""
        ...


@dataclass(frozen=True, slots=True)
class FetchLimits:
    total_seconds: float = 5.0
    max_bytes: int = MAX_DOCUMENT_BYTES


def certs_url(team_domain: str) -> str:
    """Where a team publishes its keys (R-044)."""
    return team_domain.rstrip("/") + CERTS_PATH


def open_jwks_session() -> aiohttp.ClientSession:
    """A session for one fetch: no cookies, no environment proxies, no decompression behind our back."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),  # the whole fetch has one deadline, below
    )


class HttpKeySource:
    """Reads the key set from one https URL; each fetch resolves and connects anew.

    Raises ValueError at construction for any other URL. `insecure_allow_loopback_http` admits
    plain http to this machine only, for development and tests.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        session_factory: Callable[[], aiohttp.ClientSession] = open_jwks_session,
        limits: FetchLimits | None = None,
        insecure_allow_loopback_http: bool = False,
    ) -> None:
        _require_safe(urlsplit(url), loopback_http=insecure_allow_loopback_http)
        self._url = url
        self._clock = clock
        self._open_session = session_factory
        self._limits = limits or FetchLimits()

    async def read(self) -> bytes:
        try:
            async with (
                asyncio.timeout(self._limits.total_seconds),
                self._open_session() as session,
                session.get(
                    self._url,
                    # A redirect would let whoever answers once choose whose keys we trust
                    # (GHSA-9v7f-9g4p-ffgj).
                    allow_redirects=False,
                    headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                ) as response,
            ):
                self._require_success(response)
                return self._decoded(response, await self._body(response))
        except TimeoutError:
            raise KeyRefreshError(RefreshOutcome.TIMEOUT) from None
        except (aiohttp.ClientError, OSError) as error:
            raise KeyRefreshError(RefreshOutcome.UNREACHABLE) from error

    def _require_success(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if status == HTTPStatus.OK:
            return
        redirected = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
        raise KeyRefreshError(
            RefreshOutcome.REDIRECT if redirected else RefreshOutcome.STATUS,
            retry_after=_retry_after(response.headers.get("Retry-After", ""), self._clock.now()),
        )

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._limits.max_bytes:
                raise KeyRefreshError(RefreshOutcome.TOO_LARGE)
        return bytes(body)

    def _decoded(self, response: aiohttp.ClientResponse, body: bytes) -> bytes:
        # We ask for identity, but a middlebox may compress all the same: unpack a megabyte, no more.
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding == "identity":
            return body
        if encoding != "gzip":
            raise KeyRefreshError(RefreshOutcome.ENCODING)
        unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            plain = unpacker.decompress(body, self._limits.max_bytes)
        except zlib.error:
            raise KeyRefreshError(RefreshOutcome.ENCODING) from None
        if len(plain) >= self._limits.max_bytes:
            raise KeyRefreshError(RefreshOutcome.TOO_LARGE)
        if not unpacker.eof:
            raise KeyRefreshError(RefreshOutcome.ENCODING)
        return plain


def _require_safe(url: SplitResult, *, loopback_http: bool) -> None:
    # urllib-style fetchers read file: and data: too (CVE-2026-48522).
    if url.scheme != "https" and not (url.scheme == "http" and loopback_http and _is_loopback(url.hostname)):
        raise ValueError("the key set is read over https only")
    if not url.hostname or url.username is not None or url.query or url.fragment:
        raise ValueError("the address of the key set is a plain https://<team>.cloudflareaccess.com/… URL")


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _retry_after(value: str, now: datetime) -> float | None:
    if value.isascii() and value.isdigit() and len(value) <= _MAX_RETRY_AFTER_DIGITS:
        return float(value)
    try:
        when = datetime.strptime(value, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (when - now).total_seconds()
