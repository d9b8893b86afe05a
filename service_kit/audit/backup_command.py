"""The commands `backup` and `restore` of each service: what is asked, the progress, what is told.

They know only SQLite; a PostgreSQL is told to be backed up by its own tools.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from tqdm import tqdm

from service_kit.audit.backing_up import Keeper, Restored, Wanted, Watcher, back_up, named, restore
from service_kit.audit.backup_manifest import Manifest, manifest_file
from service_kit.audit.proving import AnchorState
from service_kit.audit.telling import ProgressLine
from service_kit.clock import Clock
from service_kit.db.backup import OnBytes

BROKEN: Final = 1
_MOST_LINES: Final = 20
_WITNESS: Final = {
    AnchorState.NONE: "The other service has witnessed nothing of this log yet.",
    AnchorState.UNAVAILABLE: "The other service did not answer: whether it has witnessed more than the "
    "backup has, nobody knows. Run `audit verify` when it is there.",
    AnchorState.NOT_CONFIGURED: "No other service is named (AUDIT_PEER_URL): whether anybody has witnessed "
    "more than the backup has, nobody knows.",
}

Keys = Mapping[str, Path]
"""The files beside the database that a backup does not hold, by setting."""
Command = Callable[[Any, argparse.Namespace], int] | Callable[[argparse.Namespace], int]


def add_backup_arguments(commands: Any, *, backup: Command, restore: Command) -> None:
    """`backup FILE [--json]` and `restore FILE --reason WHY [--replace-database] [--json]`."""
    making: argparse.ArgumentParser = commands.add_parser(
        "backup",
        help="copy the SQLite database, also while the service runs, and prove the copy's audit log",
        description="Copy the SQLite database to FILE, beside it FILE.manifest.json. Neither may exist.",
    )
    making.set_defaults(command=backup)
    making.add_argument("file", metavar="FILE", type=Path, help="where to; its folder must exist")
    making.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    taking: argparse.ArgumentParser = commands.add_parser(
        "restore",
        help="prove a backup and put it in the place of the SQLite database; the service must be stopped",
        description="Prove a backup and put it in the place of the database. The audit log records it as "
        "CRITICAL.",
    )
    taking.set_defaults(command=restore)
    taking.add_argument("file", metavar="FILE", type=Path, help="a backup, with its manifest beside it")
    taking.add_argument("--reason", required=True, type=_reason, help="why; it stands in the audit log")
    taking.add_argument(
        "--replace-database", action="store_true", help="a database may be there: it is kept aside"
    )
    taking.add_argument(
        "--despite-the-witness",
        action="store_true",
        help="the other service may have witnessed another history, as it has after an earlier restore",
    )
    taking.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run_backup(keeper: Keeper, keys: Keys, clock: Clock, arguments: argparse.Namespace) -> int:
    """The exit status; 1 for a copy whose audit log is broken. Raises BackupError."""
    with _Bars() as bars:
        manifest = asyncio.run(back_up(keeper, arguments.file, clock, bars.watcher))
    document = {"ok": not manifest.breaks, **manifest.model_dump(mode="json", by_alias=True)}
    _say(json.dumps(document) if arguments.json else _backup_text(arguments.file, manifest, keys))
    return BROKEN if manifest.breaks else 0


def run_restore(keeper: Keeper, keys: Keys, clock: Clock, arguments: argparse.Namespace) -> int:
    """The exit status. Raises BackupError and DatabaseInUseError."""
    wanted = Wanted(arguments.reason, arguments.replace_database, arguments.despite_the_witness)
    with _Bars() as bars:
        done = asyncio.run(restore(keeper, arguments.file, clock, bars.watcher, wanted))
    _say(json.dumps(_document(done)) if arguments.json else _restore_text(done, keys))
    return 0


class _Bars:
    """One progress bar at a time, gone at the end; none where nobody watches."""

    def __init__(self) -> None:
        self.watcher = Watcher(self._copying, self._proving)
        self._close: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    def _copying(self, total: int) -> OnBytes:
        self._close()
        watched = sys.stderr.isatty()
        bar = tqdm(total=total, desc="copying", unit="B", unit_scale=True, leave=False, disable=not watched)
        self._close = bar.close

        def show(done: int) -> None:
            bar.update(done - bar.n)

        return show

    def _proving(self, total: int) -> Any:
        self._close()
        line = ProgressLine(sys.stderr, total)
        self._close = line.clear
        return line.show


def _reason(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise argparse.ArgumentTypeError("must say why")
    return value


def _backup_text(target: Path, manifest: Manifest, keys: Keys) -> str:
    lines = [
        f"{target}: {manifest.bytes} bytes, revision {manifest.revision}, SHA-256 {manifest.sha256}",
        f"{manifest_file(target)}: keep it beside the backup.",
        f"Audit log: {manifest.audit_rows} rows in {len(manifest.audit_heads)} chains verified.",
    ]
    if manifest.breaks:
        lines += [f"BREAK  {found}" for found in manifest.breaks[:_MOST_LINES]]
        lines.append("The audit log is BROKEN: this file is evidence, and `restore` refuses it.")
    return "\n".join([*lines, *_keys_lines(keys)])


def _keys_lines(keys: Keys) -> list[str]:
    lines = ["Not in it, because a copy must not open what it holds. Keep them too, elsewhere:"]
    return [*lines, *(f"  {name:<26} {path}" for name, path in keys.items())]


def _restore_text(done: Restored, keys: Keys) -> str:
    lines = [
        f"{done.database}: restored as of {done.manifest.made_at_text}.",
        f"Audit log: {done.proof.verified.checked} rows verified; row {done.event_id} tells of the restore.",
    ]
    if done.aside is not None:
        lines.append(f"{done.aside}: the database that was there. Keep it until nobody asks any more.")
    lines += _witness_lines(done)
    missing = {name: path for name, path in keys.items() if not path.exists()}
    if missing:
        lines.append("Missing beside it; a new one would be made at the start, and open nothing old:")
        lines += [f"  {name:<26} {path}" for name, path in missing.items()]
    return "\n".join(lines)


def _witness_lines(done: Restored) -> list[str]:
    witness = done.proof.witness
    if witness.state is not AnchorState.CHECKED:
        return [_WITNESS[witness.state]]
    if not done.proof.breaks:
        return ["The other service has witnessed nothing that is missing here."]
    newest = f" The newest is of {witness.newest_at:%Y-%m-%d %H:%M:%S} UTC." if witness.newest_at else ""
    lines = [f"The other service has witnessed more than is here: the end is CUT.{newest}"]
    for found in done.cut[:_MOST_LINES]:
        ends = done.end_of(found.chain)
        lines.append(f"CUT    {found.chain!a}: ends at row {ends} here, row {found.seq} was witnessed")
    lines += [f"OTHER  {named(found)}" for found in done.contradicted[:_MOST_LINES]]
    lines.append(
        "Both services will record it as audit.chain.broken, CRITICAL, and `audit verify` will go on naming "
        "it. Keep this output with the ticket (docs/backup.md)."
    )
    return lines


def _document(done: Restored) -> dict[str, Any]:
    return {
        "ok": True,
        "database": str(done.database),
        "aside": str(done.aside) if done.aside is not None else None,
        "madeAt": done.manifest.made_at.isoformat(),
        "rows": done.proof.verified.checked,
        "eventId": done.event_id,
        "witness": done.proof.witness.state.value,
        "cut": [
            {"chain": found.chain, "endsAt": done.end_of(found.chain), "witnessed": found.seq}
            for found in done.cut
        ],
        "contradicted": [named(found) for found in done.contradicted],
    }


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
