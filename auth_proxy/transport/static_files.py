"""Serves the files of a folder to whom the gate let in; nothing outside of it, and nothing hidden.

The file itself, its ETag, ranges and precompressed twins are aiohttp's: this module only decides
which file, and refuses what leads out of the folder (R-160).
"""

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from auth_proxy.destinations import StaticFolder
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusal_rendering import SERVER
from auth_proxy.refusals import Reason, Refusal

_INDEX: Final = "index.html"
_WELL_KNOWN: Final = ".well-known"


class StaticFiles:
    """One folder as an upstream."""

    def __init__(self, folder: StaticFolder) -> None:
        self._root = folder.root

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The file, already sent. Raises Refusal(FILE_NOT_FOUND or METHOD_NOT_ALLOWED)."""
        route, name = signed.grant.route, signed.grant.route.name
        if request.method not in ("GET", "HEAD"):
            raise Refusal(Reason.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"}).at(name)
        path = signed.grant.forwarded_target.partition("?")[0]
        file = await asyncio.to_thread(self._file, path, spa_fallback=route.spa_fallback)
        if file is None:
            raise Refusal(Reason.FILE_NOT_FOUND).at(name)
        response = web.FileResponse(file, headers=_headers(request_id))
        await response.prepare(request)
        await response.write_eof()
        return response

    def _file(self, path: str, *, spa_fallback: bool) -> Path | None:
        segments = [unquote(segment) for segment in path.split("/") if segment]
        if any(_is_hidden(segment) for segment in segments):
            return None
        found = self._inside(self._root.joinpath(*segments))
        if found is not None or not spa_fallback or "." in (segments or [""])[-1]:
            return found
        # A page of the frontend's own router; a missing script or image must stay missing.
        return self._inside(self._root)

    def _inside(self, candidate: Path) -> Path | None:
        """The file, or the index of a folder; symbolic links are followed only within the root."""
        try:
            found = candidate.resolve(strict=True)
            found = (found / _INDEX).resolve(strict=True) if found.is_dir() else found
        except (OSError, ValueError, RuntimeError):  # not there, NUL in the name, links in a circle
            return None
        return found if found.is_file() and found.is_relative_to(self._root) else None


def _is_hidden(segment: str) -> bool:
    # .git, .env and the like are left in web folders by accident. A slash could only have been encoded.
    return (segment.startswith(".") and segment != _WELL_KNOWN) or "/" in segment or "\\" in segment


def _headers(request_id: str) -> dict[str, str]:
    return {
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        "Server": SERVER,
    }
