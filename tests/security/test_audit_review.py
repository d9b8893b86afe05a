"""What a hostile look at export, proof and search found; each test failed before its finding was mended."""

import asyncio
import io
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from admin_service.audit import repository
from admin_service.audit.errors import ExportBusyError
from admin_service.audit.export import ExportAsked
from admin_service.audit.service import Reader
from admin_service.audit.turns import MOST_AT_ONCE, MOST_OF_ONE, ExportTurns
from service_kit.audit import export_links
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.export_formats import CsvWriter, ExportFormat, guarded
from service_kit.audit.export_manifest import ManifestMaker
from service_kit.audit.export_proof import ExportProof, prove_export
from service_kit.audit.own_events import WITNESSED
from service_kit.audit.queries import AuditFilter
from service_kit.audit.recorder import AuditRecorder
from service_kit.identity.keys import parse_public_jwks
from service_kit.identity.model import Role
from service_kit.ids import IdFactory
from service_kit.web import streaming
from tenant_service.tables import schema
from tests.integration.admin_service.admin_process import asker
from tests.integration.admin_service.exporting import EXPORT, ask, exported, lived_in, public_keys
from tests.integration.panel.back_office import House

HASH = "0" * 64


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[House]:
    async with lived_in(tmp_path) as running:
        yield running


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as found:
        yield found


def proof_of(data: bytes, folder: Path) -> ExportProof:
    return prove_export(io.BytesIO(data), parse_public_jwks(public_keys(folder).read_bytes()))


def delegated(both: House, role: Role = Role.SECURITY) -> Reader:
    proof = both.office.proof("GET", EXPORT, role, delegated=True)
    return Reader(asker(role).actor, proof["X-Internal-Delegation"])


async def test_nothing_unsigned_stands_beside_a_manifest(both: House, tmp_path: Path) -> None:
    """R-031: a cell behind the signed one, another quoting or another escape is no export any more."""
    told = await exported(both, "format=csv&scope=all")
    cef = await exported(both, "format=cef&scope=all")
    forged = {
        "a cell": told.removesuffix(b"\r\n") + b",2026-01-01T00:00:00Z forged row\r\n",
        "a quoted name": told.replace(b'# manifest,"', b'# manifest,""  "', 1),
        "another end of line": told.removesuffix(b"\r\n") + b"\n",
        "no end": cef.removesuffix(b"\n"),
        "another escape": cef.replace(b'{"adminEvents"', b'{\\"adminEvents"', 1),
    }
    assert (proof_of(told, tmp_path).breaks, proof_of(cef, tmp_path).breaks) == ([], [])
    for what, data in forged.items():
        assert not proof_of(data, tmp_path).ok, what


def test_a_forged_file_with_a_place_twice_is_broken_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-031: places that come twice, and more gaps than are remembered, end in an answer, and a right one."""
    monkeypatch.setattr(export_links, "_MOST_STRETCHES", 4)
    for seed in range(2_000):
        draw, links = random.Random(seed), export_links.Links()
        places = [draw.randrange(1, 16) for _ in range(draw.randrange(1, 30))]
        for seq in places:
            links.add(seq, HASH, HASH)

        whole = set(places) == set(range(min(places), max(places) + 1))
        assert whole or links.missing is not None, seed


async def test_long_cells_and_long_manifests_are_no_break(both: House, tmp_path: Path) -> None:
    """R-031: an honest file with a cell beyond the limit of Python's csv is as it was sent, and says so."""
    recorder = AuditRecorder(schema().audit, IdFactory(both.office.clock), both.office.clock)
    async with both.tenant.database.write() as session:
        entry = AuditEntry(WITNESSED, SYSTEM, "x", details={"long": "x" * 200_000})
        await recorder.record(session, entry)
    both.office.clock.advance(1)
    maker = ManifestMaker({"format": "csv", "filters": {"event": "x" * 200_000}}, unfiltered=False)
    head = maker.wrote(CsvWriter().head())
    for data in (
        await exported(both, "format=csv&scope=all"),
        head + CsvWriter().trailer(maker.document({})),
    ):
        assert prove_export(io.BytesIO(data)).breaks == []


async def test_a_thousand_filters_do_not_make_every_look_dear(
    both: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """data-model 2.6: of an operator's looks only the newest are compared; an older one is told once more."""
    monkeypatch.setattr(repository, "MOST_VIEWS", 3)
    for number in range(5):
        both.office.clock.advance(1)
        await both.office.get(f"/manage/audit?resourceId=r{number}", Role.READ_ONLY)
    since = both.office.clock.now() - timedelta(hours=8)
    async with both.office.database.read() as session:
        event = "admin.audit_log.viewed"
        seen = await repository.AuditRepository().viewed(session, event, "adm_read_only", since)

    assert [row["filter"]["resource_id"] for row in seen] == ["r4", "r3", "r2"]


def test_a_forged_file_fills_no_memory() -> None:
    """data-model 2.6: what is remembered of a line is short, however long its names and hashes are."""
    huge = "x" * 1_000_000
    row = {"chain": huge, "chain_seq": 1, "hash": huge, "prev_hash": huge, "id": "a", "occurred_at": "b"}
    columns = {name: row.get(name, "") for name in map(str, schema().audit.events.c.keys())}
    lines = [
        json.dumps({"person": None, "row": {**columns, "chain_seq": n}, "source": "admin"}) for n in (1, 2)
    ]
    spelled = [
        json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() + b"\n" for line in lines
    ]
    proof = prove_export(io.BytesIO(b"".join(spelled)))

    assert "form: no chain or no hash" in {one.differs for one in proof.breaks}
    assert proof.chains == 0


@pytest.mark.parametrize(
    "deep", [b"[" * 100_000, b'{"row":' * 50_000, b'{"class_uid":' + b"9" * 100_000 + b"}"]
)
def test_deep_and_long_json_is_a_broken_line(deep: bytes) -> None:
    """Nesting without end and numbers without end are told by their line."""
    assert [one.line for one in prove_export(io.BytesIO(deep + b"\n")).breaks] == [1, 2] or deep[:1] == b"["


def test_no_cell_is_parted_into_a_formula() -> None:
    """CWE-1236: also where a spreadsheet parts cells at a semicolon or a tab, inside of quotes or not."""
    for text_given in ("Bob;=cmd|' /C calc'!A0", "Bob\t=1+1", 'Bob;"@SUM(1)', "Bob;  +1", 'x";-2'):
        for part in (guarded(text_given).replace("\t", ";")).split(";")[1:]:
            assert part.lstrip(' "').startswith("'"), text_given
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:1) Gecko; like"
    assert guarded(agent) == agent


