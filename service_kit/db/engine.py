"""Opening a database with the settings that make money and audit safe on it.

SQLite gets two engines, because a transaction that reads first and writes later loses its snapshot
under contention whatever the busy timeout says: writers begin IMMEDIATE on a pool of one, readers
are query-only. PostgreSQL gets one engine with hard time limits on locks and statements; through a PgBouncer
(`?pgbouncer=true`) nothing is left on a server's connection when a transaction ends.
"""

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from service_kit.db.tls import EMPTY_PARAMETER, TlsError, tls_arguments, without_tls_parameters

SQLITE_BUSY_MS: Final = 5000
_SQLITE_READERS: Final = 4
_POSTGRES_POOL: Final = 10
_POSTGRES_POOL_SECONDS: Final = 5
_POSTGRES_CONNECT_SECONDS: Final = 5
_POSTGRES_SETTINGS: Final = {
    "lock_timeout": "3s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
    "timezone": "UTC",
}
_POOLER_WORD: Final = "pgbouncer"
_WAL_TRIES: Final = 20
_SQLITE_PRAGMAS: Final = (
    "synchronous=FULL",  # audit and money: a commit that was answered survives a power cut
    "foreign_keys=ON",
    "recursive_triggers=ON",  # INSERT OR REPLACE fires the append-only triggers too
    "trusted_schema=OFF",
    "cell_size_check=ON",
)


class DatabaseUrlError(ValueError):
    """A database URL that names neither SQLite nor PostgreSQL."""


def parse_database_url(value: str) -> URL:
    """The URL with our driver filled in. Raises DatabaseUrlError; the text never repeats a password."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):  # its text repeats a part of the value, which may be the password
        raise DatabaseUrlError("is not a database URL") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    backend = url.get_backend_name()
    if backend not in drivers:
        raise DatabaseUrlError("must begin with sqlite:/// or postgresql://")
    if backend == "sqlite" and not url.database:
        raise DatabaseUrlError("must name a file: sqlite:///data/name.db")
    if backend == "postgresql":
        _require_tls_parameters(value, url)
    return url.set(drivername=drivers[backend])


def _require_tls_parameters(value: str, url: URL) -> None:
    if (empty := EMPTY_PARAMETER.search(value)) is not None:  # the parser drops what is empty
        raise DatabaseUrlError(f"has an empty {empty[1]}")
    try:
        tls_arguments(url)
    except TlsError as error:
        raise DatabaseUrlError(f"cannot be used: {error}") from None


def open_engines(url: URL) -> tuple[AsyncEngine, AsyncEngine]:
    """The engines for writing and for reading; on PostgreSQL they are the same."""
    if url.get_backend_name() == "sqlite":
        _make_private(Path(url.database or ""))
        write = _sqlite_engine(url, size=1, begin="BEGIN IMMEDIATE", query_only=False)
        read = _sqlite_engine(url, size=_SQLITE_READERS, begin="BEGIN", query_only=True)
        return write, read
    engine = _postgres_engine(url)
    return engine, engine


def _postgres_engine(url: URL) -> AsyncEngine:
    is_pooled = url.query.get(_POOLER_WORD) == "true"
    connect_args = _POOLED_CONNECTION if is_pooled else {"server_settings": _POSTGRES_SETTINGS}
    engine = create_async_engine(
        without_tls_parameters(url).difference_update_query([_POOLER_WORD]),
        pool_size=_POSTGRES_POOL,
        max_overflow=0,
        pool_timeout=_POSTGRES_POOL_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={**connect_args, **tls_arguments(url), "timeout": _POSTGRES_CONNECT_SECONDS},
    )
    if is_pooled:
        event.listen(engine.sync_engine, "begin", _limit_transaction)
    return engine


def _limit_transaction(connection: Connection) -> None:
    """The limits of this transaction alone: behind a PgBouncer the next one may be somebody else's."""
    connection.exec_driver_sql(_TRANSACTION_LIMITS)


def _unnamed() -> str:
    """A statement without a name is gone with the next one; a named one would stay with the server."""
    return ""


_TRANSACTION_LIMITS: Final = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)" for name, value in _POSTGRES_SETTINGS.items()
)
_POOLED_CONNECTION: Final[Mapping[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": _unnamed,
}


def _make_private(path: Path) -> None:
    """A new database file is for its own user alone, whichever command makes it first.

    It holds personal data and the service's keys. SQLite gives its journal files the mode of the
    database; a file that is there keeps the mode that its owner gave it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A database that cannot be made is told by the first connection, as one that is away.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _sqlite_engine(url: URL, *, size: int, begin: str, query_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,  # an error's text ends in a log, and the values are addresses and names
    )

    def on_connect(dbapi_connection: Any, _record: object) -> None:
        # Python 3.11's sqlite3 opens transactions by itself unless it is told not to.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
        _use_wal(cursor)
        for pragma in _SQLITE_PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        if query_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
    return engine


def _use_wal(cursor: Any) -> None:
    """Switch to the write-ahead log, also when several processes open a new file at once.

    The switch waits for nobody, whatever the busy timeout says; a write transaction does. So whoever
    comes second waits as a writer and asks again.
    """
    for _ in range(_WAL_TRIES):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("COMMIT")
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")
