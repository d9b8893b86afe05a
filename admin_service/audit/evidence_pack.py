"""The evidence of a period as one zip: the rows, the signed notes over them, the counts, and how to prove it.

It is made while it is sent and holds one piece of it at a time. It proves nothing by itself, and brings no
keys: a file that comes with its own keys proves nothing.
"""

import json
import zipfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from admin_service.audit.evidence import Evidence
from admin_service.audit.export import Export
from service_kit.audit.export_formats import MANIFEST
from service_kit.strict_json import parse_object

ROWS: Final = "audit.ndjson"
_MOST_MANIFEST: Final = 16 * 1024 * 1024
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can name: when it was made stands in the manifest, in UTC."""

README: Final = """\
EVIDENCE OF THE AUDIT LOG

{since} to {until}, UTC. Export {export}.

  audit.ndjson      every row of both services in this period, one a line, and a signed manifest as the last
  checkpoints.txt   the newest signed note at or before the last row of each chain, as the manifest has it
  summary.json      what the panel's page of evidence shows: counts by event and by actor, privileged acts,
                    what was refused or failed, the verification of the whole log, and its witnesses

HOW TO PROVE IT

On any machine with this package installed; it needs no setting, no database and no network. The keys are
the public audit keys of both services. Get them on another way than this file, and keep them:

  curl -s http://<admin service, operations port>/audit/keys > admin-keys.json
  curl -s http://<tenant service, operations port>/audit/keys > tenant-keys.json

Then, in the folder of audit.ndjson:

  admin-service audit verify --export audit.ndjson --keys admin-keys.json --keys tenant-keys.json

It ends with status 0 for an intact file and with 1 for any other, and names the first lines that are wrong.
summary.json and checkpoints.txt are there to be read: only audit.ndjson is proven, and it holds all that
they say of rows and notes. A row before this period can be proven with an export of an earlier one.
"""


async def packed(export: Export, evidence: Evidence) -> AsyncGenerator[bytes]:
    """The bytes of the zip. Raises UnavailableError when a source breaks off: then it has no end."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as pack:
        last = b""
        with pack.open(_named(ROWS), "w", force_zip64=True) as member:
            async with aclosing(export.pieces()) as pieces:
                async for piece in pieces:
                    member.write(piece)
                    last = piece
                    yield sink.taken()
        pack.writestr(_named("checkpoints.txt"), _notes(last))
        pack.writestr(_named("summary.json"), summary(evidence))
        told = README.format(
            since=evidence.since.isoformat(), until=evidence.until.isoformat(), export=export.export_id
        )
        pack.writestr(_named("README.txt"), told)
    yield sink.taken()


class _Sink:
    """Where a zip is written that nobody can seek in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def write(self, data: bytes) -> int:
        self._buffer += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        found = bytes(self._buffer)
        self._buffer.clear()
        return found


def _named(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _notes(manifest_line: bytes) -> str:
    """The signed notes of the manifest, under the name of each chain."""
    document: Any = parse_object(manifest_line, max_bytes=_MOST_MANIFEST)
    parts = (
        f"# {one['source']} {one['chain']}, rows {one['first']} to {one['last']}\n"
        f"{one['checkpoint'] or 'No note was signed at or before the last row.'}\n"
        for one in document[MANIFEST]["chains"]
    )
    return "\n".join(parts)


def summary(evidence: Evidence) -> str:
    """What the page shows, for a program."""
    proof = evidence.verification
    document: Mapping[str, Any] = {
        "from": evidence.since,
        "to": evidence.until,
        "events": [asdict(one) for one in evidence.events],
        "actors": [asdict(one) for one in evidence.actors],
        "actionsByOthers": evidence.by_others,
        "privileged": [asdict(one) for one in evidence.privileged],
        "refusedOrFailed": [asdict(one) for one in evidence.refused],
        "verification": asdict(proof) if proof else None,
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
