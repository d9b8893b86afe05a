"""What docs/audit.md tells of exports is what the code does."""

import re
import shlex
from pathlib import Path

from admin_service import cli
from admin_service.audit.schemas import ExportQuery
from admin_service.events import CATALOGUE
from service_kit.audit.export_formats import CSV_COLUMNS, ExportFormat
from service_kit.audit.export_manifest import ManifestMaker, Tally
from service_kit.audit.export_rows import PAGE, PERSON, row_columns

PAGE_TEXT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE_TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_every_column_is_told() -> None:
    """The table has exactly the columns of a row; the CSV has those, and what is joined to them."""
    cells = [
        line.split("|")[1] for line in section("The columns of a row").splitlines() if line.startswith("| `")
    ]

    assert words(" ".join(cells)) == row_columns()
    joined = {"created_at", "source", *PERSON} - {"salt", "details_pii"}
    assert set(CSV_COLUMNS) == (row_columns() - {"occurred_at"}) | joined


def test_every_parameter_is_told() -> None:
    """The table of the export names each parameter and each format, and no other."""
    rows = [line for line in section("Export").splitlines() if line.startswith("| `")]
    told = words(" ".join(row.split("|")[1] for row in rows))
    names = {info.alias or name for name, info in ExportQuery.model_fields.items()}

    assert told == names
    assert words(rows[0]) == {"format", *ExportFormat}
    assert f"page of\n{PAGE} rows" in section("Export")


def test_every_member_of_the_manifest_is_told() -> None:
    """Whatever the service writes into a manifest stands in the table."""
    maker = ManifestMaker({}, unfiltered=True)
    maker.chains["admin", "global"] = Tally()
    document = maker.document({})
    told = words(section("The manifest"))

    assert document.keys() - {"chains"} <= told
    assert document["chains"][0].keys() <= told


def test_the_commands_can_be_typed() -> None:
    """Each `audit verify` of the page is understood by the commands."""
    found = re.findall(r"^(?:admin|tenant)-service (audit verify .*)$", PAGE_TEXT, re.MULTILINE)
    assert found
    for line in found:
        arguments = cli._arguments().parse_args(shlex.split(line))
        assert arguments.export
        assert len(arguments.keys) == 2


def test_the_events_of_the_page_are_catalogued() -> None:
    """No event is told that the service does not record (C-09)."""
    told = {word for word in words(PAGE_TEXT) if word.startswith("admin.audit_log.")}

    assert told == {event.name for event in CATALOGUE if event.name.startswith("admin.audit_log.")}
