"""The formats of an export: what stands in a cell, an event and a line (R-031, CWE-1236)."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.audit.export_formats import CSV_COLUMNS, CsvWriter, ExportFormat, guarded
from service_kit.audit.export_rows import ExportedRow, row_columns
from service_kit.audit.export_siem import CEF_MANIFEST, cef_text, writer_of

MANIFEST = {"rows": 1, "text": "a=b|c\\n\nd\u2028"}


def exported(**row: Any) -> ExportedRow:
    full: dict[str, Any] = dict.fromkeys(row_columns(), "x")
    full |= {"event_version": 1, "chain_seq": 7, "details": {"plan": "free"}, "severity": "WARNING"}
    full |= {"occurred_at": "2026-01-02T03:04:05.678900Z", "outcome": "success", "action": "create_tenant"}
    person = {
        "salt": "s",
        "actor_email": "ada@example.com",
        "actor_name": "Ada",
        "ip": "192.0.2.7",
        "user_agent": "x",
        "details_pii": {"name": "Ada"},
    }
    return ExportedRow(full | row, person)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", " =", "  @"])
def test_a_formula_gets_an_apostrophe(first: str) -> None:
    """CWE-1236: whatever a spreadsheet might run stands as text."""
    assert guarded(f"{first}cmd").startswith("'")
    assert not guarded("plain=text").startswith("'")
    assert (guarded(None), guarded(""), guarded(7)) == ("", "", "7")


@given(st.text())
def test_a_record_stays_one_line(text: str) -> None:
    """No value can end a line or hide a column, and no cell begins a formula."""
    data = CsvWriter().row("admin", exported(reason=text)).decode(errors="surrogatepass")
    (cells,) = csv.reader(io.StringIO(data, newline=""))

    assert data.count("\n") == 1
    assert len(cells) == len(CSV_COLUMNS)
    assert not cells[CSV_COLUMNS.index("reason")].startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("kind", ExportFormat)
def test_every_format_ends_with_its_manifest(kind: ExportFormat) -> None:
    """One record a line; the last line gives the manifest back, whatever it holds."""
    writer = writer_of(kind)
    lines = [writer.head(), writer.row("tenant", exported(reason="a\nb|c=d\\")), writer.trailer(MANIFEST)]

    assert all(line.count(b"\n") == 1 for line in lines if line)
    last = lines[-1].decode()
    found = {
        ExportFormat.CSV: lambda: json.loads(next(csv.reader([last]))[1]),
        ExportFormat.CEF: lambda: json.loads(cef_text(last.removeprefix(CEF_MANIFEST).rstrip("\n"))),
        ExportFormat.NDJSON: lambda: json.loads(last)["manifest"],
        ExportFormat.OCSF: lambda: json.loads(last)["manifest"],
    }[kind]()
    assert found == MANIFEST


def test_an_ocsf_event_has_what_its_class_requires() -> None:
    """OCSF 1.3 API Activity: the ids agree with each other, the time is in milliseconds."""
    event = json.loads(writer_of(ExportFormat.OCSF).row("tenant", exported()))

    assert (event["class_uid"], event["category_uid"], event["type_uid"]) == (6003, 6, 600301)
    assert (event["severity_id"], event["status_id"], event["time"]) == (3, 1, 1767323045678)
    assert event["actor"]["user"]["email_addr"] == "ada@example.com"
    assert event["src_endpoint"] == {"ip": "192.0.2.7"}
    assert event["unmapped"]["details"] == {"plan": "free", "name": "Ada"}
    assert event["metadata"]["version"] == "1.3.0"
    refused = json.loads(writer_of(ExportFormat.OCSF).row("tenant", exported(outcome="denied", action="")))
    assert (refused["status_id"], refused["activity_id"]) == (2, 99)


def test_a_cef_line_cannot_be_split() -> None:
    """A pipe in the header and an equals sign in a value are escaped: nobody adds a field by a name."""
    line = (
        writer_of(ExportFormat.CEF)
        .row("admin", exported(action="a|b", reason="x act=forged\nsuid=1"))
        .decode()
    )

    assert line.startswith("CEF:0|Sallyport|admin|1|x|a\\|b|6|")
    assert "reason=x act\\=forged\\nsuid\\=1 " in line
    assert "src=192.0.2.7 " in line
    erased = ExportedRow(exported().row, None)
    assert " src=" not in writer_of(ExportFormat.CEF).row("admin", erased).decode()


@given(st.text())
def test_a_cef_value_comes_back(text: str) -> None:
    """Escaping loses nothing."""
    line = writer_of(ExportFormat.CEF).trailer({"text": text}).decode(errors="surrogatepass")
    assert json.loads(cef_text(line.removeprefix(CEF_MANIFEST).rstrip("\n"))) == {"text": text}
