"""The command `ledger verify`: what does not add up, as text or JSON, and an exit status.

It only reads, so it may run beside the service, or on a copy of its database.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from service_kit.db.engine import parse_database_url
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from tenant_service.billing.credits.verifying import LedgerVerifier, Mismatch, Verified
from tenant_service.billing.tables import BillingTables

BROKEN: Final = 1


def add_ledger_arguments(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`ledger verify [--json]`; the parser of `verify`, whose command is yet to be set."""
    actions = command.add_subparsers(required=True, metavar="action")
    verify = actions.add_parser("verify", help="prove that every tenant's totals are what its ledger says")
    verify.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    return verify


async def verify_ledger(url: str, tables: BillingTables) -> Verified:
    """The proof of the database at a URL. Raises UnavailableError."""
    _require_database(url)
    database = Database.open(url)
    try:
        return await LedgerVerifier(database, tables).verify()
    finally:
        await database.close()


def _require_database(url: str) -> None:
    """Opening a SQLite file that is not there would make an empty one, which adds up."""
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        raise UnavailableError("DATABASE_UNAVAILABLE", "There is no database at that path")


def tell_ledger(verified: Verified, *, as_json: bool) -> int:
    """Print what was found; the exit status."""
    text = json.dumps(_document(verified)) if as_json else _text(verified)
    sys.stdout.write(f"{text}\n")
    return 0 if verified.ok else BROKEN


def _document(verified: Verified) -> dict[str, object]:
    return {
        "ok": verified.ok,
        "accounts": verified.accounts,
        "postings": verified.postings,
        "mismatches": [
            {
                "organizationId": found.organization_id,
                "what": found.what,
                "ledger": found.ledger,
                "stored": found.stored,
            }
            for found in verified.mismatches
        ],
    }


def _text(verified: Verified) -> str:
    lines = [f"{verified.postings} postings of {verified.accounts} accounts verified."]
    lines += [_line(found) for found in verified.mismatches]
    lines.append("The ledger adds up." if verified.ok else "The ledger does NOT add up.")
    return "\n".join(lines)


def _line(found: Mismatch) -> str:
    return (
        f"MISMATCH  {found.organization_id!a} {found.what!a}: the ledger says {found.ledger}, "
        f"{found.stored} is stored"
    )
