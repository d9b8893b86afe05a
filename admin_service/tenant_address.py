"""Where the tenant service listens, and the session that asks it; no proof and no cookie is kept in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

_CONNECTIONS: Final = 32
_KEEPALIVE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the tenant service listens: a base URL, and a unix socket where it has one."""

    base: str
    socket: str = ""

    def url(self, path: str, query: Mapping[str, str]) -> URL:
        """`path` is sent byte for byte: it holds only what we quoted."""
        return URL(self.base + path, encoded=True).with_query(query or None)


def parse_address(url: str) -> Address:
    """`http://host:port` or `http+unix:///path/of/socket`. Raises ValueError, without the value."""
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be http://host:port or http+unix:///path")
    if parts.scheme == "http+unix" and not parts.netloc and parts.path.startswith("/"):
        return Address("http://tenant-service", unquote(parts.path))
    if parts.scheme == "http" and parts.hostname and parts.path in {"", "/"}:
        return Address(f"http://{parts.netloc}")
    raise ValueError("must be http://host:port or http+unix:///path")


def open_session(address: Address) -> aiohttp.ClientSession:
    connector: aiohttp.BaseConnector
    if address.socket:
        connector = aiohttp.UnixConnector(
            address.socket, limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_SECONDS
        )
    else:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_SECONDS)
    return aiohttp.ClientSession(
        connector=connector,
        # One session serves every operator: a jar would carry one operator's cookie to the next.
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
