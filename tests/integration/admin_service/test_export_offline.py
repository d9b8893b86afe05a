"""An exported file proven away from the services, intact and tampered with (R-030, R-031)."""

import asyncio
import base64
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from admin_service.cli import main
from service_kit.audit.chain import row_hash
from service_kit.audit.export_formats import ndjson_line
from tenant_service.cli import main as tenant_main
from tests.integration.admin_service.exporting import READS, exported, lived_in, public_keys

Verify = Callable[..., Any]


@dataclass(frozen=True)
class Material:
    """One export in every format, and the public keys."""

    files: dict[str, bytes]
    keys: Path

    @property
    def ndjson(self) -> bytes:
        return self.files["ndjson"]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Made once: nothing here changes a database."""
    folder = tmp_path_factory.mktemp("export")

    async def make() -> dict[str, bytes]:
        async with lived_in(folder) as both:
            kinds = ("ndjson", "csv", "ocsf", "cef")
            return {kind: await exported(both, f"format={kind}&scope=all") for kind in kinds}

    return Material(asyncio.run(make()), public_keys(folder))


@pytest.fixture
def verify(tmp_path: Path, material: Material, capsys: pytest.CaptureFixture[str]) -> Verify:
    """The documented command over some bytes: its exit status, and what it says in JSON."""

    def run(data: bytes, *, keyless: bool = False) -> tuple[int, Any]:
        file = tmp_path / "export"
        file.write_bytes(data)
        arguments = ["audit", "verify", "--export", str(file), "--json"]
        arguments += [] if keyless else ["--keys", str(material.keys)]
        capsys.readouterr()
        status = main(arguments)
        return status, json.loads(capsys.readouterr().out)

    return run


def _line(data: bytes, number: int, change: Callable[[dict[str, Any]], None]) -> bytes:
    lines = data.splitlines(keepends=True)
    document = json.loads(lines[number])
    change(document)
    lines[number] = ndjson_line(document)
    return b"".join(lines)


def _forge_actor(document: dict[str, Any]) -> None:
    document["row"]["actor_id"] = "adm_somebody_else"


def _forge_person(document: dict[str, Any]) -> None:
    document["person"]["actor_email"] = "somebody@example.com"


def _rehash(document: dict[str, Any]) -> None:
    document["row"]["actor_id"] = "adm_somebody_else"
    document["row"]["hash"] = row_hash(document["row"]["prev_hash"], document["row"])


def _dropped(data: bytes, number: int) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[number]
    return b"".join(lines)


def _swapped(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([lines[1], lines[0], *lines[2:]])


def _cut_in_a_row(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:6]) + lines[6][:50]


def _digest(document: dict[str, Any]) -> None:
    document["manifest"]["digest"] = "sha256:" + "0" * 64


def _range(document: dict[str, Any]) -> None:
    document["manifest"]["range"]["from"] = "2026-01-01T00:00:00.000000Z"


TAMPERED: dict[str, tuple[Callable[[bytes], bytes], int, str]] = {
    "a changed column": (lambda data: _line(data, 1, _forge_actor), 2, "hash"),
    "changed personal data": (lambda data: _line(data, 1, _forge_person), 2, "pii_commitment"),
    "a changed row with a new hash": (lambda data: _line(data, 1, _rehash), 2, "prev_hash"),
    "a removed line": (lambda data: _dropped(data, 1), 7, "manifest: signature"),
    "two lines in another order": (_swapped, 2, "order"),
    "a row twice": (lambda data: data.split(b"\n", 1)[0] + b"\n" + data, 2, "order"),
    "cut in a line": (lambda data: data[:-9], 8, "manifest"),
    "cut in a row": (_cut_in_a_row, 7, "line was cut off"),
    "cut after a line": (lambda data: _dropped(data, -1), 8, "no manifest"),
    "another digest": (lambda data: _line(data, -1, _digest), 8, "manifest: signature"),
    "another range": (lambda data: _line(data, -1, _range), 8, "manifest: signature"),
    "bytes behind": (lambda data: data + b"{}\n", 9, "bytes after"),
    "a space in a line": (lambda data: data.replace(b'{"person":', b'{ "person":', 1), 1, "another spelling"),
    "a member twice": (
        lambda data: data.replace(b'{"person":', b'{"source":"x","person":', 1),
        1,
        "duplicate",
    ),
    "a member more": (lambda data: _line(data, 0, lambda one: one.update(note="x")), 1, "not a row"),
    "a column less": (
        lambda data: _line(data, 0, lambda one: one["row"].pop("reason")),
        1,
        "not the columns",
    ),
    "a fraction": (lambda data: _line(data, 0, lambda one: one["row"].update(row_count=0.5)), 1, "no hash"),
    "nothing": (lambda _data: b"", 1, "no manifest"),
}


def test_an_intact_export_is_proven_offline(material: Material, verify: Verify) -> None:
    """R-031: every hash anew, every chain without a gap, the signature and signed checkpoints that fit."""
    data = material.ndjson
    status, found = verify(data)
    rows = data.count(b"\n") - 1

    assert status == 0
    assert (found["ok"], found["rows"], found["hashed"], found["erased"]) == (True, rows, rows, 0)
    assert (found["chains"], found["completeChains"], found["checkpoints"]) == (4, 4, 4)
    assert found["signature"] == "valid"
    assert rows == READS + 4
    assert {chain["source"] for chain in found["manifest"]["chains"]} == {"admin", "tenant"}


def test_the_rows_are_one_list_newest_first(material: Material) -> None:
    """R-030: both services in the order of the page, with every hashed column and both seeds' fields."""
    rows = [json.loads(line) for line in material.ndjson.splitlines()[:-1]]
    order = [(one["row"]["occurred_at"], one["row"]["id"]) for one in rows]

    assert order == sorted(order, reverse=True)
    assert {one["source"] for one in rows} == {"admin", "tenant"}
    assert {one["row"]["event"] for one in rows} >= {"tenant.created", "admin.audit_log.viewed"}
    assert all(one["person"]["salt"] for one in rows)


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_export_is_named(material: Material, verify: Verify, how: str) -> None:
    """R-031: the command exits with 1 and names the line, whatever was done to the file."""
    tamper, line, differs = TAMPERED[how]
    data = material.ndjson
    changed = tamper(data)
    status, found = verify(changed)

    assert changed != data
    assert (status, found["ok"], found["firstBreak"]["line"]) == (1, False, line), found["breaks"]
    words = [one["differs"] for one in found["breaks"]]
    if how == "a removed line":
        assert any("is missing" in one for one in words) or any("rows is" in one for one in words)
    else:
        assert any(differs in one for one in words), words


