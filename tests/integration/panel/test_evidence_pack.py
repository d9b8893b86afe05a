"""P-18 as a zip: unpacked, it is proven by the documented command; tampered with, it is not."""

import io
import json
import re
import shlex
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from admin_service.cli import main
from service_kit.identity.model import Role
from tests.integration.admin_service.exporting import lived_in, public_keys
from tests.integration.panel.back_office import BROWSER, House, Shown

PACK = "/manage/audit/evidence/pack"
EVIDENCE = "/manage/audit/evidence"


@pytest.fixture
async def lived(tmp_path: Path) -> AsyncIterator[House]:
    """Both services with rows in four chains, and signed checkpoints over all of them."""
    async with lived_in(tmp_path) as running:
        yield running


@dataclass(frozen=True)
class Unpacked:
    """The files of a pack, in a folder beside the auditor's own keys."""

    folder: Path

    @property
    def rows(self) -> Path:
        return self.folder / "audit.ndjson"

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


async def fetch(house: House, target: str = PACK, role: Role = Role.SECURITY) -> tuple[int, str, bytes]:
    headers = {**BROWSER, **house.office.proof("GET", target, role, delegated=True)}
    response = await house.office.client.get(target, headers=headers)
    return response.status, response.headers.get("Content-Disposition", ""), await response.read()


async def unpacked(house: House, folder: Path) -> Unpacked:
    status, _name, data = await fetch(house)
    assert status == 200
    place = folder / "pack"
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        assert pack.testzip() is None
        assert sorted(pack.namelist()) == ["README.txt", "audit.ndjson", "checkpoints.txt", "summary.json"]
        pack.extractall(place)
    return Unpacked(place)


def documented(found: Unpacked, keys: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The command of README.txt, word by word, in the folder of the pack."""
    (line,) = re.findall(r"^  admin-service (audit verify .*)$", found.text("README.txt"), re.MULTILINE)
    for name in ("admin-keys.json", "tenant-keys.json"):
        (found.folder / name).write_bytes(keys.read_bytes())
    monkeypatch.chdir(found.folder)
    return main(shlex.split(line))


async def test_the_pack_is_proven_by_its_own_readme(
    lived: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-18, R-031: as it is, the documented command ends with 0; a letter, a row or the end gone, with 1."""
    found, keys = await unpacked(lived, tmp_path), public_keys(tmp_path)
    assert documented(found, keys, monkeypatch) == 0
    manifest = json.loads(found.rows.read_text().splitlines()[-1])["manifest"]
    assert manifest["filters"] == {"scope": "all"}
    assert {chain["source"] for chain in manifest["chains"]} == {"admin", "tenant"}

    rows = found.rows.read_bytes().splitlines(keepends=True)
    changed = [rows[0].replace(b'"severity":"', b'"severity":"X'), *rows[1:]]
    assert changed != rows
    for tampered in (changed, rows[1:], rows[:-1]):
        found.rows.write_bytes(b"".join(tampered))
        assert documented(found, keys, monkeypatch) == 1
    check_contents(found, await lived.office.get(EVIDENCE, Role.SECURITY))


def check_contents(found: Unpacked, page: Shown) -> None:
    """Counts by event and actor, privileged and refused acts, the verification, the witnesses."""
    told = json.loads(found.text("summary.json"))

    of_listed = sum(one["count"] for one in told["actors"])
    assert sum(one["count"] for one in told["events"]) == of_listed + told["actionsByOthers"] > 0
    assert {one["severity"] for one in told["privileged"]} <= {"WARNING", "CRITICAL"}
    assert all(one["outcome"] != "success" for one in told["refusedOrFailed"])
    assert told["verification"]["ok"] is True
    assert {one["source"] for one in told["verification"]["witness"]} == {"admin", "tenant"}
    assert "Privileged actions" in page.words
    assert "Refused and failed" in page.words
    assert f"{PACK}?range=90d" in page.links
    notes = found.text("checkpoints.txt")
    assert "\u2014 " in notes  # a signature of a C2SP note
    assert "# admin global, rows 1 to" in notes


async def test_the_pack_is_recorded_like_every_export(lived: House) -> None:
    """One row before the first byte and one at the end; HEAD records nothing (R-080, R-127, rule 11)."""
    _status, name, _data = await fetch(lived, f"{PACK}?range=30d")
    headers = {**BROWSER, **lived.office.proof("HEAD", PACK, Role.SECURITY, delegated=True)}
    head = await lived.office.client.head(PACK, headers=headers)
    log = await lived.office.get("/manage/audit?event=admin.audit_log.*&range=all", Role.SECURITY)

    assert re.fullmatch(r'attachment; filename="evidence-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d\.zip"', name)
    assert (head.status, head.headers["Content-Type"]) == (200, "application/zip")
    titles = [
        "".join(one.itertext()).split()[-1] for one in log.tree.iter("a") if one.get("class") == "row-link"
    ]
    assert titles.count("export_audit_log") == 1
    assert titles.count("end_audit_export") == 1
    await check_refusals(lived)
    await check_prints(lived)


async def test_a_log_that_breaks_off_leaves_no_zip(lived: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that fails in the middle cuts the transfer: there is no end, and no directory (R-139)."""

    def broken(*_arguments: object) -> bytes:
        raise ConnectionError

    monkeypatch.setattr("admin_service.audit.evidence_pack._notes", broken)
    with pytest.raises(aiohttp.ClientError):
        await fetch(lived)


async def check_refusals(lived: House) -> None:
    """Support and read_only export nothing; without the tenant service there is no pack at all."""
    for role in (Role.SUPPORT, Role.READ_ONLY):
        assert (await fetch(lived, role=role))[0] == 403
    alone = await lived.office.get(PACK, Role.SECURITY, delegated=False)
    assert alone.status == 503


async def check_prints(lived: House) -> None:
    """Filter, count and verification stand on the printed audit and evidence pages (rule 11)."""
    plain = await lived.office.get(EVIDENCE, Role.SECURITY)
    verified = await lived.office.get(f"{EVIDENCE}?range=30d&verify=1", Role.SECURITY)
    log = await lived.office.get("/manage/audit?action=create_tenant&severity=NOTICE", Role.SECURITY)

    assert "Not verified" in plain.text.split('class="print-only"')[1][:200]
    assert re.search(
        r"Verified: \d+ rows are as they were written", verified.text.split('class="print-only"')[1][:200]
    )
    assert "30 days" in verified.text.split('class="print-only"')[1][:400]
    printed = log.text.split('class="print-only"')[1]
    assert "action=create_tenant severity=NOTICE" in printed
    assert "Events on this page</dt><dd>1</dd>" in printed
