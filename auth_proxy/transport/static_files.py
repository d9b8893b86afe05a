"""Serves the files of a folder to whom the gate let in; nothing outside of it, and nothing hidden.

The ETag, ranges and precompressed twins are aiohttp's: this module decides which file, opens it, and
refuses what leads out of the folder (R-160), also when a link is put there between the two. A transfer
breaks off visibly when its grant no longer holds. It touches names that aiohttp does not document;
pyproject.toml pins the range.
"""

import asyncio
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import unquote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_fileresponse import ENCODING_EXTENSIONS

from auth_proxy.destinations import StaticFolder
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusal_rendering import SERVER
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport.standing import Watch

_INDEX: Final = "index.html"
_WELL_KNOWN: Final = ".well-known"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a named pipe is not waited for


@dataclass(frozen=True, slots=True)
class _Found:
    """What a path names: a file, or the index of a folder."""

    file: Path
    is_folder: bool = False


class StaticFiles:
    """One folder as an upstream."""

    def __init__(
        self, folder: StaticFolder, watch: Watch, *, ended: Callable[[Reason], None] = lambda _reason: None
    ) -> None:
        self._root = folder.root
        self._finder = FileFinder(folder)
        self._watch = watch
        self._ended = ended

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The file, already sent. Raises Refusal(FILE_NOT_FOUND or METHOD_NOT_ALLOWED)."""
        found = await self._finder.find(signed)
        end = _Ending(request, self._ended)
        with self._watch.over(signed.grant, end):
            response = _answer(found, self._root, signed, request_id)
            try:
                await response.prepare(_without_unproven_range(request))
            except OverflowError as error:  # a conditional header with a date that no calendar has
                raise Refusal(Reason.REQUEST_MALFORMED, "date").at(signed.grant.route.name) from error
            except _GoneError as error:
                raise Refusal(Reason.FILE_NOT_FOUND).at(signed.grant.route.name) from error
            await response.write_eof()
        return response


class FileFinder:
    """Decides which file of a folder a request names; it sends nothing."""

    def __init__(self, folder: StaticFolder) -> None:
        self._root = folder.root

    async def find(self, signed: SignedGrant) -> _Found:
        """What would be sent. Raises Refusal(FILE_NOT_FOUND or METHOD_NOT_ALLOWED)."""
        route, name = signed.grant.route, signed.grant.route.name
        if signed.grant.person.screened.inbound.method not in ("GET", "HEAD"):
            raise Refusal(Reason.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"}).at(name)
        path = signed.grant.forwarded_target.partition("?")[0]
        found = await asyncio.to_thread(self._find, path, spa_fallback=route.spa_fallback)
        if found is None:
            raise Refusal(Reason.FILE_NOT_FOUND).at(name)
        return found

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
        if not file.is_file() or not file.is_relative_to(self._root):
            return None
        # A link may hide what it leads to: env.txt -> .env.
        is_hidden = any(_is_hidden(part) for part in file.relative_to(self._root).parts)
        return None if is_hidden else _Found(file, is_folder)


class _Ending:
    """Breaks a transfer off when its grant has lapsed. Made within the task that sends."""

    def __init__(self, request: web.BaseRequest, ended: Callable[[Reason], None]) -> None:
        self._request, self._ended = request, ended
        self._task = asyncio.current_task()

    def __call__(self, reason: Reason) -> None:
        self._ended(reason)
        # First the task: sendfile takes its socket out of the event loop only while that is still open.
        if self._task is not None:
            self._task.cancel()
        if self._request.transport is not None:
            self._request.transport.abort()


class _GoneError(Exception):
    """What was found is no longer there, or no longer what was found."""


def _open_inside(root: Path, file: Path) -> io.BufferedReader:
    """Open a file whose path was resolved. Raises OSError, also for a link that came there since.

    aiohttp would open by name: who swaps a folder or file for a link in that moment reads any file.
    """
    *folders, name = file.relative_to(root).parts
    at = os.open(root, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        return os.fdopen(os.open(name, _FILE, dir_fd=at), "rb")
    finally:
        os.close(at)


class _Opened:
    """A regular file that is open already, in the place of the path that aiohttp would open."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.file = file
        self.status = os.fstat(file.fileno())

    @classmethod
    def below(cls, root: Path, path: Path) -> "_Opened | None":
        try:
            opened = cls(_open_inside(root, path))
        except OSError:
            return None
        if stat.S_ISREG(opened.status.st_mode):
            return opened
        opened.file.close()
        return None

    def open(self, _mode: str) -> io.BufferedReader:
        return self.file


class _FileOnce(web.FileResponse):
    """A file that is opened and sent once: the server prepares every answer again.

    Raises _GoneError from `prepare` when what was found cannot be opened.
    """

    def __init__(self, root: Path, file: Path, headers: dict[str, str]) -> None:
        super().__init__(file, headers=headers)
        self._root = root
        self._opened: _Opened | None = None

    def _get_file_path_stat_encoding(
        self, accept_encoding: str
    ) -> tuple[Path | None, os.stat_result, str | None]:
        """The file or its precompressed twin, already open: what was judged is what is sent."""
        twins = [item for item in ENCODING_EXTENSIONS.items() if item[1] in accept_encoding]
        for suffix, encoding in (*twins, ("", None)):
            opened = _Opened.below(self._root, self._path.with_name(self._path.name + suffix))
            if opened is not None:
                self._opened = opened
                return cast("Path", opened), opened.status, encoding
        raise _GoneError

    def _make_response(self, request: web.BaseRequest, accept_encoding: str) -> Any:
        sends = False
        try:
            made = super()._make_response(request, accept_encoding)
            sends = made[1] is not None
            return made
        finally:
            if self._opened is not None and not sends:
                self._opened.file.close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None if self.prepared else await super().prepare(request)


def _answer(found: _Found, root: Path, signed: SignedGrant, request_id: str) -> web.StreamResponse:
    asked, mark, query = signed.grant.person.screened.inbound.target.partition("?")
    if found.is_folder and not asked.endswith("/"):
        # Without the slash the page's relative links would lead beside the folder.
        headers = {**_headers(request_id), "Location": f"{asked}/{mark}{query}"}
        return web.Response(status=308, headers=headers)
    return _FileOnce(root, found.file, _headers(request_id))


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