def fitted(data: bytes) -> bytes:
    """The file without its second line, and a manifest that fits what is left."""
    lines = data.splitlines(keepends=True)
    dropped = json.loads(lines.pop(1))
    manifest = json.loads(lines.pop())["manifest"]
    body = b"".join(lines)
    manifest |= {
        "rows": len(lines),
        "bytes": len(body),
        "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
    }
    for chain in manifest["chains"]:
        if (chain["source"], chain["chain"]) == (dropped["source"], dropped["row"]["chain"]):
            chain |= {"rows": chain["rows"] - 1, "complete": False}
    return body + ndjson_line({"manifest": manifest})


def test_only_a_signature_shows_a_manifest_that_was_made_to_fit(material: Material, verify: Verify) -> None:
    """Whoever can shorten a file can count again: without keys nothing is wrong, and the command says so."""
    changed = fitted(material.ndjson)
    keyless, unproven = verify(changed, keyless=True)
    status, found = verify(changed)

    assert (keyless, unproven["signature"]) == (0, "not_checked")
    assert (status, found["signature"]) == (1, "invalid")
    assert "signature does not fit" in found["firstBreak"]["differs"]


def test_an_unsigned_manifest_and_a_stranger_are_refused(material: Material, verify: Verify) -> None:
    """A manifest without a signature, or with another key's name, is not the service's."""
    data = material.ndjson

    def unsigned(one: dict[str, Any]) -> None:
        del one["manifest"]["signature"]

    def renamed(one: dict[str, Any]) -> None:
        one["manifest"]["signature"] = {"keyId": "x", "value": base64.b64encode(b"0" * 64).decode()}

    for change in (unsigned, renamed):
        assert verify(_line(data, -1, change))[1]["signature"] == "invalid"


@pytest.mark.parametrize("kind", ["csv", "ocsf", "cef"])
def test_the_other_formats_are_proven_by_their_manifest(
    material: Material, verify: Verify, kind: str
) -> None:
    """R-031: intact is 0; a changed byte, a removed line and a cut are 1, also without keys."""
    data = material.files[kind]
    status, found = verify(data)
    lines = data.splitlines(keepends=True)

    assert (status, found["format"], found["rows"], found["signature"]) == (0, kind, READS + 4, "valid")
    for changed in (
        data.replace(b"acme", b"acne", 1),
        b"".join([*lines[:2], *lines[3:]]),
        b"".join(lines[:-1]),
        data[: len(data) // 2],
    ):
        assert changed != data
        assert verify(changed)[0] == 1
        assert verify(changed, keyless=True)[0] == 1


def test_a_row_that_is_missing_from_a_csv_is_named(material: Material, verify: Verify) -> None:
    """A CSV carries places and hashes: a removed or moved line is named by its chain."""
    lines = material.files["csv"].splitlines(keepends=True)
    _, removed = verify(b"".join([*lines[:2], *lines[3:]]))
    _, moved = verify(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))

    assert any("'admin global': row 2 is missing" in one["differs"] for one in removed["breaks"])
    assert (moved["firstBreak"]["line"], moved["firstBreak"]["differs"][:5]) == (3, "order")


async def test_the_commands_need_no_settings(material: Material, tmp_path: Path) -> None:
    """Both commands prove a file, also from standard input, in a process without any setting."""
    data = material.ndjson
    for module in ("admin_service", "tenant_service"):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *("audit", "verify", "--export", "-", "--keys", str(material.keys)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
            cwd=tmp_path,
        )
        out, err = await process.communicate(data)

        assert (process.returncode, err) == (0, b"")
        assert out.endswith(b"The export is as it was sent.\n")


def test_a_file_that_is_not_there_is_no_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped name, and keys that are none, end with 1 and a word; nothing is called proven."""
    assert main(["audit", "verify", "--export", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "keys").write_text("{}")
    assert tenant_main(["audit", "verify", "--export", "/dev/null", "--keys", str(tmp_path / "keys")]) == 1
    assert "JWK set" in capsys.readouterr().err
    assert tenant_main(["audit", "verify", "--export", "/dev/null"]) == 1
    assert "BREAK  line 1: no manifest" in capsys.readouterr().out
