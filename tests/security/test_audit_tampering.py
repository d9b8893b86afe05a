"""Tampering with an audit log by raw SQL, as whoever owns the database can: each time, who tells of it."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import text

from service_kit.audit.beat import AuditBeat
from service_kit.audit.erasing import Basis, PersonalDataEraser, Subject
from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.proving import Proof
from service_kit.audit.publishing import Shown
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.verifying import Differs
from service_kit.db.session import Database
from service_kit.identity.keys import public_jwks
from service_kit.ids import IdFactory
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.tampering import (
    ALL_TABLES,
    WITH_THEIR_PEOPLE,
    attack,
    filled,
    rewrite,
    unlock,
)
from tests.integration.service_kit.audit.writing import PACK_MADE, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT, opened

TABLES = {
    "audit_events": AUDIT.events,
    "audit_pii": AUDIT.pii,
    "audit_erasures": AUDIT.erasures,
    "audit_chain_heads": AUDIT.heads,
    "audit_checkpoints": AUDIT.checkpoints,
}
assert set(TABLES) | {"audit_witnesses"} == set(ALL_TABLES)


@dataclass(frozen=True)
class Attacked:
    """A service whose database is attacked, and its witness, which is not."""

    database: Database
    keeping: AuditKeeping
    beats: tuple[AuditBeat, ...]
    clock: FrozenClock

    async def prove(self) -> Proof:
        return await self.keeping.prover(self.database, AUDIT).prove()

    async def prove_alone(self) -> Proof:
        """Without asking the witness: for what the log tells by itself."""
        return await replace(self.keeping, peer_url=None).prover(self.database, AUDIT).prove()

    async def witnessed(self) -> None:
        for beat in self.beats:
            await beat.once()


@pytest.fixture
async def attacked(database_url: str, tmp_path: Path) -> AsyncIterator[Attacked]:
    """Two services over real HTTP; the attacked one on each kind of database, its witness on SQLite."""
    clock, names = FrozenClock(), ("admin_service", "tenant_service")
    shown, servers, beats = [Shown(), Shown()], [], []
    for each in shown:
        app = web.Application()
        each.mount(app)
        servers.append(TestServer(app))
        await servers[-1].start_server()
    keepings = []
    for number, name in enumerate(names):
        other = names[1 - number]
        url = str(servers[1 - number].make_url("/"))
        keepings.append(AuditKeeping(name, other, tmp_path / f"{name}.pem", url, tmp_path / f"{other}.json"))
        (tmp_path / f"{name}.json").write_text(json.dumps(public_jwks(keepings[-1].signing_keys())))
    async with opened(database_url) as own, opened(f"sqlite:///{tmp_path}/witness.db") as witness:
        for keeping, database, each in zip(keepings, (own, witness), shown, strict=True):
            beats.append(keeping.beat(database, AUDIT, clock, each))
        yield Attacked(own, keepings[0], tuple(beats), clock)
        for server in servers:
            await server.close()


async def _rows(database: Database, table: str) -> list[Mapping[str, Any]]:
    columns = ", ".join(f"CAST({column.name} AS TEXT) AS {column.name}" for column in TABLES[table].c)
    async with database.read() as session:
        return [dict(row) for row in await session.rows(text(f"SELECT {columns} FROM {table}"))]


def _flipped(value: str | None, at: random.Random) -> str:
    """The value with one bit of one of its bytes changed, so that it stays a value of its kind."""
    if value is None:
        return "1"
    places = [number for number, letter in enumerate(value) if letter.isascii() and letter.isalnum()]
    if not places:
        return '{"x":"y"}' if value == "{}" else value + "1"
    place = at.choice(places[-9:-1] or places)  # the seconds of a time, the letters of a JSON text
    letter = value[place]
    other = str(int(letter) ^ 1) if letter.isdigit() else chr(ord(letter) ^ 1)
    return value[:place] + (other if other.isalnum() else "0") + value[place + 1 :]


def _literal(table: str, column: str, value: str) -> str:
    kind = type(TABLES[table].c[column].type).__name__
    cast = {"UtcDateTime": "timestamptz", "JsonText": "jsonb", "BigInteger": "bigint"}.get(kind, "text")
    return f"CAST('{value}' AS {cast})"


async def _flip(database: Database, table: str, column: str, row: Mapping[str, Any], number: int) -> None:
    value = _flipped(row[column], random.Random(f"{table} {column} {number}"))
    if column in {"chain_seq", "seq"}:
        value = str(int(row[column]) + 1024)  # a lower bit would meet the number of another row
    literal = f"'{value}'"
    if database.dialect == "postgresql":
        literal = _literal(table, column, value)
    keys = {key.name for key in TABLES[table].primary_key}
    same = " AND ".join(f"CAST({key} AS TEXT) = '{row[key]}'" for key in sorted(keys))
    await attack(database, f"UPDATE {table} SET {column} = {literal} WHERE {same}")


def _names(proof: Proof, table: str, row: Mapping[str, Any]) -> bool:
    """Whether the proof names the row that was changed, or for a head or a checkpoint its chain."""
    match table:
        case "audit_events":
            place = (row["chain"], int(row["chain_seq"]))
            return any((one.chain, one.seq) == place for one in proof.breaks)
        case "audit_pii":
            return any(one.row_id == row["event_id"] for one in proof.breaks)
        case "audit_erasures":
            return any(one.row_id in row.values() for one in proof.breaks)
        case "audit_checkpoints":
            return any(one.differs is Differs.CHECKPOINT for one in proof.breaks)
        case _:
            return any(one.chain == row["chain"] for one in proof.breaks)


@pytest.mark.parametrize("table", TABLES)
async def test_one_flipped_byte_of_any_column_of_any_row_is_named(attacked: Attacked, table: str) -> None:
    """R-031: with the triggers gone, every column of every row in turn; verification names that row."""
    database = attacked.database
    ids = await filled(database, attacked.clock, pairs=1)
    eraser = PersonalDataEraser(
        database, AUDIT, AuditRecorder(AUDIT, IdFactory(attacked.clock), attacked.clock)
    )
    await record(database, attacked.clock, entry(PACK_MADE, org=None, resource_id="pack_9"))
    await eraser.erase(Subject(Basis.USER, "pack_9"), reason="asked for")
    await attacked.witnessed()
    assert (await attacked.prove()).ok, ids
    await unlock(database)
    await attack(database, f"CREATE TABLE saved AS SELECT * FROM {table}")
    missed = []
    rows = await _rows(database, table)
    # Verification reads both databases alike: on the slower one, one row of each chain is enough.
    for number, row in enumerate(rows if database.dialect == "sqlite" else [rows[0], rows[-1]]):
        for column in [one.name for one in TABLES[table].c]:
            await _flip(database, table, column, row, number)
            if not _names(await attacked.prove_alone(), table, row):
                missed.append((number, column))
            await attack(database, f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM saved")

    assert missed == []
    assert (await attacked.prove()).ok


async def test_a_deleted_tail_is_known_to_the_witness(attacked: Attacked) -> None:
    """R-032: rows, people, head and own checkpoints cut off in step: only the other service remembers."""
    await record(attacked.database, attacked.clock, *[entry(PACK_MADE, org=None)] * 5)
    await attacked.witnessed()
    await unlock(attacked.database)
    kept = (await chains(attacked.database))["global"][1]["hash"]
    await attack(
        attacked.database,
        "DELETE FROM audit_events WHERE chain_seq > 2",
        WITH_THEIR_PEOPLE,
        f"UPDATE audit_chain_heads SET seq = 2, hash = '{kept}'",
        "DELETE FROM audit_checkpoints",
    )

    proof = await attacked.prove()

    assert proof.verified.ok
    assert [(one.differs, one.seq) for one in proof.breaks] == [(Differs.WITNESS, 5)]


@pytest.mark.parametrize(
    ("statements", "place"),
    [
        pytest.param(
            (
                "UPDATE audit_events SET chain_seq = 99 WHERE chain_seq = 2",
                "UPDATE audit_events SET chain_seq = 2 WHERE chain_seq = 4",
                "UPDATE audit_events SET chain_seq = 4 WHERE chain_seq = 99",
            ),
            2,
            id="two rows swapped",
        ),
        pytest.param(
            (
                "UPDATE audit_events SET chain_seq = 1000 - chain_seq",
                "UPDATE audit_events SET chain_seq = chain_seq - 994",
            ),
            1,
            id="all in the opposite order",
        ),
        pytest.param(("DELETE FROM audit_events WHERE chain_seq = 3", WITH_THEIR_PEOPLE), 3, id="a hole"),
        pytest.param(
            (
                "DELETE FROM audit_events WHERE chain_seq = 3",
                WITH_THEIR_PEOPLE,
                "UPDATE audit_events SET chain_seq = chain_seq - 1 WHERE chain_seq = 4",
                "UPDATE audit_events SET chain_seq = chain_seq - 1 WHERE chain_seq = 5",
                "UPDATE audit_chain_heads SET seq = 4",
            ),
            3,
            id="a hole that was closed",
        ),
    ],
)
async def test_moved_and_missing_rows_are_found(
    attacked: Attacked, statements: tuple[str, ...], place: int
) -> None:
    """R-031: reordering, swapping and a missing row in the middle are named at the first wrong place."""
    await record(attacked.database, attacked.clock, *[entry(PACK_MADE, org=None)] * 5)
    await unlock(attacked.database)
    await attack(attacked.database, *statements)

    assert [(one.chain, one.seq) for one in (await attacked.prove()).breaks] == [("global", place)]


@pytest.mark.parametrize("head", [True, False])
async def test_a_forged_row_is_found(attacked: Attacked, *, head: bool) -> None:
    """A row that follows in form, but whose hash nobody computed, is named, with its head or without."""
    await record(attacked.database, attacked.clock, *[entry(PACK_MADE, org=None)] * 3)
    await unlock(attacked.database)
    columns = [column.name for column in AUDIT.events.c]
    forged = {
        "id": "'aud_forged'",
        "chain_seq": "chain_seq + 1",
        "prev_hash": "hash",
        "hash": f"'{'f' * 64}'",
    }
    values = ", ".join(forged.get(name, name) for name in columns)
    moves = [f"UPDATE audit_chain_heads SET seq = 4, hash = '{'f' * 64}'"] if head else []
    await attack(
        attacked.database,
        f"INSERT INTO audit_events ({', '.join(columns)}) SELECT {values} FROM audit_events "
        "WHERE chain_seq = 3",
        *moves,
    )

    found = (await attacked.prove()).breaks

    assert [(one.chain, one.seq, one.row_id) for one in found] == [("global", 4, "aud_forged")]


async def test_a_whole_chain_written_anew_is_exposed_by_the_witness(attacked: Attacked) -> None:
    """R-031: rewritten with right hashes and heads, own checkpoints gone: the witness tells."""
    await filled(attacked.database, attacked.clock, pairs=3)
    await attacked.witnessed()
    await unlock(attacked.database)
    await rewrite(attacked.database, "global", reason="forged")
    await rewrite(attacked.database, "org_1", reason="forged")
    await attack(attacked.database, "DELETE FROM audit_checkpoints")

    proof = await attacked.prove()

    assert proof.verified.ok
    assert {(one.chain, one.differs) for one in proof.breaks} == {
        ("global", Differs.WITNESS),
        ("org_1", Differs.WITNESS),
    }


@pytest.mark.parametrize("table", ALL_TABLES)
async def test_a_table_that_was_emptied_is_found(attacked: Attacked, table: str) -> None:
    """Dropping a table cannot be refused to its owner: made again without its rows, it tells of itself."""
    await filled(attacked.database, attacked.clock, pairs=2)
    await record(attacked.database, attacked.clock, entry(PACK_MADE, org=None, resource_id="pack_9"))
    eraser = PersonalDataEraser(
        attacked.database, AUDIT, AuditRecorder(AUDIT, IdFactory(attacked.clock), attacked.clock)
    )
    await eraser.erase(Subject(Basis.USER, "pack_9"), reason="asked for")
    await attacked.witnessed()
    await unlock(attacked.database)
    await attack(attacked.database, f"DELETE FROM {table}")

    proof = await attacked.prove()

    # Checkpoints and witnesses are evidence about rows: without them the rows are still whole.
    evidence = table in {"audit_checkpoints", "audit_witnesses"}
    assert proof.ok == evidence
    assert (proof.checkpoints.checked == 0) == (table in {"audit_checkpoints", "audit_events"} and evidence)
