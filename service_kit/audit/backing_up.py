"""Backup and restore of a service's SQLite database, with its audit log proven on the way.

A backup is proven after it was copied, so that the running service is not read twice. A restore puts nothing
in place that is damaged, of another service, of a newer schema, or whose log was rewritten; that rows
are missing at its end is what an older backup is, so that is told and recorded, never hidden.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from service_kit.audit.backup_manifest import (
    HeadOfChain,
    Manifest,
    manifest_file,
    read_manifest,
    write_manifest,
)
from service_kit.audit.chain import GLOBAL_CHAIN
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.own_events import RESTORED
from service_kit.audit.proving import Proof
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.tables import AuditTables
from service_kit.audit.verifying import Break, Differs, OnProgress
from service_kit.clock import Clock
from service_kit.db import backup as files
from service_kit.db.backup import BackupError, OnBytes
from service_kit.db.migrations import migrate
from service_kit.db.process_lock import sole_process
from service_kit.db.session import Database
from service_kit.ids import IdFactory

_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Keeper:
    """What there is to know of the service whose database it is."""

    url: str
    tables: AuditTables
    keeping: AuditKeeping
    scripts: Path


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is shown how far it is: a new bar for each stage, of so many units."""

    copying: Callable[[int], OnBytes]
    proving: Callable[[int], OnProgress]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Why something is restored, and what is allowed for it."""

    reason: str
    replace: bool = False
    """A database may be there; it is kept aside."""
    despite_witness: bool = False
    """The other service may have witnessed another history, as it has after an earlier restore."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place, what was kept aside, and what is known to be missing."""

    manifest: Manifest
    database: Path
    aside: Path | None
    proof: Proof
    heads: tuple[HeadOfChain, ...]
    event_id: str
    """The audit row that tells of the restore."""

    @property
    def cut(self) -> tuple[Break, ...]:
        """Where the other service has witnessed more of a chain than the backup has."""
        return tuple(found for found in self.proof.breaks if _is_cut(found, self.heads))

    @property
    def contradicted(self) -> tuple[Break, ...]:
        """Where it has witnessed another row than the backup has; allowed, because somebody said so."""
        return tuple(found for found in self.proof.breaks if not _is_cut(found, self.heads))

    def end_of(self, chain: str) -> int:
        return _end_of(chain, self.heads)


async def back_up(keeper: Keeper, target: Path, clock: Clock, watcher: Watcher) -> Manifest:
    """Make `target` and its manifest, which must not exist. Raises BackupError.

    A copy whose audit log is broken is kept, as evidence: the manifest names the breaks.
    """
    source = files.sqlite_file(keeper.url)
    if not files.exists(source):
        raise BackupError(f"{source}: there is no database")
    for each in (target, manifest_file(target)):
        if each.exists():
            raise BackupError(f"{each}: exists; a backup is never written over")
    made_at = clock.now()
    with files.draft_of(target) as draft:
        files.copy_live(source, draft, watcher.copying(files.size_of(source)))
        files.require_sound(draft)
        revision = files.revision_of(draft)
        proof, heads, checkpoint = await _look_into(keeper, draft, watcher)
        files.seal(draft)
        manifest = Manifest(
            service=keeper.keeping.service,
            made_at=made_at,
            file=target.name,
            bytes=draft.stat().st_size,
            sha256=files.sha256_of(draft),
            revision=revision,
            audit_rows=proof.verified.checked,
            audit_heads=heads,
            checkpoint=checkpoint,
            breaks=tuple(named(found) for found in proof.breaks),
        )
        files.publish(draft, target)
        write_manifest(target, manifest)
    return manifest


async def restore(keeper: Keeper, backup: Path, clock: Clock, watcher: Watcher, wanted: Wanted) -> Restored:
    """Put a backup in the place of the database. Raises BackupError; DatabaseInUseError while it is served.

    The backup itself is only read.
    """
    manifest = read_manifest(backup)
    _require_ours(keeper, manifest)
    database = files.sqlite_file(keeper.url)
    with sole_process(keeper.url):
        if files.exists(database) and not wanted.replace:
            raise BackupError(f"{database}: there is a database; --replace-database keeps it aside")
        with files.draft_of(database) as draft:
            _take(manifest, backup, draft, watcher)
            proof, heads, event_id = await _prove_and_record(
                keeper, draft, clock, watcher, manifest=manifest, wanted=wanted
            )
            files.seal(draft)
            aside = files.put_in_place(draft, database, clock.now())
    return Restored(manifest, database, aside, proof, heads, event_id)


def named(found: Break) -> str:
    """A break in one line."""
    return f"{found.chain!a} {found.seq}: {found.differs.value}"


def _require_ours(keeper: Keeper, manifest: Manifest) -> None:
    service = keeper.keeping.service
    if manifest.service != service:
        raise BackupError(f"it is a backup of {manifest.service}, not of {service}")
    if manifest.breaks:
        raise BackupError(
            f"its audit log was broken when it was made ({manifest.breaks[0]}): keep it as evidence"
        )
    if manifest.checkpoint is not None and not keeper.keeping.key_file.exists():
        raise BackupError(
            f"{keeper.keeping.key_file}: the key of the audit log is not there; bring it back first: "
            "without it no checkpoint of the backup can be proven"
        )


