"""Exports for a SIEM: OCSF 1.3 API Activity events and ArcSight CEF lines, one event a line.

Both are translations: they leave out what a hash covers, so their rows are proven by the manifest alone.
"""

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from service_kit.audit.export_formats import (
    MANIFEST,
    CsvWriter,
    ExportFormat,
    NdjsonWriter,
    RowWriter,
    all_details,
    ndjson_line,
)
from service_kit.audit.export_rows import ExportedRow, compact_json

CEF_MANIFEST: Final = "CEF:0|Sallyport|Sallyport|1|audit.export.manifest|Manifest|0|msg="
_CLASS: Final = 6003
"""OCSF 1.3.0, category 6 (application activity), class API Activity."""

_OCSF_SEVERITY: Final = {"INFO": 1, "NOTICE": 2, "WARNING": 3, "CRITICAL": 5}
_CEF_SEVERITY: Final = {"INFO": 2, "NOTICE": 4, "WARNING": 6, "CRITICAL": 9}
_ACTIVITIES: Final = {
    "create": 1,
    "issue": 1,
    "mint": 1,
    "view": 2,
    "export": 2,
    "support": 2,
    "update": 3,
    "change": 3,
    "suspend": 3,
    "restore": 3,
    "deactivate": 3,
    "reactivate": 3,
    "delete": 4,
}
_OTHER: Final = 99


class OcsfWriter:
    """API Activity events; the last line is an object whose one member is `manifest`."""

    content_type = "application/x-ndjson"

    def head(self) -> bytes:
        return b""

    def row(self, source: str, one: ExportedRow) -> bytes:
        return ndjson_line(_ocsf(source, one))

    def trailer(self, manifest: Mapping[str, Any]) -> bytes:
        return ndjson_line({MANIFEST: manifest})


class CefWriter:
    """CEF lines; the last one is an event `audit.export.manifest` with the manifest as its message."""

    content_type = "text/plain; charset=utf-8"

    def head(self) -> bytes:
        return b""

    def row(self, source: str, one: ExportedRow) -> bytes:
        row = one.row
        header = "|".join(
            _header(part)
            for part in (
                "Sallyport",
                source,
                str(row["event_version"]),
                row["event"],
                row["action"] or row["event"],
                str(_CEF_SEVERITY.get(row["severity"], 5)),
            )
        )
        extension = " ".join(f"{key}={_value(text)}" for key, text in _extension(one).items() if text)
        return f"CEF:0|{header}|{extension}\n".encode()

    def trailer(self, manifest: Mapping[str, Any]) -> bytes:
        return f"{CEF_MANIFEST}{_value(compact_json(manifest).decode())}\n".encode()


def writer_of(kind: ExportFormat) -> RowWriter:
    match kind:
        case ExportFormat.CSV:
            return CsvWriter()
        case ExportFormat.NDJSON:
            return NdjsonWriter()
        case ExportFormat.OCSF:
            return OcsfWriter()
        case ExportFormat.CEF:
            return CefWriter()


def cef_text(value: str) -> str:
    """A CEF value as it was before it was escaped."""
    pieces = value.split("\\\\")
    return "\\".join(piece.replace("\\=", "=").replace("\\n", "\n").replace("\\r", "\r") for piece in pieces)


def _milliseconds(one: ExportedRow) -> int:
    moment = datetime.fromisoformat(one.row["occurred_at"])
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def _ocsf(source: str, one: ExportedRow) -> dict[str, Any]:
    row, person = one.row, one.person or {}
    activity = _ACTIVITIES.get(str(row["action"]).split("_", 1)[0], _OTHER)
    done = row["outcome"] == "success"
    return {
        "category_uid": 6,
        "class_uid": _CLASS,
        "type_uid": _CLASS * 100 + activity,
        "activity_id": activity,
        "activity_name": row["action"] or row["event"],
        "time": _milliseconds(one),
        "severity_id": _OCSF_SEVERITY.get(row["severity"], _OTHER),
        "severity": row["severity"],
        "status_id": 1 if done else 2,
        "status": "Success" if done else "Failure",
        "status_detail": row["outcome"],
        "message": row["reason"] or row["event"],
        "metadata": {
            "version": "1.3.0",
            "uid": row["id"],
            "event_code": row["event"],
            "correlation_uid": row["request_id"],
            "product": {"name": "Sallyport", "vendor_name": "Sallyport", "feature": {"name": source}},
        },
        "actor": {
            "user": {
                "uid": row["actor_id"],
                "name": person.get("actor_name", ""),
                "email_addr": person.get("actor_email", ""),
                "type": row["actor_type"],
                "groups": [{"name": row["actor_role"]}] if row["actor_role"] else [],
            }
        },
        "api": {"operation": row["event"], "request": {"uid": row["request_id"]}},
        "src_endpoint": {"ip": person["ip"]} if person.get("ip") else {"name": "unknown"},
        "http_request": {"user_agent": person.get("user_agent", "")},
        "resources": [
            {"type": row["resource_type"], "uid": row["resource_id"]},
            {"type": row["target_type"], "uid": row["target_id"]},
        ],
        "unmapped": {
            "scope": row["scope"],
            "organization_id": row["organization_id"],
            "ticket_ref": row["ticket_ref"],
            "details": all_details(one),
            "pair_id": row["pair_id"],
            "chain": row["chain"],
            "chain_seq": row["chain_seq"],
            "prev_hash": row["prev_hash"],
            "hash": row["hash"],
        },
    }


def _extension(one: ExportedRow) -> dict[str, str]:
    row, person = one.row, one.person or {}
    details = all_details(one)
    return {
        "rt": str(_milliseconds(one)),
        "externalId": row["id"],
        "act": row["action"],
        "outcome": row["outcome"],
        "suid": row["actor_id"],
        "suser": person.get("actor_email", ""),
        "spriv": row["actor_role"],
        **_address(person.get("ip", "")),
        "requestClientApplication": person.get("user_agent", ""),
        "reason": row["reason"],
        "cs1Label": "chain",
        "cs1": row["chain"],
        "cn1Label": "chainSeq",
        "cn1": str(row["chain_seq"]),
        "cs2Label": "hash",
        "cs2": row["hash"],
        "cs3Label": "prevHash",
        "cs3": row["prev_hash"],
        "cs4Label": "resource",
        "cs4": f"{row['resource_type']}/{row['resource_id']}",
        "cs5Label": "target",
        "cs5": f"{row['target_type']}/{row['target_id']}",
        "cs6Label": "details",
        "cs6": compact_json(details).decode() if details else "{}",
    }


def _address(text: str) -> dict[str, str]:
    try:
        version = ipaddress.ip_address(text).version
    except ValueError:
        return {}
    return {"src": text} if version == 4 else {"c6a2Label": "sourceAddress", "c6a2": text}  # noqa: PLR2004 - IPv4


def _header(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")


def _value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\n", "\\n").replace("\r", "\\r")