def test_turns_are_bounded() -> None:
    """G: nobody has more than two exports at once, and all together leave connections for the pages."""
    turns = ExportTurns()
    with AsyncExitStackOfTurns(turns) as take:
        for _ in range(MOST_OF_ONE):
            take("adm_a")
        with pytest.raises(ExportBusyError):
            take("adm_a")
        for number in range(MOST_AT_ONCE - MOST_OF_ONE):
            take(f"adm_{number}")
        with pytest.raises(ExportBusyError):
            take("adm_other")
    assert turns.running.total() == 0


class AsyncExitStackOfTurns:
    """Turns that end together."""

    def __init__(self, turns: ExportTurns) -> None:
        self._turns = turns
        self._taken: list[Any] = []

    def __enter__(self) -> Any:
        return self._take

    def _take(self, operator_id: str) -> None:
        turn = self._turns.turn(operator_id)
        turn.__enter__()
        self._taken.append(turn)

    def __exit__(self, *_error: object) -> None:
        for turn in self._taken:
            turn.__exit__(None, None, None)


async def test_a_stalled_reader_holds_a_turn_and_nothing_else(both: House) -> None:
    """R-090: exports whose clients read nothing hold no transaction; a third is 429 EXPORT_BUSY."""
    exporter, asked = both.office.services.exporter, ExportAsked(AuditFilter(scope=""), ExportFormat.NDJSON)
    async with AsyncExitStack() as stack:
        for _ in range(MOST_OF_ONE):
            opened = exporter.open(asker(Role.SECURITY), delegated(both), asked)
            export = await stack.enter_async_context(opened)
            pieces = export.pieces()
            stack.push_async_callback(pieces.aclose)
            await anext(pieces)
        async with asyncio.timeout(20):  # the services' own jobs come and go
            while any(engine_use(engine) for engine in engines(both)):
                await asyncio.sleep(0.02)
        response, data = await ask(both, "format=csv")

        assert (response.status, json.loads(data)["code"]) == (429, "EXPORT_BUSY")
        assert response.headers["Retry-After"] == "30"
    response, _ = await ask(both, "format=csv")
    assert response.status == 200


def engines(both: House) -> list[AsyncEngine]:
    found = []
    for database in (both.office.database, both.tenant.database):
        found += [database._read, database._write]
    return found


def engine_use(engine: AsyncEngine) -> int:
    pool: Any = engine.pool
    return int(pool.checkedout())


async def test_the_other_log_may_wait_for_its_turn(
    both: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R-030: while the rows of one service are sent for minutes, the other one's stream is not given up."""
    monkeypatch.setattr(streaming, "WRITE_SECONDS", 0.2)
    monkeypatch.setattr(streaming.send_stream, "__kwdefaults__", {"patience": 0.2})
    recorder = AuditRecorder(schema().audit, IdFactory(both.office.clock), both.office.clock)
    async with both.tenant.database.write() as session:
        for number in range(250):
            entry = AuditEntry(WITNESSED, SYSTEM, "x", details={"long": f"{number:03}" * 40_000})
            await recorder.record(session, entry)
    both.office.clock.advance(1)
    asked = ExportAsked(AuditFilter(scope=""), ExportFormat.NDJSON)
    data = bytearray()
    async with both.office.services.exporter.open(asker(Role.SECURITY), delegated(both), asked) as export:
        await asyncio.sleep(2)
        async for piece in export.pieces():
            data += piece

    assert proof_of(bytes(data), tmp_path).breaks == []
    assert len(data) > 25_000_000


async def test_an_error_of_the_database_names_no_value(both: House, logs: list[Any]) -> None:
    """G: what an unforeseen error of the database says in a log holds no parameter of the statement."""
    users = schema().people.users
    with pytest.raises(Exception, match="constraint") as caught:
        async with both.tenant.database.write() as session:
            await session.execute(insert(users).values(id="usr_1", email="secret@person.example"))

    assert "secret@person.example" not in str(caught.value)
    assert logs is not None


async def test_a_search_that_cannot_be_recorded_logs_no_predicate(both: House, logs: list[Any]) -> None:
    """R-121, R-124: the refusal is told with its cause's name alone."""
    await both.tenant.sql(
        """CREATE TRIGGER refuse BEFORE INSERT ON audit_events
           BEGIN SELECT RAISE(ABORT, 'refused'); END"""
    )
    answer = await both.tenant.get("/api/admin/users?email=secret@person.example", Role.SUPPORT)

    assert (answer.status, (await answer.json())["code"]) == (500, "AUDIT_WRITE_FAILED")
    assert "audit_write_failed" in {line["event"] for line in logs}
    assert "secret@person" not in str(logs)
    async with both.tenant.database.read() as session:
        assert (
            await session.scalar(text("SELECT count(*) FROM audit_events WHERE row_count IS NOT NULL")) == 0
        )
