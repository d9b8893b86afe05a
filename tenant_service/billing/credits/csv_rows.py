"""The ledger as CSV (RFC 4180), safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from typing import Final

from service_kit.audit.export_formats import guarded
from tenant_service.billing.credits.schemas import LedgerRow

_COLUMNS: Final = (
    "transaction",
    "kind",
    "amount",
    "balance_after",
    "actor_type",
    "actor_id",
    "note",
    "reverses",
    "created_at",
    "grants",
)


def csv_row(row: LedgerRow) -> str:
    """One line. A text that a spreadsheet would take for a formula gets a quote before it."""
    grants = " ".join(dict.fromkeys(line.grant_id for line in row.postings))
    return _line(
        (
            row.id,
            row.kind.value,
            row.amount,
            "" if row.balance_after is None else row.balance_after,
            row.actor_type.value,
            row.actor_id,
            row.note,
            row.reverses or "",
            row.created_at.isoformat(),
            grants,
        )
    )


def _line(cells: Iterable[str | int]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return buffer.getvalue()


def _cell(cell: str | int) -> str | int:
    # Numbers are ours; a text may be anybody's, and `=HYPERLINK(…)` in a note must stay text.
    return guarded(cell) if isinstance(cell, str) else cell


HEADER_ROW: Final = ",".join(_COLUMNS) + "\r\n"
