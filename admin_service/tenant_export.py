"""The tenant service's rows for an export, read line by line from one answer that may be long.

One request for all of it: the operator's leave ends half a minute after it was given, and an export may take
longer. An answer that ends before its last line is an outage, never a shorter log.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import aiohttp
from yarl import URL

from service_kit.audit.export_places import ChainPlace
from service_kit.audit.export_rows import ExportedRow, row_columns
from service_kit.errors import ProblemError, UnavailableError
from service_kit.strict_json import StrictJsonError, parse_object

_CONNECT_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 60.0
_MOST_LINE: Final = 16 * 1024 * 1024
"""The last line names every chain: half a kilobyte for each tenant."""

_MOST_PROBLEM: Final = 64 * 1024
_OK: Final = 200


class TenantExport:
    """The rows, and after the last one where their chains stand."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._columns = row_columns()
        self.places: Sequence[ChainPlace] = ()

    async def rows(self) -> AsyncIterator[ExportedRow]:
        """Raises UnavailableError when the answer breaks off or is none that we can read."""
        ended = False
        async for line in self._lines():
            found = _parsed(line)
            if ended:
                raise _unavailable()
            if "chains" in found:
                self.places, ended = _places(found["chains"]), True
            else:
                yield self._row(found)
        if not ended:
            raise _unavailable()

    def _row(self, found: Mapping[str, Any]) -> ExportedRow:
        row, person = found.get("row"), found.get("person")
        if not isinstance(row, dict) or row.keys() != self._columns or not isinstance(person, dict | None):
            raise _unavailable()
        return ExportedRow(row, person)

    async def _lines(self) -> AsyncIterator[bytes]:
        rest = bytearray()  # grows in place: a long line comes in a thousand chunks
        try:
            async for chunk in self._content.iter_any():
                first, *others = chunk.split(b"\n")
                rest += first
                for other in others:
                    yield bytes(rest)
                    rest = bytearray(other)
                if len(rest) > _MOST_LINE:
                    raise _unavailable()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable() from error
        if rest:
            raise _unavailable()


@contextlib.asynccontextmanager
async def open_export(
    session: aiohttp.ClientSession,
    url: URL,
    headers: Mapping[str, str],
    refusal: Callable[[int, bytes], ProblemError],
) -> AsyncIterator[TenantExport]:
    """The answer, begun. Raises UnavailableError, or the tenant service's own refusal."""
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    try:
        response = await session.get(url, headers=headers, allow_redirects=False, timeout=timeout)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unavailable() from error
    try:
        if response.status != _OK:
            raise refusal(response.status, await _problem(response))
        yield TenantExport(response.content)
    finally:
        response.close()


async def _problem(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.read(_MOST_PROBLEM)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unavailable() from error


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(line, max_bytes=_MOST_LINE)
    except StrictJsonError as error:
        raise _unavailable() from error


def _places(found: object) -> Sequence[ChainPlace]:
    try:
        return tuple([ChainPlace(**one) for one in found]) if isinstance(found, list) else ()
    except TypeError as error:
        raise _unavailable() from error


def _unavailable() -> UnavailableError:
    return UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service does not answer")
