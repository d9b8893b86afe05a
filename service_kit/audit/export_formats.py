"""The formats of an export: NDJSON and CSV here, OCSF and CEF in `export_siem`; one record is one line.

The last line of each holds the manifest. Only NDJSON carries all that a row's hash covers; a file of the
other formats is proven by the digest and the signature of its manifest.
"""

import csv
import io
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from service_kit.audit.export_rows import ExportedRow, compact_json

MANIFEST: Final = "manifest"
CSV_MANIFEST: Final = "# manifest"
_FORMULA: Final = frozenset("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")
"""How a spreadsheet's formula begins, also in the wide letters that some of them take for the same."""

_INNER_FORMULA: Final = re.compile('([;\\t][ "]*)([=+\\-@\uff1d\uff0b\uff0d\uff20])')
"""A formula behind a semicolon or a tab: some spreadsheets part the cells there, whatever quotes say."""

_PERSON: Final = ("actor_email", "actor_name", "ip", "user_agent")
CSV_COLUMNS: Final = (
    "created_at",
    "id",
    "source",
    "event",
    "event_version",
    "action",
    "severity",
    "outcome",
    "actor_type",
    "actor_id",
    "actor_role",
    *_PERSON,
    "scope",
    "organization_id",
    "target_type",
    "target_id",
    "resource_type",
    "resource_id",
    "reason",
    "ticket_ref",
    "justification_code",
    "request_id",
    "session_ref",
    "predicate_shape",
    "predicate_digest",
    "row_count",
    "page_no",
    "details",
    "pair_id",
    "chain",
    "chain_seq",
    "pii_commitment",
    "prev_hash",
    "hash",
)


class ExportFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    OCSF = "ocsf"
    CEF = "cef"


class RowWriter(Protocol):
    """Writes one format; every piece ends with a line break."""

    content_type: str

    def head(self) -> bytes:
        """What stands before the first row."""
        ...

    def row(self, source: str, one: ExportedRow) -> bytes: ...

    def trailer(self, manifest: Mapping[str, Any]) -> bytes:
        """The last line."""
        ...


class NdjsonWriter:
    """One JSON object a line: `source`, `row`, `person`; last, an object whose one member is `manifest`."""

    content_type = "application/x-ndjson"

    def head(self) -> bytes:
        return b""

    def row(self, source: str, one: ExportedRow) -> bytes:
        return ndjson_line({"source": source, "row": one.row, "person": one.person})

    def trailer(self, manifest: Mapping[str, Any]) -> bytes:
        return ndjson_line({MANIFEST: manifest})


class CsvWriter:
    """RFC 4180 with a head line; last, a record `# manifest` with the manifest as JSON in its second cell."""

    content_type = "text/csv; charset=utf-8; header=present"

    def head(self) -> bytes:
        return csv_line(CSV_COLUMNS)

    def row(self, source: str, one: ExportedRow) -> bytes:
        values = {**one.row, **(one.person or {}), "source": source, "created_at": one.row["occurred_at"]}
        values["details"] = compact_json(all_details(one)).decode()
        return csv_line(guarded(values.get(name)) for name in CSV_COLUMNS)

    def trailer(self, manifest: Mapping[str, Any]) -> bytes:
        return csv_line((CSV_MANIFEST, compact_json(manifest).decode()))


def ndjson_line(document: Mapping[str, Any]) -> bytes:
    return compact_json(document) + b"\n"


def csv_line(cells: Any) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().encode()


def guarded(value: Any) -> str:
    """A cell that no spreadsheet runs: what could begin a formula gets an apostrophe before it (CWE-1236).

    Line breaks inside become a backslash and a letter, so that one record stays one line.
    """
    if value is None:
        return ""
    text = str(value)
    flat = text.replace("\r", "\\r").replace("\n", "\\n").replace("\0", "\\0")
    flat = _INNER_FORMULA.sub(r"\1'\2", flat)
    return f"'{flat}" if text.lstrip(" ")[:1] in _FORMULA and text.strip(" ") else flat


def all_details(one: ExportedRow) -> dict[str, Any]:
    """What the pages show as details: the chained ones and those that can be erased."""
    return {**(one.row["details"] or {}), **((one.person or {}).get("details_pii") or {})}
