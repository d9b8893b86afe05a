"""Backup and restore of a SQLite database: a whole moment of a live one, and nothing unproven in place."""

import asyncio
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import text

from admin_service.app import MIGRATIONS
from admin_service.cli import main
from admin_service.tables import AUDIT
from service_kit.audit.anchors import TIME_BETWEEN
from service_kit.audit.backing_up import Keeper, Restored, Wanted, Watcher, back_up, restore
from service_kit.audit.backup_manifest import Manifest, manifest_file
from service_kit.audit.beat import AuditBeat
from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.proving import AnchorState, Proof
from service_kit.audit.publishing import Shown
from service_kit.audit.verifying import Differs
from service_kit.db.backup import BackupError
from service_kit.db.migrations import DatabaseNewerError
from service_kit.db.process_lock import DatabaseInUseError, sole_process
from service_kit.db.session import Database
from service_kit.identity.keys import public_jwks
from tests.fakes.clock import FrozenClock
from tests.fixtures.databases import with_schema
from tests.integration.service_kit.audit.tampering import filled, rewrite, unlock

pytestmark = pytest.mark.drill

UNWATCHED = Watcher(lambda _total: lambda _done: None, lambda _total: lambda _progress: None)
REASON = "the disk of the old machine died"


@dataclass
class Service:
    """One service's database with its key, as far as a backup sees it."""

    folder: Path
    clock: FrozenClock
    keeper: Keeper
    database: Database
    beat: AuditBeat
    shown: Shown

    @property
    def file(self) -> Path:
        return self.folder / "live.db"

    @property
    def backup_file(self) -> Path:
        return self.folder / "kept" / "backup.db"

    async def back_up(self) -> Manifest:
        return await back_up(self.keeper, self.backup_file, self.clock, UNWATCHED)

    async def restore(self, wanted: Wanted | None = None, *, to: Path | None = None) -> Restored:
        keeper = replace(self.keeper, url=f"sqlite:///{to or self.file}")
        return await restore(keeper, self.backup_file, self.clock, UNWATCHED, wanted or Wanted(REASON))

    async def prove(self, file: Path) -> Proof:
        database = Database.open(f"sqlite:///{file}")
        try:
            return await self.keeper.keeping.prover(database, AUDIT).prove()
        finally:
            await database.close()

    async def sign(self) -> None:
        """Long enough after the last time that heads that have moved are signed."""
        self.clock.advance(TIME_BETWEEN.total_seconds() + 1)
        await self.beat.once()


@asynccontextmanager
async def service(folder: Path, clock: FrozenClock, keeping: AuditKeeping) -> AsyncIterator[Service]:
    url = f"sqlite:///{folder}/live.db"
    (folder / "kept").mkdir(parents=True)
    await with_schema(url, MIGRATIONS)
    database, shown = Database.open(url), Shown()
    try:
        beat = keeping.beat(database, AUDIT, clock, shown)
        yield Service(folder, clock, Keeper(url, AUDIT, keeping, MIGRATIONS), database, beat, shown)
    finally:
        await database.close()


@pytest.fixture
async def alone(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Service]:
    """Twelve rows in two chains, signed; nobody watches."""
    keeping = AuditKeeping("admin_service", "tenant_service", tmp_path / "audit.pem")
    async with service(tmp_path / "own", clock, keeping) as found:
        await filled(found.database, clock)
        await found.sign()
        yield found


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


