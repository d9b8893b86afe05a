"""Where a service listens, as settings name it: `http://host:port` or `http+unix:///path`."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

import aiohttp
from pydantic import BeforeValidator

# urlsplit() drops line breaks silently, and a backslash is a slash to some readers.
_VISIBLE: Final = re.compile(r"[!-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class ServiceUrl:
    """A base URL without a path, and the unix socket behind it when there is one."""

    base: str
    socket_path: str = ""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for anything but an http origin or a unix socket."""
        if isinstance(value, cls):
            return value
        text = str(value)
        if text.startswith("http+unix://"):
            path = text.removeprefix("http+unix://")
            if not path.startswith("/"):
                raise ValueError("must name an absolute path: http+unix:///run/service.sock")
            return cls("http://localhost", path)
        origin = _origin(text)
        if origin is None:
            raise ValueError("must be http://host:port or http+unix:///path")
        return cls(origin)

    def __str__(self) -> str:
        return f"http+unix://{self.socket_path}" if self.socket_path else self.base

    def connector(self, *, limit: int = 100) -> aiohttp.BaseConnector:
        if self.socket_path:
            return aiohttp.UnixConnector(self.socket_path, limit=limit)
        return aiohttp.TCPConnector(limit=limit)


def _origin(text: str) -> str | None:
    """The origin that the text names and nothing beside it: no path, no user, a possible port."""
    if not _VISIBLE.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text repeats the value, which may hold a password
        return None
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
    return f"{parts.scheme}://{parts.netloc}" if fits and bare else None


def open_session(url: ServiceUrl, *, limit: int = 100) -> aiohttp.ClientSession:
    """A client that keeps no cookies, decodes nothing and sets no total time: what a proxy needs."""
    return aiohttp.ClientSession(
        connector=url.connector(limit=limit),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, connect=5),
        max_line_size=16 * 1024,
        max_field_size=32 * 1024,  # a frontend's large cookie is no reason for a 502
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


ServiceUrlSetting = Annotated[ServiceUrl, BeforeValidator(ServiceUrl.parse)]
