"""A long export holds one page in memory, at the service and at the auditor (data-model 2.6)."""

import io
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service_kit.audit.export_formats import NdjsonWriter
from service_kit.audit.export_manifest import ManifestMaker
from service_kit.audit.export_proof import prove_export
from service_kit.audit.export_rows import ExportWalk
from service_kit.audit.queries import AuditFilter
from service_kit.db.session import Database
from tests.integration.service_kit.audit.long_log import write_long_log
from tests.integration.service_kit.db.tables import AUDIT, opened

ROWS = 12_000
WATCHED = range(6_000, 9_000)
"""Tracing is slow: it begins when thousands of rows have passed, and counts what the next ones leave."""

MOST_LEFT = 2 * 1024 * 1024
"""A page; three thousand rows would be some eight megabytes."""

MOST_HELD = 4 * 1024 * 1024
"""One page of 250 rows, its JSON, and what the driver keeps of it."""


@pytest.fixture
async def long_log(sqlite_url: str) -> AsyncIterator[Database]:
    async with opened(sqlite_url) as database:
        await write_long_log(database, ROWS)
        yield database


def traced(number: int) -> None:
    """Begin and end tracing by the number of the row."""
    if number == WATCHED.start:
        tracemalloc.start()
    elif number == WATCHED.stop:
        left, held = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (left < MOST_LEFT, held < MOST_HELD) == (True, True), (left, held)


async def test_the_memory_of_an_export_is_flat(long_log: Database, tmp_path: Path) -> None:
    """Twelve thousand rows pass through a few megabytes, and are proven within a few again."""
    writer, maker = NdjsonWriter(), ManifestMaker({"format": "ndjson"}, unfiltered=True)
    walk = ExportWalk(long_log, AUDIT, AuditFilter(), hide_admin_events=False)
    file = tmp_path / "export"
    with file.open("wb") as out:
        async for one in walk.rows():
            maker.add("admin", one)
            out.write(maker.wrote(writer.row("admin", one)))
            traced(maker.rows)
        out.write(writer.trailer(maker.document({"admin": walk.places})))

    lines = 0

    def read(_size: int) -> None:
        nonlocal lines
        lines += 1
        traced(lines)

    with file.open("rb") as stream:
        proof = prove_export(stream, on_bytes=read)

    assert (proof.breaks, proof.hashed, proof.complete) == ([], ROWS, 1)
    assert walk.places[0].head_seq == ROWS


def test_an_endless_line_is_refused() -> None:
    """A line without an end does not fill the memory of whoever reads it."""
    proof = prove_export(io.BytesIO(b"{" * (17 * 1024 * 1024)))

    assert not proof.ok
