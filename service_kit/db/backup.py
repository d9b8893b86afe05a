"""A SQLite database as one file to keep, and such a file back in the place of a database.

It copies a moment of a database that is written all the while, proves the file as a file, and never writes
over one that is there. What the rows say it does not judge, and PostgreSQL it leaves to PostgreSQL's tools.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from service_kit.db.engine import SQLITE_BUSY_MS, parse_database_url

_PIECE: Final = 1024 * 1024
_STEPS_BETWEEN_LOOKS: Final = 20_000
"""Steps of SQLite's machine between two looks at how far a copy is."""
_JOURNALS: Final = ("-wal", "-shm", "-journal")

OnBytes = Callable[[int], None]
"""Told how many bytes are done."""


class BackupError(Exception):
    """The backup was not made, or nothing was restored; the text says why and what to do."""

    def __str__(self) -> str:
        """Printable: a manifest or a table's name may be anybody's, and this text goes to a terminal."""
        return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in super().__str__())


def sqlite_file(database_url: str) -> Path:
    """The file of a SQLite URL, behind a symbolic link too. Raises BackupError for PostgreSQL."""
    url = parse_database_url(database_url)
    if url.get_backend_name() != "sqlite":
        raise BackupError("the database is PostgreSQL: use pg_dump or pg_basebackup (docs/backup.md)")
    file = Path(url.database or "")
    return file.resolve() if file.is_symlink() else file


@contextlib.contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """A private file beside the target that is gone at the end, whatever happened.

    What a killed backup leaves behind is called `….draft`, so that nobody takes it for a backup.
    """
    draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise BackupError(f"{draft}: cannot be made: {error.strerror}") from error
    try:
        yield draft
    finally:
        for name in (draft, *journals_of(draft)):
            name.unlink(missing_ok=True)


def journals_of(database: Path) -> tuple[Path, ...]:
    """The files that SQLite may keep beside a database."""
    return tuple(database.with_name(database.name + suffix) for suffix in _JOURNALS)


def size_of(database: Path) -> int:
    """About how many bytes a copy will have."""
    with _opened(database) as connection:
        used = _number(connection, "PRAGMA page_count") - _number(connection, "PRAGMA freelist_count")
        return used * _number(connection, "PRAGMA page_size")


def copy_live(database: Path, draft: Path, on_bytes: OnBytes) -> None:
    """A copy of one moment. Readers and writers go on; only the write-ahead log grows meanwhile."""

    def look() -> int:
        on_bytes(draft.stat().st_size)
        return 0

    with _opened(database) as connection:
        connection.set_progress_handler(look, _STEPS_BETWEEN_LOOKS)
        connection.execute("VACUUM INTO ?", (str(draft),))


def copy_file(source: Path, draft: Path, on_bytes: OnBytes) -> str:
    """Copy a file and tell the SHA-256 of what was copied: what is checked is what will be used."""
    digest, done = hashlib.sha256(), 0
    try:
        with source.open("rb") as reading, draft.open("wb") as writing:
            while piece := reading.read(_PIECE):
                digest.update(piece)
                writing.write(piece)
                done += len(piece)
                on_bytes(done)
    except OSError as error:
        raise BackupError(f"{error.filename or source}: cannot be copied: {error.strerror}") from error
    return digest.hexdigest()


def sha256_of(file: Path) -> str:
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").hexdigest()


def require_sound(database: Path) -> None:
    """Raises BackupError unless it is a whole SQLite database whose rows keep their references."""
    with _opened(database) as connection:
        (told,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if told != "ok":
            raise BackupError(f"the database is damaged: {told}")
        loose = connection.execute("PRAGMA foreign_key_check").fetchone()
        if loose is not None:
            raise BackupError(f"the database is damaged: a row of {loose[0]} refers to a row that is gone")


def revision_of(database: Path) -> str:
    """The revision of the schema, or nothing."""
    with _opened(database) as connection:
        known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
        return str(row[0]) if row else ""


def code_of(database: Path) -> frozenset[tuple[str, str]]:
    """Its triggers and views, by name and text: what a schema can do while rows are written or read."""
    with _opened(database) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view')")
        return frozenset((str(name), str(code)) for name, code in found)


def seal(draft: Path) -> None:
    """Fold everything into the one file, and let the disk have it."""
    with _opened(draft) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    _sync(draft)


def publish(draft: Path, target: Path) -> None:
    """Give a draft its name, which nobody has yet. Raises BackupError."""
    try:
        os.link(draft, target)  # a rename would replace a file that came meanwhile
    except OSError as error:
        raise BackupError(f"{target}: cannot be made: {error.strerror}") from error
    _sync(target.parent)


def exists(database: Path) -> bool:
    """Whether a database is there; an empty file is none, but a journal without its database is something."""
    return any(each.exists() and each.stat().st_size for each in (database, *journals_of(database)))


def put_in_place(draft: Path, database: Path, at: datetime) -> Path | None:
    """Make a draft the database; where the one that was there is kept, if one was.

    Only for whoever holds the lock of the database (`sole_process`).
    """
    aside = database.with_name(f"{database.name}.replaced-{at:%Y%m%dT%H%M%SZ}")
    kept = exists(database)
    if kept:
        _fold(database)
        _keep_aside(database, aside)
    # A journal of the old database beside the new one would be played into it.
    for journal in journals_of(database):
        journal.unlink(missing_ok=True)
    draft.replace(database)
    _sync(database.parent)
    return aside if kept else None


def _fold(database: Path) -> None:
    """What lies only in its log belongs to the old database. A damaged one keeps its log beside it."""
    with contextlib.suppress(BackupError), _opened(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _keep_aside(database: Path, aside: Path) -> None:
    for old, new in zip((database, *journals_of(database)), (aside, *journals_of(aside)), strict=True):
        if not old.exists():
            continue
        try:
            os.link(old, new)
        except OSError as error:
            raise BackupError(f"{new}: cannot be kept aside: {error.strerror}") from error


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """A plain connection that makes no file; SQLite's errors become ours."""
    address = f"{database.absolute().as_uri()}?mode=rw"
    try:
        with contextlib.closing(
            sqlite3.connect(address, uri=True, isolation_level=None, timeout=SQLITE_BUSY_MS / 1000)
        ) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            yield connection
    except sqlite3.Error as error:
        raise BackupError(f"{database}: {error}") from error


def _number(connection: sqlite3.Connection, question: str) -> int:
    (found,) = connection.execute(question).fetchone()
    return int(found)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
