"""The export of the audit log over both services, through the API (R-030…R-033, R-080)."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from admin_service.audit.export import ExportAsked
from admin_service.audit.service import Reader
from service_kit.audit.export_formats import ExportFormat
from service_kit.audit.export_proof import ExportProof, prove_export
from service_kit.audit.export_rows import ExportWalk
from service_kit.audit.queries import AuditFilter
from service_kit.identity.binding import DELEGATION_HEADER
from service_kit.identity.keys import parse_public_jwks
from service_kit.identity.model import Role
from tenant_service.tables import schema
from tests.integration.admin_service.admin_process import AdminProcess, asker
from tests.integration.admin_service.exporting import EXPORT, READS, ask, exported, lived_in, public_keys
from tests.integration.panel.back_office import House

DELEGATED = {DELEGATION_HEADER: "the.delegation.token"}
BEGUN, ENDED = "admin.audit_log.exported", "admin.audit_log.export_ended"


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[House]:
    async with lived_in(tmp_path) as running:
        yield running


def proof_of(data: bytes, folder: Path) -> ExportProof:
    return prove_export(io.BytesIO(data), parse_public_jwks(public_keys(folder).read_bytes()))


async def test_an_erased_row_still_verifies(both: House, tmp_path: Path) -> None:
    """Personal data is beside the chain: a row whose person is gone proves itself (data-model 2.6)."""
    await both.tenant.sql(
        "DROP TRIGGER audit_pii_no_delete",
        "DELETE FROM audit_pii WHERE event_id IN (SELECT id FROM audit_events WHERE chain = 'global')",
    )
    proof = proof_of(await exported(both), tmp_path)

    assert (proof.breaks, proof.erased, proof.hashed) == ([], 2, READS + 4)


async def test_a_forged_row_of_the_database_is_seen_in_its_export(both: House, tmp_path: Path) -> None:
    """A service whose database was changed signs what it sends, and the file shows the change (R-031)."""
    await both.tenant.sql(
        "DROP TRIGGER audit_events_no_update",
        "UPDATE audit_events SET reason = 'forged' WHERE chain = 'org_1'",
    )
    proof = proof_of(await exported(both), tmp_path)

    assert [one.differs for one in proof.breaks] == ["hash: a column was changed"]
    assert proof.signature == "valid"


async def test_a_filtered_export_is_proven_row_by_row(both: House, tmp_path: Path) -> None:
    """A filter leaves gaps, which the signed manifest says; every row still proves itself (R-031)."""
    one = proof_of(await exported(both, "format=ndjson&actorId=adm_support&event=admin.*"), tmp_path)
    none = proof_of(await exported(both, "format=ndjson&requestId=nobody"), tmp_path)

    assert (one.breaks, one.hashed, one.complete) == ([], READS, 0)
    filters = {"scope": "global", "event": "admin.*", "actorId": "adm_support"}
    assert one.manifest["filters"] == filters
    assert [chain["complete"] for chain in one.manifest["chains"]] == [False]
    assert (none.breaks, none.rows) == ([], 0)


async def test_it_is_a_file_to_save(both: House) -> None:
    """A download with a name of its own, never kept by a cache; HEAD says the same and records nothing."""
    for kind, content in (("csv", "text/csv"), ("ndjson", "application/x-ndjson"), ("cef", "text/plain")):
        response, _ = await ask(both, f"format={kind}")
        head, nothing = await ask(both, f"format={kind}", method="HEAD")

        assert response.headers["Content-Type"].startswith(content)
        assert response.headers["Content-Disposition"].startswith('attachment; filename="audit-2025-10-05-')
        assert response.headers["Cache-Control"] == "no-store"
        assert head.headers["Content-Disposition"] == response.headers["Content-Disposition"]
        assert nothing == b""
    both.office.clock.advance(1)
    assert (await exported(both)).count(f'"event":"{BEGUN}"'.encode()) == 3


async def test_each_export_is_recorded_before_and_after(both: House) -> None:
    """A WARNING row with format, range and filters, and one with the digest; the address is erasable."""
    data = await exported(both, "format=csv&actorEmail=Bob%40example.com&severity=WARNING&from=2025-06-01")
    both.office.clock.advance(1)
    rows = [json.loads(line) for line in (await exported(both, "format=ndjson&event=admin.*")).splitlines()]
    found = {one["row"]["event"]: one for one in rows if "row" in one}
    begun, ended = found[BEGUN], found[ENDED]
    (text,) = [row[1] for row in csv.reader(data.decode().splitlines()) if row[0] == "# manifest"]
    manifest = json.loads(text)

    assert (begun["row"]["severity"], begun["row"]["actor_id"]) == ("WARNING", "adm_security")
    assert begun["row"]["details"]["format"] == "csv"
    assert begun["row"]["details"]["range"] == manifest["range"]
    assert begun["row"]["details"]["filters"] == {"scope": "global", "severity": "WARNING"}
    assert begun["person"]["details_pii"] == {"filterActorEmail": "bob@example.com"}
    assert manifest["range"]["isDefault"] is False
    assert manifest["exportId"] == begun["row"]["id"] == ended["row"]["resource_id"]
    assert ended["row"]["details"]["digest"] == manifest["digest"]
    assert ended["row"]["outcome"] == "success"


async def test_a_cell_cannot_become_a_formula(both: House) -> None:
    """CWE-1236: what a client sent as its name stands in the file as text."""
    await both.office.get("/manage/audit?event=tenant.deleted", headers={"User-Agent": "=cmd|' /C calc'!A0"})
    both.office.clock.advance(1)
    data = await exported(both, "format=csv&event=admin.audit_log.viewed")

    assert b",'=cmd|' /C calc'!A0," in data


async def test_rows_of_operators_stay_hidden_in_every_walk(both: House) -> None:
    """R-080: a reader without the permission gets no `admin.*` row of either service, and is told so."""
    support = Reader(asker(Role.SUPPORT).actor, "delegation")
    wanted = AuditFilter(scope="")
    hidden = ExportWalk(both.tenant.database, schema().audit, wanted, hide_admin_events=True)
    shown = ExportWalk(both.tenant.database, schema().audit, wanted, hide_admin_events=False)
    events = [{one.row["event"] async for one in walk.rows()} for walk in (hidden, shown)]
    chosen = both.office.services.exporter.chosen(support, ExportAsked(wanted, ExportFormat.CSV))

    assert events[0] == {"tenant.created"}
    assert events[1] == {"tenant.created", "admin.support_query.executed"}
    assert (chosen.hides_admin_events, chosen.unfiltered) == (True, False)
    assert (await both.tenant.get("/internal/v1/audit-events/export", Role.SUPPORT)).status == 403
    assert (await both.tenant.get("/internal/v1/audit-events/export", Role.SECURITY)).status == 200


async def get(
    process: AdminProcess, query: str, role: Role = Role.SUPER_ADMIN, **more: Any
) -> tuple[int, str]:
    response = await process.ask("GET", f"{EXPORT}?{query}", role, **{"headers": DELEGATED, **more})
    return response.status, (await response.json())["code"]


async def events_of(process: AdminProcess) -> list[tuple[str, str]]:
    rows = sorted(await process.rows("audit_events"), key=lambda row: row["chain_seq"])
    return [(row["event"], row["outcome"]) for row in rows]


async def test_what_cannot_be_exported_is_refused(sqlite_process: AdminProcess) -> None:
    """R-080, R-090: roles without the permission 403, over a year 422, unknown words 400."""
    for role in Role:
        await sqlite_process.add(role)
    refused = {
        "format=ndjson&from=2024-01-01&to=2025-01-03": (422, "EXPORT_RANGE_TOO_WIDE"),
        "format=ndjson&from=2024-01-01": (422, "EXPORT_RANGE_TOO_WIDE"),
        "format=ndjson&from=2026-01-02&to=2026-01-02": (422, "EXPORT_RANGE_EMPTY"),
        "format=xlsx": (400, "QUERY_INVALID"),
        "": (400, "QUERY_INVALID"),
        "format=csv&limit=5": (400, "QUERY_INVALID"),
        "format=csv&event=%25": (400, "QUERY_INVALID"),
    }
    for query, answer in refused.items():
        assert await get(sqlite_process, query) == answer
    for role in (Role.SUPPORT, Role.READ_ONLY):
        assert await get(sqlite_process, "format=csv", role) == (403, "PERMISSION_DENIED")
    assert await events_of(sqlite_process) == []


async def test_a_tenant_service_that_is_away_begins_no_export(sqlite_process: AdminProcess) -> None:
    """Before the first byte a missing source is 503, and no export is recorded that never was."""
    await sqlite_process.add()
    sqlite_process.tenants.away = True

    assert await get(sqlite_process, "format=ndjson") == (503, "AUDIT_SOURCE_UNAVAILABLE")
    assert await get(sqlite_process, "format=csv", headers={}) == (503, "AUDIT_SOURCE_UNAVAILABLE")
    assert await events_of(sqlite_process) == []


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
async def test_an_export_that_breaks_off_is_no_file(sqlite_process: AdminProcess, kind: str) -> None:
    """A source that fails on the way breaks the transfer: no end, no manifest, and a row says failure."""
    await sqlite_process.add()
    sqlite_process.tenants.breaks_off = True
    response = await sqlite_process.ask("GET", f"{EXPORT}?format={kind}", headers=DELEGATED)
    with pytest.raises(aiohttp.ClientError):
        await response.read()

    assert response.status == 200
    assert await events_of(sqlite_process) == [(BEGUN, "success"), (ENDED, "failure")]


async def test_what_cannot_be_recorded_is_not_exported(sqlite_process: AdminProcess) -> None:
    """Without its audit row no byte is sent; without the row of its end no manifest is."""
    await sqlite_process.add()
    await sqlite_process.sql(_forbidding(BEGUN))
    response = await sqlite_process.ask("GET", f"{EXPORT}?format=ndjson", headers=DELEGATED)

    assert (response.status, (await response.json())["code"]) == (500, "AUDIT_WRITE_FAILED")

    await sqlite_process.sql("DROP TRIGGER forbidden", _forbidding(ENDED))
    with pytest.raises(aiohttp.ClientError):
        await (await sqlite_process.ask("GET", f"{EXPORT}?format=ndjson", headers=DELEGATED)).read()
    assert await events_of(sqlite_process) == [(BEGUN, "success")]


def _forbidding(event: str) -> str:
    return f"""CREATE TRIGGER forbidden BEFORE INSERT ON audit_events WHEN NEW.event = '{event}'
               BEGIN SELECT RAISE(ABORT, 'no room'); END"""


async def test_a_signing_key_that_cannot_be_read_signs_nothing(
    sqlite_process: AdminProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No unsigned manifest leaves the house: 503, and nothing is recorded."""
    from service_kit.identity.keys import KeyFileError

    def unreadable() -> None:
        raise KeyFileError("gone")

    await sqlite_process.add()
    monkeypatch.setattr(sqlite_process.services.exporter, "_keys", unreadable)

    assert await get(sqlite_process, "format=ndjson") == (503, "AUDIT_KEY_UNAVAILABLE")
    assert await events_of(sqlite_process) == []
