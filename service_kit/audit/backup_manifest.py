"""What is written beside a backup: of which service, of when, its digest, and where each audit chain ended.

It proves that a file is the one that was made, whole; not that nobody malicious wrote both. Against that
stand the chains, the signed checkpoint, and the other service's witness.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from service_kit.db.backup import BackupError


class _Written(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )


class HeadOfChain(_Written):
    """The last row of an audit chain."""

    chain: str
    seq: int
    hash: str


class Manifest(_Written):
    """The description of one backup."""

    format: Literal[1] = 1
    service: str
    made_at: AwareDatetime
    file: str
    bytes: int
    sha256: str
    revision: str
    audit_rows: int
    audit_heads: tuple[HeadOfChain, ...]
    checkpoint: str | None
    """The newest signed checkpoint of the global chain, as it was signed."""
    breaks: tuple[str, ...]
    """Where the audit log was broken when the backup was made: then it is evidence, and no way back."""

    @property
    def made_at_text(self) -> str:
        return _minute(self.made_at)


def manifest_file(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}.manifest.json")


def read_manifest(backup: Path) -> Manifest:
    """Raises BackupError: without its manifest a file is no backup."""
    file = manifest_file(backup)
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BackupError(f"{file}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BackupError(f"{file}: is no manifest of a backup") from error


def write_manifest(backup: Path, manifest: Manifest) -> None:
    """Raises BackupError, also when one is there."""
    file = manifest_file(backup)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as writing:
            writing.write(manifest.model_dump_json(by_alias=True, indent=2) + "\n")
            writing.flush()
            os.fsync(writing.fileno())
    except OSError as error:
        raise BackupError(f"{file}: cannot be made: {error.strerror}") from error


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