async def test_a_database_is_copied_while_it_is_written(alone: Service) -> None:
    """Issue 10: the copy is one moment of a live database, whole and proven; nobody waits for it."""
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await filled(alone.database, alone.clock, pairs=1)
            written += 1

    writing = asyncio.create_task(write())
    try:
        async with asyncio.timeout(20):
            while written < 20:
                await asyncio.sleep(0.01)
        manifest = await alone.back_up()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    proof = await alone.prove(alone.backup_file)

    assert manifest.breaks == ()
    assert manifest.checkpoint is not None
    assert [head.chain for head in manifest.audit_heads] == ["global", "org_1"]
    assert manifest.audit_rows == proof.verified.checked >= 2 * 26
    assert {head.seq for head in manifest.audit_heads} == {manifest.audit_rows // 2}
    assert proof.ok


async def test_a_backup_is_private_and_whole_in_one_file(alone: Service) -> None:
    """It holds personal data and keys: 0600, no journal beside it, its digest in the manifest."""
    manifest = await alone.back_up()

    assert sorted(file.name for file in alone.backup_file.parent.iterdir()) == [
        "backup.db",
        "backup.db.manifest.json",
    ]
    modes = {stat.S_IMODE(file.stat().st_mode) for file in alone.backup_file.parent.iterdir()}
    assert modes == {0o600}
    assert manifest.sha256 == sha256(alone.backup_file.read_bytes()).hexdigest()
    assert json.loads(manifest_file(alone.backup_file).read_text())["sha256"] == manifest.sha256


@pytest.mark.parametrize("there", ["backup.db", "backup.db.manifest.json"])
async def test_a_backup_is_never_written_over(alone: Service, there: str) -> None:
    """Yesterday's file stays what it is, be it only half of one."""
    (alone.backup_file.parent / there).write_text("yesterday's")
    with pytest.raises(BackupError, match="never written over"):
        await alone.back_up()

    assert [file.read_text() for file in alone.backup_file.parent.iterdir()] == ["yesterday's"]


async def test_a_broken_log_is_kept_as_evidence_and_not_restored(alone: Service) -> None:
    """R-030: what somebody did to the log is in the copy too, is named, and does not come back as good."""
    await unlock(alone.database)
    await rewrite(alone.database, "global", reason="nothing happened")
    manifest = await alone.back_up()

    assert manifest.breaks
    with pytest.raises(BackupError, match="evidence"):
        await alone.restore(to=alone.folder / "new.db")


async def test_what_was_backed_up_comes_back(alone: Service) -> None:
    """On an empty machine: every row, proven, and one CRITICAL row more that tells of it."""
    manifest = await alone.back_up()
    done = await alone.restore(to=alone.folder / "machine" / "new.db")
    proof = await alone.prove(done.database)
    with closing(sqlite3.connect(done.database)) as connection:
        told = connection.execute(
            "SELECT severity, reason, resource_id FROM audit_events WHERE event = 'audit.database.restored'"
        ).fetchall()

    assert proof.ok
    assert proof.verified.checked == manifest.audit_rows + 1
    assert told == [("CRITICAL", REASON, manifest.sha256)]
    assert done.aside is None
    assert stat.S_IMODE(done.database.stat().st_mode) == 0o600
    assert done.proof.witness.state is AnchorState.NOT_CONFIGURED


def _one_byte(alone: Service) -> None:
    content = bytearray(alone.backup_file.read_bytes())
    content[len(content) // 2] ^= 1
    alone.backup_file.write_bytes(content)


def _no_manifest(alone: Service) -> None:
    manifest_file(alone.backup_file).unlink()


def _other_service(alone: Service) -> None:
    _say(alone, service="tenant_service")


def _other_revision(alone: Service) -> None:
    _say(alone, revision="0001")


def _newer(alone: Service) -> None:
    _alter(alone, "UPDATE alembic_version SET version_num = '9999'")
    _say(alone, revision="9999")


def _a_row_changed(alone: Service) -> None:
    _alter(
        alone,
        "UPDATE audit_events SET reason = 'none' WHERE chain_seq = 3",
    )


def _the_end_removed(alone: Service) -> None:
    """Without a flaw in itself: only the signed checkpoint knows."""
    _alter(
        alone,
        "DELETE FROM audit_pii WHERE event_id IN (SELECT id FROM audit_events WHERE chain_seq > 4)",
        "DELETE FROM audit_events WHERE chain_seq > 4",
        "UPDATE audit_chain_heads SET seq = 4, hash = (SELECT hash FROM audit_events WHERE chain_seq = 4"
        " AND audit_events.chain = audit_chain_heads.chain)",
    )


def _no_database(alone: Service) -> None:
    alone.backup_file.write_bytes(b"no database at all" * 500)
    _say(alone, sha256=sha256(alone.backup_file.read_bytes()).hexdigest())


def _loose_row(alone: Service) -> None:
    _alter(alone, "DELETE FROM audit_events WHERE chain_seq = 3")


def _no_key(alone: Service) -> None:
    alone.keeper.keeping.key_file.unlink()


def _a_trigger_removed(alone: Service) -> None:
    """The log is as it was, and from now on it could be rewritten."""
    _alter(alone)


def _a_trigger_added(alone: Service) -> None:
    """What comes back with the database and works inside the service."""
    with closing(sqlite3.connect(alone.backup_file)) as connection:
        connection.execute(
            "CREATE TRIGGER back_door AFTER INSERT ON audit_events BEGIN"
            " UPDATE global_admins SET deactivated_at = NULL; END"
        )
    _say(alone, sha256=sha256(alone.backup_file.read_bytes()).hexdigest())


def _a_manifest_of_other_heads(alone: Service) -> None:
    _say(alone, auditHeads=[{"chain": "global", "seq": 999, "hash": "0" * 64}])


def _a_manifest_that_writes(alone: Service) -> None:
    """To the terminal of whoever restores."""
    _say(alone, service="\x1b]0;restored\x07\x1b[2Jtenant")


def _alter(alone: Service, *statements: str) -> None:
    """What somebody does who can write both the file and its manifest."""
    with closing(sqlite3.connect(alone.backup_file, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for statement in (*(f"DROP TRIGGER {name}" for (name,) in triggers), *statements):
            connection.execute(statement)
    _say(alone, sha256=sha256(alone.backup_file.read_bytes()).hexdigest())


def _say(alone: Service, **changes: object) -> None:
    file = manifest_file(alone.backup_file)
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    "spoil, says",
    [
        (_one_byte, "SHA-256"),
        (_no_manifest, "cannot be read"),
        (_other_service, "of tenant_service"),
        (_other_revision, "its manifest says 0001"),
        (_newer, "does not know"),
        (_a_row_changed, "audit log of the backup is broken: 'global' 3: hash"),
        (_the_end_removed, "audit log of the backup is broken: .*checkpoint"),
        (_no_database, "not a database"),
        (_loose_row, "refers to a row that is gone"),
        (_no_key, "bring it back first"),
        (_a_trigger_removed, "schema is not the one of this version: .*'audit_"),
        (_a_trigger_added, "schema is not the one of this version: .*'back_door'"),
        (_a_manifest_of_other_heads, "manifest tells of another audit log"),
        (_a_manifest_that_writes, r"backup of \\x1b\]0;restored\\x07\\x1b\[2Jtenant"),
    ],
)
async def test_nothing_unproven_is_put_in_place(
    alone: Service, spoil: Callable[[Service], None], says: str
) -> None:
    """Digest, integrity, schema and every chain are judged first; a refusal has changed nothing."""
    await alone.back_up()
    spoil(alone)
    before = {file: file.read_bytes() for file in alone.backup_file.parent.iterdir()}
    there = sorted(alone.folder.iterdir())
    with pytest.raises((BackupError, DatabaseNewerError), match=says):
        await alone.restore(Wanted(REASON, replace=True), to=alone.folder / "new.db")

    assert {file: file.read_bytes() for file in alone.backup_file.parent.iterdir()} == before
    left = set(alone.folder.iterdir()) - set(there)
    assert {file.name for file in left} <= {"new.db.lock"}


async def test_nothing_is_restored_under_a_running_service(alone: Service) -> None:
    """It holds the lock of its file: even the loud flag does not help."""
    await alone.back_up()
    with sole_process(alone.keeper.url), pytest.raises(DatabaseInUseError):
        await alone.restore(Wanted(REASON, replace=True))


async def test_a_symbolic_link_is_the_database_behind_it(alone: Service) -> None:
    """By another name the running service is noticed as well, and the link stays one."""
    await alone.back_up()
    link = alone.folder / "link.db"
    link.symlink_to(alone.file)
    with sole_process(alone.keeper.url), pytest.raises(DatabaseInUseError):
        await alone.restore(Wanted(REASON, replace=True), to=link)
    await alone.database.close()
    done = await alone.restore(Wanted(REASON, replace=True), to=link)

    assert (done.database, link.is_symlink()) == (alone.file, True)
    assert (await alone.prove(link)).verified.checked == 13


async def test_a_database_that_is_there_is_kept_aside(alone: Service) -> None:
    """It needs a word; what the old one held only in its write-ahead log is kept with it."""
    await alone.back_up()
    await filled(alone.database, alone.clock, pairs=3)
    killed = alone.folder / "killed.db"
    for suffix in ("", "-wal"):  # as a SIGKILL leaves them
        shutil.copy(f"{alone.file}{suffix}", f"{killed}{suffix}")
    with pytest.raises(BackupError, match="--replace-database"):
        await alone.restore(to=killed)
    done = await alone.restore(Wanted(REASON, replace=True), to=killed)

    assert done.aside is not None
    assert not Path(f"{killed}-wal").exists()
    assert (await alone.prove(done.aside)).verified.checked == 18
    assert (await alone.prove(killed)).verified.checked == 13


@dataclass
class Watched:
    """The service and the other one, which keeps its signed checkpoints."""

    own: Service
    other: Service

    async def signed_and_witnessed(self) -> None:
        await self.own.sign()
        await self.other.beat.once()


@pytest.fixture
async def watched(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Watched]:
    names = ("admin_service", "tenant_service")
    folders = [tmp_path / name for name in names]
    shown = [web.Application(), web.Application()]
    servers = [TestServer(app) for app in shown]
    keepings = []
    for number, name in enumerate(names):
        key, pinned = tmp_path / f"{name}.pem", tmp_path / f"{names[1 - number]}.json"
        keepings.append(AuditKeeping(name, names[1 - number], key, None, pinned))
        (tmp_path / f"{name}.json").write_text(json.dumps(public_jwks(keepings[-1].signing_keys())))
    # Each shows its notes only once it is open, and is asked only once it listens.
    async with (
        _listening(servers[0], shown[0], folders[0], clock, keepings[0]) as own,
        _listening(servers[1], shown[1], folders[1], clock, keepings[1], peer=servers[0]) as other,
    ):
        own.keeper = replace(own.keeper, keeping=replace(keepings[0], peer_url=str(servers[1].make_url("/"))))
        yield Watched(own, other)


@asynccontextmanager
async def _listening(
    server: TestServer,
    app: web.Application,
    folder: Path,
    clock: FrozenClock,
    keeping: AuditKeeping,
    *,
    peer: TestServer | None = None,
) -> AsyncIterator[Service]:
    peered = replace(keeping, peer_url=str(peer.make_url("/"))) if peer else keeping
    async with service(folder, clock, peered) as found:
        found.shown.mount(app)
        await server.start_server()
        try:
            yield found
        finally:
            await server.close()


async def test_an_older_backup_names_what_is_cut(watched: Watched) -> None:
    """R-030, data-model 2.6: the witness knows of rows that the backup lacks: told, recorded, not hidden."""
    own = watched.own
    await filled(own.database, own.clock)
    await watched.signed_and_witnessed()
    await own.back_up()
    await filled(own.database, own.clock, pairs=4)
    await watched.signed_and_witnessed()
    await own.database.close()
    done = await own.restore(Wanted(REASON, replace=True))

    assert [(found.chain, done.end_of(found.chain), found.seq) for found in done.cut] == [
        ("global", 6, 10),
        ("org_1", 6, 10),
    ]
    assert done.contradicted == ()
    after = await own.prove(own.file)
    assert {(found.chain, found.differs) for found in after.breaks} == {
        ("global", Differs.WITNESS),
        ("org_1", Differs.WITNESS),
    }
    # The next checkpoint is of a shorter chain: the other service says so in its own log.
    await watched.signed_and_witnessed()
    async with watched.other.database.read() as session:
        told = await session.scalar(
            text("SELECT count(*) FROM audit_events WHERE event = 'audit.chain.broken'")
        )
    assert told == 1


async def test_a_second_restore_has_to_say_that_it_knows(watched: Watched) -> None:
    """After one restore the witness remembers another history: a later backup needs a word, and is marked."""
    own = watched.own
    await filled(own.database, own.clock)
    await own.back_up()
    await filled(own.database, own.clock, pairs=2)
    await watched.signed_and_witnessed()
    await own.database.close()
    await own.restore(Wanted(REASON, replace=True))
    await filled(own.database, own.clock, pairs=3)
    for file in (own.backup_file, manifest_file(own.backup_file)):
        file.unlink()
    manifest = await own.back_up()
    await own.database.close()
    own.clock.advance(60)
    with pytest.raises(BackupError, match="--despite-the-witness"):
        await own.restore(Wanted(REASON, replace=True))
    done = await own.restore(Wanted(REASON, replace=True, despite_witness=True))

    assert manifest.breaks == ()
    assert [found.chain for found in done.contradicted] == ["global", "org_1"]
    with closing(sqlite3.connect(own.file)) as connection:
        (details,) = connection.execute(
            "SELECT details FROM audit_events WHERE event = 'audit.database.restored'"
            " ORDER BY chain_seq DESC LIMIT 1"
        ).fetchone()
    assert json.loads(details)["witness_disagreements"] == 2


async def test_a_full_disk_leaves_no_half_backup(alone: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy breaks off: a named error, no file that looks like a backup, and the service goes on."""

    def full(_database: Path, draft: Path, _on_bytes: object) -> None:
        draft.write_bytes(b"half")
        raise BackupError(f"{draft}: database or disk is full")

    monkeypatch.setattr("service_kit.audit.backing_up.files.copy_live", full)
    with pytest.raises(BackupError, match="disk is full"):
        await alone.back_up()

    assert list(alone.backup_file.parent.iterdir()) == []


def test_the_commands_say_what_else_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`admin-service backup` and `restore` from a shell: statuses and texts; the key is named, not copied."""
    live = tmp_path / "live.db"
    monkeypatch.setitem(os.environ, "ADMIN_DATABASE_URL", f"sqlite:///{live}")
    backup = str(tmp_path / "backup.db")
    assert main(["backup", backup]) == 1
    assert "there is no database" in capsys.readouterr().err
    asyncio.run(with_schema(f"sqlite:///{live}", MIGRATIONS))
    assert main(["seed-admin", "--email", "ada@example.com", "--name", "Ada"]) == 0
    capsys.readouterr()

    assert main(["backup", backup]) == 0
    assert str(tmp_path / "admin_service-audit.pem") in capsys.readouterr().out
    assert main(["restore", backup, "--reason", REASON]) == 1
    assert "--replace-database" in capsys.readouterr().err
    assert main(["restore", backup, "--reason", REASON, "--replace-database", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["witness"], told["cut"]) == (True, "not_configured", [])
    assert Path(told["aside"]).exists()
    with pytest.raises(SystemExit):
        main(["restore", backup, "--reason", "  "])


def test_postgresql_is_left_to_its_own_tools(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One clear line that names the page, and nothing is connected to."""
    monkeypatch.setitem(os.environ, "ADMIN_DATABASE_URL", "postgresql://somebody@192.0.2.1/admin")

    assert main(["backup", str(tmp_path / "backup.db")]) == 1
    assert "pg_dump" in capsys.readouterr().err
