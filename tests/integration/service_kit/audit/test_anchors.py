"""Checkpoints and witnesses: what was signed before shows what a whole, rewritten chain hides."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import text

from service_kit.audit import anchors
from service_kit.audit import beat as beats
from service_kit.audit.anchors import ROWS_BETWEEN, TIME_BETWEEN
from service_kit.audit.beat import AuditBeat
from service_kit.audit.keeping import AuditKeeping, default_key_file
from service_kit.audit.proving import Anchored, AnchorState, Proof
from service_kit.audit.publishing import Shown
from service_kit.audit.verifying import Break, Differs, Stretch
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.keys import KeyFileError, new_signing_key, public_jwks
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.tampering import (
    WITH_THEIR_PEOPLE,
    attack,
    filled,
    rewrite,
    unlock,
)
from tests.integration.service_kit.audit.writing import PACK_MADE, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT, opened


@dataclass(frozen=True)
class Side:
    """One service: its database, its keeping, its beat, and its operations listener."""

    database: Database
    keeping: AuditKeeping
    beat: AuditBeat
    server: TestServer

    async def prove(self, wanted: Stretch | None = None) -> Proof:
        return await self.keeping.prover(self.database, AUDIT).prove(wanted)

    async def count(self, table: str) -> int:
        async with self.database.read() as session:
            return int(await session.scalar(text(f"SELECT count(*) FROM {table}")))


@dataclass(frozen=True)
class Pair:
    """Both services, each with the other's pinned keys."""

    admin: Side
    tenant: Side

    async def both_beat(self) -> None:
        for side in (self.admin, self.tenant, self.admin, self.tenant):
            await side.beat.once()


async def _keys_of(keeping: AuditKeeping, file: Path) -> None:
    file.write_text(json.dumps(public_jwks(keeping.signing_keys())))


@pytest.fixture
async def pair(database: Database, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Pair]:
    """The admin service on each kind of database, the tenant service on SQLite; both over real HTTP."""
    async with (
        opened(f"sqlite:///{tmp_path}/other.db") as other,
        _sides(database, other, tmp_path, clock) as sides,
    ):
        yield sides


@asynccontextmanager
async def _sides(own: Database, other: Database, folder: Path, clock: FrozenClock) -> AsyncIterator[Pair]:
    names = ("admin_service", "tenant_service")
    shown = [Shown(), Shown()]
    servers = []
    for each in shown:
        app = web.Application()
        each.mount(app)
        servers.append(TestServer(app))
        await servers[-1].start_server()
    sides = []
    for number, database in enumerate((own, other)):
        peer = 1 - number
        keeping = AuditKeeping(
            names[number],
            names[peer],
            folder / f"{names[number]}.pem",
            str(servers[peer].make_url("/")),
            folder / f"{names[peer]}.json",
        )
        await _keys_of(keeping, folder / f"{names[number]}.json")
        if not keeping.peer_keys_file or not keeping.peer_keys_file.exists():
            theirs = AuditKeeping(names[peer], names[number], folder / f"{names[peer]}.pem")
            await _keys_of(theirs, folder / f"{names[peer]}.json")
        beat = keeping.beat(database, AUDIT, clock, shown[number])
        sides.append(Side(database, keeping, beat, servers[number]))
    yield Pair(*sides)
    for server in servers:
        await server.close()


async def test_heads_are_signed_and_witnessed_by_the_other_service(pair: Pair, clock: FrozenClock) -> None:
    """R-030: each service signs the heads of its chains; the other keeps them; both logs are proven so."""
    await filled(pair.admin.database, clock)
    await record(pair.tenant.database, clock, entry(PACK_MADE, org=None))
    await pair.both_beat()

    admin, tenant = await pair.admin.prove(), await pair.tenant.prove()

    assert admin.ok
    assert tenant.ok
    assert admin.checkpoints == admin.witness == Anchored(AnchorState.CHECKED, 2, clock.now())
    assert tenant.checkpoints == tenant.witness == Anchored(AnchorState.CHECKED, 1, clock.now())


