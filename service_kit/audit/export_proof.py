"""Proving an export away from the service: the file, the public keys of the audit logs, and nothing else.

It believes nothing of the file, holds one line of it at a time, and names the first line that is not as it
was sent. Without keys it says so: whoever can shorten a file can write a manifest that fits it.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service_kit.audit.chain import pii_commitment, row_hash
from service_kit.audit.export_formats import (
    CSV_COLUMNS,
    CSV_MANIFEST,
    MANIFEST,
    ExportFormat,
    csv_line,
    ndjson_line,
)
from service_kit.audit.export_links import ChainLinks
from service_kit.audit.export_manifest import ManifestRejectedError, require_signature
from service_kit.audit.export_rows import PERSON, row_columns
from service_kit.audit.export_siem import CEF_MANIFEST, cef_text, writer_of
from service_kit.audit.notes import NoteRejectedError, origin_of, proven
from service_kit.strict_json import StrictJsonError, parse_object

Keys = Mapping[str, Ed25519PublicKey]
OnBytes = Callable[[int], object]
_MOST_LINE: Final = 16 * 1024 * 1024
_MOST_ROW: Final = 8 * 1024 * 1024
"""A hostile line of brackets takes twenty times its length in memory; only a manifest may be long."""

_MOST_BREAKS: Final = 20
_JSON_MANIFEST: Final = f'{{"{MANIFEST}":'.encode()
_CSV_MANIFEST: Final = f"{CSV_MANIFEST},".encode()
_CSV_HEAD: Final = csv_line(CSV_COLUMNS)
_HASH: Final = re.compile("[0-9a-f]{64}")
_LONGEST_NAME: Final = 100
_MOST_CHAINS: Final = 30_000
"""Each costs about a kilobyte; a log of that many tenants is exported in parts."""


@dataclass(frozen=True, slots=True)
class ExportBreak:
    """Where the file is not as it was sent. `line` counts from 1; `row_id` is empty where none is known."""

    line: int
    row_id: str
    differs: str


@dataclass(slots=True)
class ExportProof:
    """What is known of a file."""

    format: str = ""
    rows: int = 0
    hashed: int = 0
    """Rows whose hash was computed anew: all of an NDJSON file, none of the others."""
    erased: int = 0
    chains: int = 0
    complete: int = 0
    """Chains of which the file claims, and was found, to hold every row between its first and its last."""
    checkpoints: int = 0
    """Signed checkpoints that name a row of the file, and the same hash."""
    signature: str = "not_checked"
    manifest: Mapping[str, Any] = field(default_factory=dict)
    breaks: list[ExportBreak] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.breaks

    def broken(self, line: int, row_id: str, differs: str) -> None:
        if len(self.breaks) < _MOST_BREAKS:
            self.breaks.append(ExportBreak(line, row_id, differs))


def prove_export(stream: BinaryIO, keys: Keys | None = None, on_bytes: OnBytes = int) -> ExportProof:
    """Prove an export of any format. Raises OSError when the stream cannot be read."""
    # The library's own limit of 128 KiB would call an honest file with a long cell broken.
    csv.field_size_limit(_MOST_LINE)
    return _Reading(keys, on_bytes).prove(stream)


class _Reading:
    """One file under way."""

    def __init__(self, keys: Keys | None, on_bytes: OnBytes) -> None:
        self._keys = keys
        self._on_bytes = on_bytes
        self._digest = hashlib.sha256()
        self._size = self._line = 0
        self._links = ChainLinks()
        self._proof = ExportProof()
        self._before: tuple[str, str] | None = None
        self._columns = row_columns()

    def prove(self, stream: BinaryIO) -> ExportProof:
        while line := stream.readline(_MOST_LINE):
            self._line += 1
            manifest = _manifest_in(line)
            if manifest is not None:
                if stream.read(1):
                    self._proof.broken(self._line + 1, "", "bytes after the manifest")
                self._manifest(*manifest)
                return self._proof
            self._record(line)
            self._on_bytes(len(line))
        self._proof.broken(self._line + 1, "", "no manifest: the file was cut off")
        return self._proof

    def _record(self, line: bytes) -> None:
        self._digest.update(line)
        self._size += len(line)
        if self._line == 1 and line == _CSV_HEAD:
            self._proof.format = "csv"
            return
        self._proof.rows += 1
        if not line.endswith(b"\n"):
            self._broken("the line was cut off")
        elif self._proof.format == "csv":
            self._csv_row(line)
        elif line.startswith(b"{"):
            self._json_row(line)

    def _json_row(self, line: bytes) -> None:
        try:
            document = parse_object(line, max_bytes=_MOST_ROW)
        except StrictJsonError as error:
            self._broken(f"form: {error}")
            return
        if ndjson_line(document) != line:
            self._broken("form: another spelling")
            return
        if "class_uid" in document:  # OCSF: a translation, which no hash covers
            return
        row, person = document.get("row"), document.get("person")
        if not isinstance(row, dict) or document.keys() != {"source", "row", "person"}:
            self._broken("form: not a row of an export")
            return
        self._row(str(document["source"]), row, person)

    def _row(self, source: str, row: dict[str, Any], person: Any) -> None:
        row_id = str(row.get("id", ""))
        if row.keys() != self._columns or not isinstance(row["chain_seq"], int):
            self._broken("form: not the columns of a row", row_id)
            return
        try:
            self._proof.hashed += 1
            if row_hash(str(row["prev_hash"]), row) != row["hash"]:
                self._broken("hash: a column was changed", row_id)
            if person is None:
                self._proof.erased += 1
            elif not self._person_fits(row, person):
                self._broken("pii_commitment: the personal data is not what the row commits to", row_id)
        except (ValueError, RecursionError):
            self._broken("form: a value that no hash covers", row_id)
        self._follows(str(row["occurred_at"]), row_id)
        self._link(
            (source, str(row["chain"])), row["chain_seq"], str(row["hash"]), str(row["prev_hash"]), row_id
        )

    def _person_fits(self, row: Mapping[str, Any], person: Any) -> bool:
        if not isinstance(person, dict) or person.keys() != set(PERSON):
            return False
        committed = {name: value for name, value in person.items() if name != "salt"}
        return pii_commitment(str(person["salt"]), committed) == str(row["pii_commitment"])

    def _csv_row(self, line: bytes) -> None:
        try:
            (cells,) = csv.reader([line.decode()], strict=True)
            row = dict(zip(CSV_COLUMNS, cells, strict=True))
            name, seq = (row["source"], row["chain"]), int(row["chain_seq"])
        except (ValueError, csv.Error):
            self._broken("form: not a row of an export")
            return
        self._follows(row["created_at"], row["id"])
        self._link(name, seq, row["hash"], row["prev_hash"], row["id"])

    def _follows(self, at: str, row_id: str) -> None:
        """Newest first: a row that moved, or that stands there twice, breaks the order."""
        key = (at, row_id)
        if self._before is not None and key >= self._before:
            self._broken("order: not older than the row before it", row_id)
        self._before = key

    def _link(self, name: tuple[str, str], seq: int, digest: str, before: str, row_id: str) -> None:
        """What is remembered of a row is short, whatever the file says."""
        if len("".join(name)) > _LONGEST_NAME or not (_HASH.fullmatch(digest) and _HASH.fullmatch(before)):
            self._broken("form: no chain or no hash", row_id)
        elif len(self._links.names) >= _MOST_CHAINS and name not in self._links.names:
            self._broken("form: more chains than can be followed", row_id)
        elif not self._links.add(name, seq, digest, before):
            self._broken("prev_hash: does not follow from the row before it in the chain", row_id)

    def _broken(self, differs: str, row_id: str = "") -> None:
        self._proof.broken(self._line, row_id, differs)

    def _manifest(self, kind: str, manifest: Mapping[str, Any] | None) -> None:
        if manifest is None:
            self._broken("manifest: cannot be read")
            return
        proof = self._proof
        proof.manifest, proof.format = manifest, str(manifest.get("format", kind))
        self._signature(manifest)
        found = {"rows": proof.rows, "bytes": self._size, "digest": f"sha256:{self._digest.hexdigest()}"}
        for name, value in found.items():
            if manifest.get(name) != value:
                self._broken(f"manifest: {name} is {value!a}, the manifest says {manifest.get(name)!a}")
        if proof.format in {"ndjson", "csv"}:
            self._chains(manifest.get("chains"))

    def _signature(self, manifest: Mapping[str, Any]) -> None:
        if self._keys is None:
            return
        try:
            require_signature(manifest, self._keys)
            self._proof.signature = "valid"
        except (ManifestRejectedError, ValueError) as error:
            self._proof.signature = "invalid"
            self._broken(f"manifest: signature: {error}")

    def _chains(self, told: Any) -> None:
        listed = told if isinstance(told, list) else []
        claims = {
            (str(one.get("source")), str(one.get("chain"))): one for one in listed if isinstance(one, dict)
        }
        self._proof.chains = len(claims)
        if claims.keys() != self._links.names or len(claims) != len(listed):
            self._broken("manifest: names other chains than the rows")
        for name in sorted(claims.keys() & self._links.names):
            self._chain(name, claims[name])

    def _chain(self, name: tuple[str, str], claim: Mapping[str, Any]) -> None:
        links = self._links.of(name)
        shown = f"{name[0]} {name[1]}"
        if (claim.get("rows"), claim.get("first"), claim.get("last")) != (
            links.rows,
            links.first,
            links.last,
        ):
            self._broken(f"manifest: {shown!a}: not the rows that the manifest counts")
        if claim.get("complete") and (missing := links.missing) is not None:
            self._broken(f"chain_seq: {shown!a}: row {missing} is missing")
        elif claim.get("complete"):
            self._proof.complete += 1
        head = claim.get("head")
        if isinstance(head, dict) and head.get("seq") == links.last and head.get("hash") != links.last_hash:
            self._broken(f"head: {shown!a}: the head of the chain names another last row")
        if self._keys is not None and claim.get("checkpoint") is not None:
            self._checkpoint(name, str(claim["checkpoint"]), self._keys)

    def _checkpoint(self, name: tuple[str, str], note: str, keys: Keys) -> None:
        shown = f"{name[0]} {name[1]}"
        try:
            checkpoint = proven(note, origin_of(f"{name[0]}_service"), keys).checkpoint
        except NoteRejectedError as error:
            self._broken(f"checkpoint: {shown!a}: {error}")
            return
        links = self._links.of(name)
        found = links.hash_at(checkpoint.seq)
        if checkpoint.chain != name[1] or (found is not None and found != checkpoint.hash):
            self._broken(f"checkpoint: {shown!a}: what was signed names another row {checkpoint.seq}")
        self._proof.checkpoints += found is not None


def _manifest_in(line: bytes) -> tuple[str, Mapping[str, Any] | None] | None:
    """The manifest of a line, and the kind of file; None in its place when it is unreadable, or when the line
    is not letter by letter what an export writes: what no signature covers has no place beside one.
    """
    for start, kind, text_of in _TRAILERS:
        if line.startswith(start):
            try:
                found = parse_object(text_of(line).encode(), max_bytes=_MOST_LINE)
                manifest = found[MANIFEST] if kind is ExportFormat.NDJSON else found
                fits = isinstance(manifest, dict) and writer_of(kind).trailer(manifest) == line
            except (StrictJsonError, ValueError, LookupError, csv.Error):
                return "", None
            return kind.value, manifest if isinstance(manifest, dict) and fits else None
    return None


def _csv_text(line: bytes) -> str:
    (cells,) = csv.reader([line.decode()], strict=True)
    return cells[1]


def _cef_text(line: bytes) -> str:
    return cef_text(line.decode().removeprefix(CEF_MANIFEST).removesuffix("\n"))


_TRAILERS: Final[tuple[tuple[bytes, ExportFormat, Callable[[bytes], str]], ...]] = (
    (_JSON_MANIFEST, ExportFormat.NDJSON, bytes.decode),
    (_CSV_MANIFEST, ExportFormat.CSV, _csv_text),
    (CEF_MANIFEST.encode(), ExportFormat.CEF, _cef_text),
)
"""How the last line of each kind begins, and where its manifest stands. OCSF ends like NDJSON."""
