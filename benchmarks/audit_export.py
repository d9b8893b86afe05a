"""An export of a long audit log, and its offline proof: seconds, bytes, and resident memory on the way.

It walks, writes and proves with the functions of the service and of `audit verify`, to a file; it says
nothing about the network, nor about the second service whose rows a real export merges in.
"""

import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.resident import Resident
from service_kit.audit.export_formats import NdjsonWriter
from service_kit.audit.export_manifest import ManifestMaker
from service_kit.audit.export_proof import prove_export
from service_kit.audit.export_rows import ExportWalk
from service_kit.audit.queries import AuditFilter
from service_kit.audit.tables import AuditTables
from service_kit.db.session import Database

_SOURCE: Final = "admin"


@dataclass(frozen=True, slots=True)
class Carried:
    """One way of the rows; `memory` is told before, after a tenth of the work, and at most."""

    rows: int
    size: int
    seconds: float
    memory: Resident

    def __str__(self) -> str:
        return (
            f"{self.rows:,} rows ({self.size / 1e6:,.0f} MB) in {self.seconds:.0f} s, "
            f"{self.rows / self.seconds:,.0f} rows a second. {self.memory}"
        )


async def export_to(path: Path, database: Database, tables: AuditTables, most: int) -> Carried:
    """Every row of both scopes as NDJSON with its manifest; `most` is what a tenth is counted of."""
    walk = ExportWalk(database, tables, AuditFilter(scope=""), hide_admin_events=False)
    writer, maker, memory = NdjsonWriter(), ManifestMaker({"format": "ndjson"}, unfiltered=True), Resident()
    started = time.perf_counter()
    with path.open("wb") as out:
        out.write(maker.wrote(writer.head()))
        async for one in walk.rows():
            maker.add(_SOURCE, one)
            out.write(maker.wrote(writer.row(_SOURCE, one)))
            memory.look(maker.rows, most)
        out.write(writer.trailer(maker.document({_SOURCE: walk.places})))
    return Carried(maker.rows, maker.size, time.perf_counter() - started, memory)


def prove_file(path: Path, most: int) -> Carried:
    """What `audit verify --export` does with the file. Raises SystemExit when it does not prove."""
    memory, seen = Resident(), count(1)
    started = time.perf_counter()

    def watch(_size: int) -> None:
        memory.look(next(seen), most)

    with path.open("rb") as stream:
        proof = prove_export(stream, on_bytes=watch)
    if not proof.ok:
        raise SystemExit(f"the export does not prove: {proof.breaks[0]}")
    return Carried(proof.rows, path.stat().st_size, time.perf_counter() - started, memory)