async def test_a_head_is_signed_when_it_is_due(pair: Pair, clock: FrozenClock) -> None:
    """At the first row, after so many rows or minutes, and not when nothing moved; each once."""
    side = pair.admin
    counts = []

    async def beat() -> None:
        await side.beat.once()
        counts.append(await side.count("audit_checkpoints"))

    await record(side.database, clock, entry(PACK_MADE, org=None))
    await beat()
    await record(side.database, clock, entry(PACK_MADE, org=None))
    await beat()
    clock.advance(TIME_BETWEEN.total_seconds())
    await beat()
    clock.advance(TIME_BETWEEN.total_seconds() * 5)
    await beat()
    clock.advance(1)
    await record(side.database, clock, *[entry(PACK_MADE, org=None)] * ROWS_BETWEEN)
    await beat()

    assert counts == [1, 1, 2, 2, 3]
    assert (await side.prove()).ok


async def test_a_deleted_tail_is_shown_by_the_witness(pair: Pair, clock: FrozenClock) -> None:
    """R-032: rows, head and own checkpoints are cut off without a flaw; the other service remembers."""
    side = pair.admin
    await record(side.database, clock, *[entry(PACK_MADE, org=None)] * 5)
    await pair.both_beat()
    await unlock(side.database)
    kept = (await chains(side.database))["global"][2]["hash"]
    await attack(
        side.database,
        "DELETE FROM audit_events WHERE chain_seq > 3",
        WITH_THEIR_PEOPLE,
        f"UPDATE audit_chain_heads SET seq = 3, hash = '{kept}'",
        "DELETE FROM audit_checkpoints",
    )

    proof = await side.prove()

    assert proof.verified.ok
    assert proof.checkpoints.state is AnchorState.NONE
    assert proof.breaks == (Break("global", 5, "", Differs.WITNESS),)


async def test_a_chain_that_vanished_is_shown_by_the_witness(pair: Pair, clock: FrozenClock) -> None:
    """Every row of a tenant is gone, and its head: no chain is left that could be broken."""
    side = pair.admin
    await filled(side.database, clock)
    await pair.both_beat()
    await unlock(side.database)
    await attack(
        side.database,
        "DELETE FROM audit_pii",
        *(f"DELETE FROM {table}" for table in ("audit_events", "audit_chain_heads", "audit_checkpoints")),
    )

    proof = await side.prove()

    assert proof.verified.checked == 0
    assert set(proof.breaks) == {
        Break("global", 6, "", Differs.WITNESS),
        Break("org_1", 6, "", Differs.WITNESS),
    }


async def test_a_chain_rewritten_as_a_whole_is_shown(pair: Pair, clock: FrozenClock) -> None:
    """R-031: every hash is right again, and the signed checkpoint and the witness name another one."""
    side = pair.admin
    await record(side.database, clock, *[entry(PACK_MADE, org=None)] * 3)
    await pair.both_beat()
    await unlock(side.database)
    await rewrite(side.database, "global", reason="forged")

    proof = await side.prove()
    assert proof.verified.ok
    assert [found.differs for found in proof.breaks] == [Differs.CHECKPOINT, Differs.WITNESS]

    # Whoever rewrites the chain cannot sign it, and the service does not do it for them.
    clock.advance(TIME_BETWEEN.total_seconds() * 2)
    await record(side.database, clock, entry(PACK_MADE, org=None))
    await side.beat.once()
    assert await side.count("audit_checkpoints") == 1

    await attack(side.database, "DELETE FROM audit_checkpoints")
    assert [found.differs for found in (await side.prove()).breaks] == [Differs.WITNESS]
    await side.beat.once()  # now the service signs the forged chain, and still the witness stands
    assert [found.differs for found in (await side.prove()).breaks] == [Differs.WITNESS]


@pytest.mark.parametrize(
    "change",
    [
        "note = replace(note, '5', '6')",
        "note = replace(note, 'time 2026', 'time 2025')",
        "note = replace(note, 'global', 'glocal')",
        "note = replace(note, 'admin', 'tenan')",
        "note = ''",
        "seq = 4",
        "hash = 'x'",
        "chain = 'org_9'",
    ],
)
async def test_a_forged_checkpoint_is_a_break(pair: Pair, clock: FrozenClock, change: str) -> None:
    """A checkpoint counts by its signature, and must stand in the row that it belongs to."""
    side = pair.admin
    await record(side.database, clock, *[entry(PACK_MADE, org=None)] * 5)
    await side.beat.once()
    await unlock(side.database)
    await attack(side.database, f"UPDATE audit_checkpoints SET {change}")

    proof = await side.prove()

    assert {found.differs for found in proof.breaks} == {Differs.CHECKPOINT}


