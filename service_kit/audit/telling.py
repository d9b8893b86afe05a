"""The command `audit verify` of each service: the proof as text or JSON, a progress bar, an exit status.

It only reads, so it may run beside the service, or on a copy of its database; an export is proven without
any database or setting.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from sqlalchemy import func, select
from tqdm import tqdm

from service_kit.audit.export_telling import tell_export
from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.proving import Anchored, AnchorState, Proof
from service_kit.audit.tables import AuditTables
from service_kit.audit.verifying import Break, Progress, Stretch, printable
from service_kit.db.engine import parse_database_url
from service_kit.db.session import Database
from service_kit.errors import UnavailableError

BROKEN: Final = 1
_STATES: Final = {
    AnchorState.NONE: "there is none yet",
    AnchorState.UNAVAILABLE: "the other service does not answer: nothing was held against its witness",
    AnchorState.NOT_CONFIGURED: "no other service is named (AUDIT_PEER_URL): a rewritten log may look whole",
}


def add_audit_arguments(
    command: argparse.ArgumentParser, add_more: Callable[[Any], None]
) -> argparse.ArgumentParser:
    """`audit verify [--chain CHAIN] [--export FILE [--keys FILE]] [--json]`; the parser of `verify`, whose
    command is yet to be set. `add_more` adds further actions.
    """
    actions = command.add_subparsers(required=True, metavar="action")
    add_more(actions)
    verify = actions.add_parser("verify", help="prove that nobody has touched this service's audit log")
    verify.add_argument("--chain", default="", help="one chain: global, or a tenant's id; all by default")
    verify.add_argument(
        "--export", metavar="FILE", help="prove an exported file instead, offline; - reads standard input"
    )
    verify.add_argument(
        "--keys",
        metavar="FILE",
        action="append",
        type=Path,
        default=[],
        help="with --export: a JWK set of public audit keys, as a service shows at /audit/keys; repeatable",
    )
    verify.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    return verify


def verify_offline(arguments: argparse.Namespace) -> int | None:
    """The exit status of `audit verify --export`; None for every other command.

    To be asked before settings are read: an auditor has none.
    """
    export: str | None = getattr(arguments, "export", None)
    if export is None:
        return None
    return tell_export(export, arguments.keys, as_json=arguments.json)


async def verify(url: str, tables: AuditTables, keeping: AuditKeeping, *, chain: str) -> Proof:
    """The proof of the database at a URL, with its progress on a terminal. Raises UnavailableError."""
    require_database(url)
    database = Database.open(url)
    try:
        progress = ProgressLine(sys.stderr, await _rows(database, tables, chain))
        try:
            return await keeping.prover(database, tables).prove(Stretch(chain), progress.show)
        finally:
            progress.clear()
    finally:
        await database.close()


async def _rows(database: Database, tables: AuditTables, chain: str) -> int:
    """How many rows the heads of the chains count: what the bar is full of."""
    query = select(func.sum(tables.heads.c.seq))
    async with database.read() as session:
        return int(await session.scalar(query.where(tables.heads.c.chain == chain) if chain else query) or 0)


def require_database(url: str) -> None:
    """Opening a SQLite file that is not there would make an empty one, which is whole."""
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        raise UnavailableError("DATABASE_UNAVAILABLE", "There is no database at that path")


def tell(proof: Proof, *, as_json: bool) -> int:
    """Print what was found; the exit status."""
    text = json.dumps(_document(proof)) if as_json else _text(proof)
    sys.stdout.write(f"{text}\n")
    return 0 if proof.ok else BROKEN


class ProgressLine:
    """A progress bar that leaves nothing behind; none where nobody watches."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._bar = (
            tqdm(total=total or None, unit=" rows", file=stream, leave=False) if stream.isatty() else None
        )

    def show(self, progress: Progress) -> None:
        if self._bar is not None:
            chain = progress.chain.encode("ascii", "backslashreplace").decode()
            self._bar.set_description_str(f"{chain[:40]!r}", refresh=False)
            self._bar.update(progress.checked - self._bar.n)

    def clear(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _document(proof: Proof) -> dict[str, Any]:
    return {
        "ok": proof.ok,
        "checked": proof.verified.checked,
        "chains": proof.verified.chains,
        "erased": proof.verified.erased,
        "firstBreak": _broken(proof.breaks[0]) if proof.breaks else None,
        "breaks": [_broken(found) for found in proof.breaks],
        "checkpoints": _anchors(proof.checkpoints),
        "witness": _anchors(proof.witness),
    }


def _broken(found: Break) -> dict[str, Any]:
    shown = printable(found)
    return {
        "chain": shown["chain"],
        "seq": shown["seq"],
        "rowId": shown["row_id"],
        "differs": found.differs.value,
        "column": shown["column"],
    }


def _anchors(anchored: Anchored) -> dict[str, Any]:
    at = anchored.newest_at.isoformat() if anchored.newest_at is not None else None
    return {"state": anchored.state.value, "checked": anchored.checked, "newestAt": at}


def _text(proof: Proof) -> str:
    verified = proof.verified
    lines = [
        f"{verified.checked} rows in {verified.chains} chains verified.",
        f"Personal data: of {verified.erased} rows erased.",
        f"Checkpoints: {_anchored(proof.checkpoints)}.",
        f"Witness: {_anchored(proof.witness)}.",
    ]
    lines += [_break_line(found) for found in proof.breaks]
    lines.append("The audit log is as it was written." if proof.ok else "The audit log is BROKEN.")
    return "\n".join(lines)


def _anchored(anchored: Anchored) -> str:
    if anchored.state is not AnchorState.CHECKED:
        return _STATES[anchored.state]
    newest = f", the newest of {anchored.newest_at:%Y-%m-%d %H:%M:%S} UTC" if anchored.newest_at else ""
    return f"{anchored.checked} held against the chains{newest}"


def _break_line(found: Break) -> str:
    shown = printable(found)
    row = ascii(shown["row_id"]) if shown["row_id"] else "no row"
    column = f" ({shown['column']})" if shown["column"] else ""
    return f"BREAK  {shown['chain']!a} {found.seq}: {row}: {found.differs.value}{column}"
