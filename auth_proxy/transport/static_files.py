"""Serves the files of a folder to whom the gate let in; nothing outside of it, and nothing hidden.

The file itself, its ETag, ranges and precompressed twins are aiohttp's: this module only decides
which file, and refuses what leads out of the folder (R-160).
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from auth_proxy.destinations import StaticFolder
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusal_rendering import SERVER
from auth_proxy.refusals import Reason, Refusal

_INDEX: Final = "index.html"
_WELL_KNOWN: Final = ".well-known"


@dataclass(frozen=True, slots=True)
class _Found:
    """What a path names: a file, or the index of a folder."""

    file: Path
    is_folder: bool = False


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
        found = await asyncio.to_thread(self._find, path, spa_fallback=route.spa_fallback)
        if found is None:
            raise Refusal(Reason.FILE_NOT_FOUND).at(name)
        response = _answer(found, signed, request_id)
        try:
            await response.prepare(_without_unproven_range(request))
        except OverflowError as error:  # a conditional header with a date that no calendar has
            raise Refusal(Reason.REQUEST_MALFORMED, "date").at(name) from error
        await response.write_eof()
        return response

    def _find(self, path: str, *, spa_fallback: bool) -> _Found | None:
        segments = [unquote(segment) for segment in path.split("/") if segment]
        if any(_is_hidden(segment) for segment in segments):
            return None
        found = self._inside(self._root.joinpath(*segments))
        if found is not None and (found.is_folder or not path.endswith("/")):
            return found
        if not spa_fallback or "." in (segments or [""])[-1]:
            return None
        # A page of the frontend's own router; a missing script or image must stay missing.
        index = self._inside(self._root)
        return None if index is None else _Found(index.file)

    def _inside(self, candidate: Path) -> _Found | None:
        """The file, or the index of a folder; symbolic links are followed only within the root."""
        try:
            file = candidate.resolve(strict=True)
            is_folder = file.is_dir()
            file = (file / _INDEX).resolve(strict=True) if is_folder else file
        except (OSError, ValueError, RuntimeError):  # not there, NUL in the name, links in a circle
            return None
        return _Found(file, is_folder) if file.is_file() and file.is_relative_to(self._root) else None


class _FileOnce(web.FileResponse):
    """A file that is sent once: the server prepares every answer again, and aiohttp would open it anew."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None if self.prepared else await super().prepare(request)


def _answer(found: _Found, signed: SignedGrant, request_id: str) -> web.StreamResponse:
    asked, mark, query = signed.grant.person.screened.inbound.target.partition("?")
    if found.is_folder and not asked.endswith("/"):
        # Without the slash the page's relative links would lead beside the folder.
        headers = {**_headers(request_id), "Location": f"{asked}/{mark}{query}"}
        return web.Response(status=308, headers=headers)
    return _FileOnce(found.file, headers=_headers(request_id))


def _without_unproven_range(request: web.BaseRequest) -> web.BaseRequest:
    """By an ETag, aiohttp judges no If-Range: a part must not complete another version of a file."""
    if "If-Range" not in request.headers or request.if_range is not None:
        return request
    headers = request.headers.copy()
    headers.popall("Range", None)
    return request.clone(headers=headers)


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
