"""Secret keys that stand beside a database, and never in it: a copy of it must not open what it holds.

A key file is made at the first start. Replicas on one PostgreSQL must be given the same file.
"""

import base64
import contextlib
import os
from pathlib import Path
from typing import Final

from service_kit.db.engine import parse_database_url

SECRET_BYTES: Final = 32


class SecretFileError(Exception):
    """The key file is no key, or cannot be read or made; the text names the file, never its content."""


def data_folder(database_url: str) -> Path:
    """Where the SQLite file lies, or `data` beside a PostgreSQL."""
    url = parse_database_url(database_url)
    return Path(url.database or "").parent if url.get_backend_name() == "sqlite" else Path("data")


def secret_of_file(path: Path) -> bytes:
    """The 32 bytes of a file, made when there is none. Raises SecretFileError."""
    try:
        if not path.exists():
            _make(path)
        secret = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, ValueError) as error:
        raise SecretFileError(f"{path}: cannot be made, or is no key") from error
    if len(secret) != SECRET_BYTES:
        raise SecretFileError(f"{path}: must hold {SECRET_BYTES} bytes in base64")
    return secret


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(SECRET_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: it never replaces the key that another starter made meanwhile, and
        # nobody ever reads half a key.
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
