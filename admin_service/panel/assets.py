"""The panel's static files under names that carry the hash of their content.

Reads the folder once, at composition; serves nothing and touches no disk afterwards.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

URL_PREFIX = "/static/panel/"
HASH_DIGITS = 16
CONTENT_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent; it may be cached for ever, because its name changes with its body."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """Hashed names both ways: from the plain name to the URL, from the requested name to the body."""

    hashed_names: Mapping[str, str]
    by_hashed_name: Mapping[str, Asset]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises ValueError for a kind of file that the panel does not serve."""
        names: dict[str, str] = {}
        found: dict[str, Asset] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix not in CONTENT_TYPES:
                raise ValueError(f"the panel serves no {path.suffix or 'extensionless'} files: {path.name}")
            body = path.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:HASH_DIGITS]
            names[path.name] = f"{path.stem}.{digest}{path.suffix}"
            found[names[path.name]] = Asset(body, CONTENT_TYPES[path.suffix])
        return cls(names, found)

    def url(self, name: str) -> str:
        """`panel.css` → `/static/panel/panel.<hash>.css`. Raises KeyError for an unknown file."""
        return URL_PREFIX + self.hashed_names[name]

    def find(self, hashed_name: str) -> Asset | None:
        """The file of exactly this hashed name: a look-up, so no path can lead out of the folder."""
        return self.by_hashed_name.get(hashed_name)