async def test_a_checkpoint_of_a_foreign_key_is_not_witnessed(
    pair: Pair, clock: FrozenClock, tmp_path: Path
) -> None:
    """Closed by default: only keys that were pinned by hand count, whatever the other service publishes."""
    await record(pair.tenant.database, clock, entry(PACK_MADE, org=None))
    (tmp_path / "tenant_service.pem").unlink()
    stranger = pair.tenant.keeping.beat(pair.tenant.database, AUDIT, clock, Shown())
    await stranger.once()
    assert await pair.tenant.count("audit_checkpoints") == 1
    await pair.admin.beat.once()

    assert await pair.admin.count("audit_witnesses") == 0
    assert [one.differs for one in (await pair.tenant.prove()).breaks] == []


async def test_rotated_keys_prove_old_checkpoints(
    database: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    """The key is a folder too: the newest signs, and those before it still prove."""
    keeping = AuditKeeping("admin_service", "tenant_service", tmp_path / "keys")
    new_signing_key(tmp_path / "keys" / "20260101T000000Z.pem")
    await record(database, clock, entry(PACK_MADE, org=None))
    await keeping.beat(database, AUDIT, clock, Shown()).once()
    new_signing_key(tmp_path / "keys" / "20260201T000000Z.pem")
    clock.advance(TIME_BETWEEN.total_seconds())
    await record(database, clock, entry(PACK_MADE, org=None))
    await keeping.beat(database, AUDIT, clock, Shown()).once()

    proof = await keeping.prover(database, AUDIT).prove()

    assert (proof.ok, proof.checkpoints.checked) == (True, 2)
    async with database.read() as session:
        keys = await session.rows(text("SELECT DISTINCT key_id FROM audit_checkpoints"))
    assert len(keys) == 2


async def test_a_peer_that_is_away_stops_nothing_and_is_caught_up(pair: Pair, clock: FrozenClock) -> None:
    """The hand-over is retried at the next beat; a proof says that the witness could not be asked."""
    await filled(pair.admin.database, clock)
    port = pair.admin.server.port
    await pair.admin.server.close()
    await pair.tenant.beat.once()
    await pair.admin.beat.once()
    assert await pair.tenant.count("audit_witnesses") == 0
    assert (await pair.tenant.prove()).witness.state is AnchorState.UNAVAILABLE

    app = web.Application()
    shown = Shown()
    shown.mount(app)
    pair.admin.keeping.beat(pair.admin.database, AUDIT, clock, shown)
    async with TestServer(app, port=port):
        await pair.tenant.beat.once()

    assert await pair.tenant.count("audit_witnesses") == 2


async def test_without_a_peer_a_proof_says_so(database: Database, clock: FrozenClock, tmp_path: Path) -> None:
    """Nobody is asked, and the answer does not pretend that somebody was."""
    await filled(database, clock)
    keeping = AuditKeeping("admin_service", "tenant_service", tmp_path / "key.pem")

    proof = await keeping.prover(database, AUDIT).prove()

    assert (proof.ok, proof.witness.state) == (True, AnchorState.NOT_CONFIGURED)
    assert proof.checkpoints.state is AnchorState.NONE


async def test_many_checkpoints_are_handed_over_page_by_page(pair: Pair, clock: FrozenClock) -> None:
    """More chains than a page holds: all are signed, fetched and held against the rows."""
    await record(pair.admin.database, clock, *(entry(org=f"org_{number:03}") for number in range(230)))
    await pair.both_beat()

    proof = await pair.admin.prove()

    assert (proof.ok, proof.checkpoints.checked, proof.witness.checked) == (True, 231, 231)
    assert (await pair.admin.prove(Stretch("org_007"))).witness.checked == 1


ANCHOR_TABLES = ("audit_checkpoints", "audit_witnesses")


@pytest.mark.parametrize("table", ANCHOR_TABLES)
async def test_no_statement_changes_an_anchor(pair: Pair, clock: FrozenClock, table: str) -> None:
    """R-132: update, delete, overwriting in every spelling and TRUNCATE are refused by the database."""
    for side in (pair.admin, pair.tenant):
        await record(side.database, clock, entry(PACK_MADE, org=None))
    await pair.both_beat()
    database = pair.admin.database
    copy = f"INTO {table} SELECT * FROM {table} WHERE true"
    statements = [
        f"UPDATE {table} SET note = 'x'",
        f"UPDATE {table} SET hash = hash",
        f"DELETE FROM {table}",
        f"INSERT {copy} ON CONFLICT (chain, seq, hash) DO UPDATE SET note = 'x'",
        f"INSERT {copy}",
    ]
    if database.dialect == "sqlite":
        statements += [
            f"INSERT OR REPLACE {copy}",
            f"REPLACE {copy}",
            f"UPDATE OR REPLACE {table} SET seq = 9",
        ]
    else:
        statements += [f"TRUNCATE {table}", f"TRUNCATE {table} CASCADE"]
        statements += [f"SET LOCAL session_replication_role = replica; DELETE FROM {table}"]
    for statement in statements:
        with pytest.raises(Exception, match=r"append-only|duplicate key"):
            await attack(database, *statement.split("; "))

    assert await pair.admin.count(table) == 1


async def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    """Made at the first start with mode 0600, and never replaced."""
    keeping = AuditKeeping("admin_service", "tenant_service", tmp_path / "data" / "key.pem")
    first, second = keeping.signing_keys(), keeping.signing_keys()

    assert [key.kid for key in first] == [key.kid for key in second]
    assert stat.S_IMODE(keeping.key_file.stat().st_mode) == 0o600
    assert default_key_file("sqlite:////srv/data/admin.db", "a") == Path("/srv/data/a-audit.pem")
    assert default_key_file("postgresql://db/x", "a") == Path("data/a-audit.pem")


async def test_keys_that_cannot_be_read_stop_the_start(
    database: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    """A witness without keys would believe nobody, silently: it says so instead, by the file's name."""
    (tmp_path / "jwks.json").write_text("{}")
    (tmp_path / "file").write_text("")
    broken = AuditKeeping("a", "b", tmp_path / "key.pem", "http://127.0.0.1:1", tmp_path / "jwks.json")
    with pytest.raises(KeyFileError, match=r"jwks\.json"):
        broken.beat(database, AUDIT, clock, Shown())
    with pytest.raises(KeyFileError, match="cannot be made"):
        AuditKeeping("a", "b", tmp_path / "file" / "sub" / "key.pem").signing_keys()


async def test_a_beat_survives_what_it_did_not_expect(
    database: Database, clock: FrozenClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failure does not end the beats: the next one signs."""
    monkeypatch.setattr(beats, "SECONDS", 0.01)
    monkeypatch.setattr(beats, "_FIRST_SECONDS", 0.01)
    beat = AuditKeeping("a", "b", tmp_path / "key.pem").beat(database, AUDIT, clock, Shown())
    real, failures = beat.once, [RuntimeError("once"), UnavailableError("X", "x")]

    async def once() -> None:
        if failures:
            raise failures.pop()
        await real()

    monkeypatch.setattr(beat, "once", once)
    await record(database, clock, entry(PACK_MADE, org=None))
    await beat.start()
    for _ in range(2000):
        async with database.read() as session:
            if await session.scalar(text("SELECT count(*) FROM audit_checkpoints")):
                break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("nothing was signed")
    await beat.close()


async def test_more_notes_than_a_beat_reads_are_read_by_the_next(
    pair: Pair, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each beat begins a little before the latest note; with more of the same time it would never get on."""
    await filled(pair.admin.database, clock)
    await pair.admin.beat.once()
    signed = await pair.admin.count("audit_checkpoints")
    monkeypatch.setattr(anchors, "PAGE", 1)
    monkeypatch.setattr(beats, "PAGE", 1)
    monkeypatch.setattr(beats, "_MOST_PAGES", 1)
    kept = []
    for _ in range(signed):
        await pair.tenant.beat.once()
        kept.append(await pair.tenant.count("audit_witnesses"))

    assert signed > 1
    assert kept[0] == 1
    assert kept[-1] == signed