def _take(manifest: Manifest, backup: Path, draft: Path, watcher: Watcher) -> None:
    digest = files.copy_file(backup, draft, watcher.copying(manifest.bytes))
    if digest != manifest.sha256:
        raise BackupError(f"{backup}: is not the file that was made: its SHA-256 is {digest}")
    files.require_sound(draft)
    if (found := files.revision_of(draft)) != manifest.revision:
        raise BackupError(
            f"{backup}: is at revision {found or 'none'}, its manifest says {manifest.revision}"
        )


async def _prove_and_record(
    keeper: Keeper, draft: Path, clock: Clock, watcher: Watcher, *, manifest: Manifest, wanted: Wanted
) -> tuple[Proof, tuple[HeadOfChain, ...], str]:
    """Prove the copy, in this version's schema, and add the row that tells of the restore."""
    database = Database.open(f"sqlite:///{draft}")
    try:
        await migrate(database, keeper.scripts)
        heads = await _heads(database, keeper.tables)
        on_progress = watcher.proving(sum(head.seq for head in heads))
        proof = await keeper.keeping.prover(database, keeper.tables).prove(on_progress=on_progress)
        _require_ours_alone(proof, heads, despite_witness=wanted.despite_witness)
        await _require_own_code(keeper, draft)
        if (heads, await _checkpoint(database, keeper.tables)) != (manifest.audit_heads, manifest.checkpoint):
            raise BackupError("its manifest tells of another audit log than the file holds")
        recorder = AuditRecorder(keeper.tables, IdFactory(clock), clock)
        async with database.write() as session:
            (event_id,) = await recorder.record(session, _entry(manifest, proof, wanted))
        return proof, heads, event_id
    finally:
        await database.close()


def _require_ours_alone(proof: Proof, heads: Sequence[HeadOfChain], *, despite_witness: bool) -> None:
    for found in proof.breaks:
        if _is_cut(found, heads):
            continue
        if found.differs is not Differs.WITNESS:
            raise BackupError(f"the audit log of the backup is broken: {named(found)}")
        if not despite_witness:
            raise BackupError(
                f"the other service has witnessed another history: {named(found)}. After an earlier restore "
                "that is so (docs/backup.md): then say --despite-the-witness"
            )


async def _require_own_code(keeper: Keeper, draft: Path) -> None:
    """No trigger or view may be missing, changed or somebody else's.

    Ours guard the log against changes; one that was added would work inside the service, below its checks.
    """
    with files.draft_of(draft.with_name(f"{draft.name}.schema")) as fresh:
        database = Database.open(f"sqlite:///{fresh}")
        try:
            await migrate(database, keeper.scripts)
        finally:
            await database.close()
        differing = files.code_of(fresh) ^ files.code_of(draft)
    if differing:
        name, _code = min(differing)
        raise BackupError(f"its schema is not the one of this version: the trigger or view {name!a} differs")


def _entry(manifest: Manifest, proof: Proof, wanted: Wanted) -> AuditEntry:
    details = {
        "made_at": manifest.made_at.isoformat(),
        "rows": proof.verified.checked,
        "witness": proof.witness.state.value,
        "witness_disagrees": [named(found) for found in proof.breaks[:_MOST_NAMED]],
        "witness_disagreements": len(proof.breaks),
    }
    return AuditEntry(RESTORED, SYSTEM, manifest.sha256, reason=wanted.reason, details=details)


async def _look_into(
    keeper: Keeper, draft: Path, watcher: Watcher
) -> tuple[Proof, tuple[HeadOfChain, ...], str | None]:
    """The proof of a copy without the witness, who knows of what was signed after the copy, too."""
    alone = dataclasses.replace(keeper.keeping, peer_url=None)
    database = Database.open(f"sqlite:///{draft}")
    try:
        heads = await _heads(database, keeper.tables)
        on_progress = watcher.proving(sum(head.seq for head in heads))
        proof = await alone.prover(database, keeper.tables).prove(on_progress=on_progress)
        return proof, heads, await _checkpoint(database, keeper.tables)
    finally:
        await database.close()


async def _heads(database: Database, tables: AuditTables) -> tuple[HeadOfChain, ...]:
    async with database.read() as session:
        rows = await session.rows(select(tables.heads).order_by(tables.heads.c.chain))
    return tuple(HeadOfChain(chain=row["chain"], seq=row["seq"], hash=row["hash"]) for row in rows)


async def _checkpoint(database: Database, tables: AuditTables) -> str | None:
    own = tables.checkpoints.c
    newest = select(func.max(own.seq)).where(own.chain == GLOBAL_CHAIN).scalar_subquery()
    async with database.read() as session:
        note = await session.scalar(select(own.note).where(own.chain == GLOBAL_CHAIN, own.seq == newest))
    return str(note) if note is not None else None


def _is_cut(found: Break, heads: Sequence[HeadOfChain]) -> bool:
    """Whether the witness only knows more: a row that the backup is too old to have."""
    is_witness = found.differs is Differs.WITNESS and not found.column
    return is_witness and found.seq > _end_of(found.chain, heads)


def _end_of(chain: str, heads: Sequence[HeadOfChain]) -> int:
    return next((head.seq for head in heads if head.chain == chain), 0)
