"""A list as a CSV file: exactly the filter that its page shows, read page by page while it is sent.

It never sends a part for the whole: a file that was cut at the bound says so in its last line, and one
whose source failed breaks off, so that the browser calls the download failed.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from aiohttp import web

from admin_service.panel.context import PanelServices
from service_kit.audit.export_formats import csv_line, guarded
from service_kit.errors import BadRequestError
from service_kit.web.api import Call
from service_kit.web.streaming import send_stream

FORMAT: Final = "format"
CSV: Final = "csv"
MOST_ROWS: Final = 20_000
"""The operator's leave ends half a minute after it was given; this many rows come long before."""

_SEARCH: Final = "q"
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Chunk(Generic[R]):
    """One page of a list, and where the next begins; an empty cursor is the end."""

    rows: Sequence[R]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class ListFile(Generic[R]):
    """A list to send. `fetch` answers the page at a cursor; an empty one is the first."""

    name: str
    head: tuple[str, ...]
    cells: Callable[[R], Iterable[object]]
    fetch: Callable[[str], Awaitable[Chunk[R]]]
    filters: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    """The tenant whose list it is."""
    most: int = MOST_ROWS


def wants_file(call: Call) -> bool:
    """Whether the address asks for the list as a file. Raises BadRequestError for a format nobody makes."""
    wanted = call.request.query.get(FORMAT, "")
    if wanted not in {"", CSV}:
        raise BadRequestError("QUERY_INVALID", "A list is made as a page or as CSV")
    return wanted == CSV


def filters_refused(why: str) -> BadRequestError:
    """A page shows what it can and says the rest; a file has nobody to tell."""
    return BadRequestError("QUERY_INVALID", f"No file was made. {why}")


async def send_list(services: PanelServices, call: Call, file: ListFile[R]) -> web.StreamResponse:
    """The file. Before the first byte it raises what `fetch` raises, and what `ListExports.open` does."""
    headers = _headers(services, file)
    if call.request.method == "HEAD":  # nothing leaves the house, so nothing is recorded
        return web.Response(headers=headers)
    first = await file.fetch("")
    details, personal = _told(file)
    async with services.exports.open(call, file.name, details, personal):
        return await send_stream(call.request, headers, _pieces(file, first))


async def _pieces(file: ListFile[R], first: Chunk[R]) -> AsyncGenerator[bytes]:
    yield csv_line(file.head)
    chunk, left = first, file.most
    while True:
        rows = chunk.rows[:left]
        left -= len(rows)
        if rows:
            yield b"".join(csv_line(map(_cell, file.cells(row))) for row in rows)
        if len(rows) < len(chunk.rows) or (chunk.next_cursor and not left):
            yield _cut_line(file)
            return
        if not chunk.next_cursor:
            return
        chunk = await file.fetch(chunk.next_cursor)


def _cell(value: object) -> str:
    """A number is ours, and may be negative; every text may be anybody's."""
    return str(value) if isinstance(value, int) else guarded(value)


def _cut_line(file: ListFile[R]) -> bytes:
    """As many cells as every other record (RFC 4180, 2.4)."""
    told = f"# incomplete: only the first {file.most} rows are here; narrow the filters"
    return csv_line((told, *("" for _name in file.head[1:])))


def one_chunk(rows: Sequence[R]) -> Callable[[str], Awaitable[Chunk[R]]]:
    """For a list that its service answers as a whole."""

    async def fetch(_cursor: str) -> Chunk[R]:
        return Chunk(rows)

    return fetch


def _headers(services: PanelServices, file: ListFile[R]) -> dict[str, str]:
    """Nothing of the file's name comes from the query."""
    name = f"{file.name}-{services.clock.now():%Y-%m-%d}.csv"
    return {
        "Content-Type": "text/csv; charset=utf-8; header=present",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Row-Limit": str(file.most),
    }


def _told(file: ListFile[R]) -> tuple[dict[str, object], dict[str, object]]:
    """What the log keeps of it; text that was searched for may name a person, and can be erased."""
    given = {name: value for name, value in file.filters.items() if value}
    search = given.pop(_SEARCH, "")
    details: dict[str, object] = {"format": CSV, "filters": given}
    if file.about:
        details["organizationId"] = file.about
    return details, {"search": search} if search else {}
