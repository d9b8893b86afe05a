"""Rows of several sources as one list, newest first, holding one row of each."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from admin_service.audit.models import AuditSource
from service_kit.audit.export_places import ChainPlace
from service_kit.audit.export_rows import ExportedRow


class RowSource(Protocol):
    """Rows of one service, newest first. `places` is there once all of them were read."""

    @property
    def places(self) -> Sequence[ChainPlace]: ...

    def rows(self) -> AsyncIterator[ExportedRow]:
        """Raises UnavailableError when they break off."""
        ...


async def merged(
    sources: Mapping[AuditSource, RowSource],
) -> AsyncIterator[tuple[AuditSource, ExportedRow]]:
    """Every row of every source; ids are sortable, so the order is total."""
    streams = {source: found.rows() for source, found in sources.items()}
    waiting = {source: await anext(rows, None) for source, rows in streams.items()}
    while ready := {source: one for source, one in waiting.items() if one is not None}:
        source = max(ready, key=lambda name: ready[name].key)
        yield source, ready[source]
        waiting[source] = await anext(streams[source], None)
