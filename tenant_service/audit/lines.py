"""Rows of an export as lines for the admin service: one row a line, and at last where their chains stand.

Whoever reads no last line has not read all.
"""

from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Final

from service_kit.audit.export_formats import ndjson_line
from service_kit.audit.export_rows import ExportWalk

EXPORT_HEADERS: Final = {"Content-Type": "application/x-ndjson"}
EXPORT_PATIENCE: Final = 3600.0
"""How long the admin service may take no line: it merges two logs, and while it sends the other one's rows
it takes none of ours. It is the one that gives up a client who reads nothing.
"""

_PIECE: Final = 32 * 1024


async def exported_lines(walk: ExportWalk) -> AsyncGenerator[bytes]:
    """The lines, in pieces of some kilobytes. Raises UnavailableError when the database is away."""
    buffer = bytearray()
    async for one in walk.rows():
        buffer += ndjson_line({"row": one.row, "person": one.person})
        if len(buffer) >= _PIECE:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer) + ndjson_line({"chains": [asdict(place) for place in walk.places]})
