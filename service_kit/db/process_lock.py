"""One process per SQLite file: a lock file beside the database, held as long as the process lives.

Two processes on one SQLite file would each keep their own memory of used tokens, so that a request
could be replayed at the other one. Several processes need PostgreSQL, which this leaves alone.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service_kit.db.engine import parse_database_url


class DatabaseInUseError(Exception):
    """Another process serves this SQLite database."""


@contextmanager
def sole_process(database_url: str) -> Iterator[None]:
    """Hold the lock while the block runs. Raises DatabaseInUseError at once when it is taken.

    The operating system drops the lock with the process, so nothing stale is ever left behind.
    """
    url = parse_database_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        yield
        return
    # Beside the file itself: by another name, a symbolic link, it is the same database.
    path = Path(f"{Path(url.database).resolve()}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, url.database)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, database: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DatabaseInUseError(
            f"{database} is served by another process; stop it, or use PostgreSQL for more than one"
        ) from error
