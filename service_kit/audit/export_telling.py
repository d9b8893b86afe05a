"""`audit verify --export FILE`: what is known of an exported file, as text or JSON, and an exit status.

It needs the file and, for the signatures, the public audit keys; no database, no settings, no network.
"""

import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tqdm import tqdm

from service_kit.audit.export_proof import ExportProof, prove_export
from service_kit.identity.keys import KeyFileError, parse_public_jwks

_BROKEN: Final = 1
_STDIN: Final = "-"
_MOST_CHARACTERS: Final = 300


def tell_export(name: str, key_files: Sequence[Path], *, as_json: bool) -> int:
    """Prove the file, print what was found; 0 for an intact file, 1 for any other."""
    try:
        keys = _keys(key_files)
        proof = _prove(name, keys)
    except (OSError, KeyFileError) as error:
        sys.stderr.write(f"audit verify: {_fault(error)}\n")
        return _BROKEN
    sys.stdout.write(f"{json.dumps(_document(proof)) if as_json else _text(proof)}\n")
    return 0 if proof.ok else _BROKEN


def _fault(error: OSError | KeyFileError) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _keys(files: Sequence[Path]) -> Mapping[str, Ed25519PublicKey] | None:
    if not files:
        return None
    found: dict[str, Ed25519PublicKey] = {}
    for file in files:
        try:
            found.update(parse_public_jwks(file.read_bytes()))
        except KeyFileError as error:
            raise KeyFileError(f"{file}: cannot be read as a JWK set") from error
    return found


def _prove(name: str, keys: Mapping[str, Ed25519PublicKey] | None) -> ExportProof:
    if name == _STDIN:
        return _watched(sys.stdin.buffer, keys)
    with Path(name).open("rb") as stream:
        return _watched(stream, keys)


def _watched(stream: BinaryIO, keys: Mapping[str, Ed25519PublicKey] | None) -> ExportProof:
    if not sys.stderr.isatty():
        return prove_export(stream, keys)
    with tqdm(total=_size(stream), unit="B", unit_scale=True, file=sys.stderr, leave=False) as bar:
        return prove_export(stream, keys, bar.update)


def _size(stream: BinaryIO) -> int | None:
    state = os.fstat(stream.fileno())
    return state.st_size if stat.S_ISREG(state.st_mode) else None


def _document(proof: ExportProof) -> dict[str, Any]:
    breaks = [{"line": one.line, "rowId": one.row_id, "differs": one.differs} for one in proof.breaks]
    return {
        "ok": proof.ok,
        "format": proof.format,
        "rows": proof.rows,
        "hashed": proof.hashed,
        "erased": proof.erased,
        "chains": proof.chains,
        "completeChains": proof.complete,
        "signature": proof.signature,
        "checkpoints": proof.checkpoints,
        "firstBreak": breaks[0] if breaks else None,
        "breaks": breaks,
        "manifest": dict(proof.manifest),
    }


def _text(proof: ExportProof) -> str:
    lines = [
        f"{proof.rows} rows read, the hashes of {proof.hashed} computed anew.",
        f"Personal data: of {proof.erased} rows erased.",
        f"{proof.chains} chains, {proof.complete} of them without a gap.",
        _signature(proof),
        *_asked(proof.manifest),
        *(_line(one.line, one.row_id, one.differs) for one in proof.breaks),
        _verdict(proof),
    ]
    return "\n".join(lines)


def _verdict(proof: ExportProof) -> str:
    if not proof.ok:
        return "The export is BROKEN."
    if proof.signature == "valid":
        return "The export is as it was sent."
    return "The file fits its own manifest; only --keys can prove who wrote that."


def _signature(proof: ExportProof) -> str:
    if proof.signature == "not_checked":
        return "Signatures: not checked, because no --keys were given."
    word = "valid" if proof.signature == "valid" else "INVALID"
    return f"Signature of the manifest: {word}. Checkpoints that name a row of the file: {proof.checkpoints}."


def _asked(manifest: Mapping[str, Any]) -> list[str]:
    if not manifest:
        return []
    shown = {name: manifest.get(name) for name in ("exportId", "format", "range", "filters", "adminEvents")}
    return [f"What was exported: {json.dumps(shown)[:_MOST_CHARACTERS]}"]


def _line(number: int, row_id: str, differs: str) -> str:
    row = f"row {row_id!a}: " if row_id else ""
    return f"BREAK  line {number}: {row}{ascii(differs)[1:-1]}"
