"""The command `audit verify` of each service: the proof as text or JSON, a line of progress, an exit status.

It only reads, so it may run beside the service, or on a copy of its database.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final, TextIO

from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.proving import Anchored, AnchorState, Proof
from service_kit.audit.tables import AuditTables
from service_kit.audit.verifying import Break, Progress, Stretch, printable
from service_kit.db.engine import parse_database_url
from service_kit.db.session import Database
from service_kit.errors import UnavailableError

BROKEN: Final = 1
_CLEAR: Final = "\r\x1b[K"
_STATES: Final = {
    AnchorState.NONE: "there is none yet",
    AnchorState.UNAVAILABLE: "the other service does not answer: nothing was held against its witness",
    AnchorState.NOT_CONFIGURED: "no other service is named (AUDIT_PEER_URL): a rewritten log may look whole",
}


def add_audit_arguments(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`audit verify [--chain CHAIN] [--json]`; the parser of `verify`, whose command is yet to be set."""
    actions = command.add_subparsers(required=True, metavar="action")
    verify = actions.add_parser("verify", help="prove that nobody has touched this service's audit log")
    verify.add_argument("--chain", default="", help="one chain: global, or a tenant's id; all by default")
    verify.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    return verify


async def verify(url: str, tables: AuditTables, keeping: AuditKeeping, *, chain: str) -> Proof:
    """The proof of the database at a URL, with its progress on a terminal. Raises UnavailableError."""
    _require_database(url)
    database = Database.open(url)
    progress = ProgressLine(sys.stderr)
    try:
        return await keeping.prover(database, tables).prove(Stretch(chain), progress.show)
    finally:
        progress.clear()
        await database.close()


def _require_database(url: str) -> None:
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
    """One line that is written over; nothing where nobody watches."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._watched = stream.isatty()

    def show(self, progress: Progress) -> None:
        if self._watched:
            chain = progress.chain.encode("ascii", "backslashreplace").decode()
            self._stream.write(f"{_CLEAR}{progress.checked:,} rows verified, in {chain[:40]!r}")
            self._stream.flush()

    def clear(self) -> None:
        if self._watched:
            self._stream.write(_CLEAR)
            self._stream.flush()


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
