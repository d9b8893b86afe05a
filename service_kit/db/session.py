"""Sessions: one transaction each, a type that can read and a type that can also write.

The commit stands here and nowhere else. A repository takes the narrowest session it needs, so that
a function that only reads cannot be handed the power to write.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Executable, RowMapping, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import Pool

from service_kit.db.engine import open_engines, parse_database_url
from service_kit.errors import UnavailableError
from service_kit.telemetry.logging import get_logger

_PASSING_STATES: Final = ("08", "40", "53", "55P03", "57")
"""PostgreSQL's words for: no connection, conflict of transactions, no room, lock timeout, told to stop."""

_ONE_MOMENT: Final[Mapping[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Every statement of a read sees the same state on PostgreSQL too, as it does on SQLite. It holds no lock."""
_PING_SECONDS: Final = 2.0

_log = get_logger(__name__)
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class PoolUse:
    """What the pools themselves do not tell; shared by every `Database` on the same engines."""

    waiting: int = 0
    """Transactions that wait for a connection at this moment."""
    unavailable: int = 0
    """Transactions that ended because the database did not answer."""


class ReadSession:
    """A transaction that only reads."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._connection.dialect.name

    async def rows(self, query: Executable) -> Sequence[RowMapping]:
        return (await self._connection.execute(query)).mappings().all()

    async def first(self, query: Executable) -> RowMapping | None:
        return (await self._connection.execute(query)).mappings().first()

    async def scalar(self, query: Executable) -> Any:
        return (await self._connection.execute(query)).scalar()


class WriteSession(ReadSession):
    """A transaction that may write; it commits when the block that opened it ends well."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self._after_commit: list[Callable[[], None]] = []

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> int:
        """Run a statement; the number of rows it touched."""
        return (await self._connection.execute(statement, parameters)).rowcount

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the transaction is durable; never when it is rolled back."""
        self._after_commit.append(callback)

    def run_after_commit(self) -> None:
        """Call every callback; what one of them raises is logged, because the commit stands."""
        for callback in self._after_commit:
            try:
                callback()
            except Exception:  # noqa: BLE001 - the caller must not take a committed change for a failed one
                _log.exception("after_commit_failed")


class Database:
    """A service's own database. Nothing else in the house opens a connection."""

    def __init__(
        self, write: AsyncEngine, read: AsyncEngine, role: str | None = None, *, use: PoolUse | None = None
    ) -> None:
        self._write = write
        self._read = read
        self._role = role
        self.use = use or PoolUse()

    @classmethod
    def open(cls, url: str) -> "Database":
        """Prepare engines for a URL; no connection is made yet. Raises DatabaseUrlError."""
        return cls(*open_engines(parse_database_url(url)))

    def acting_as(self, role: str) -> "Database":
        """The same database, whose transactions have no more rights than this role of PostgreSQL.

        The right ends with the transaction, so that a pooled connection carries nothing on. SQLite knows
        no roles. A role that does not exist, or that we may not take, refuses every transaction.
        """
        return Database(self._write, self._read, role, use=self.use)

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The pools of connections by what they are for; PostgreSQL has one for everything."""
        if self._read is self._write:
            return {"all": self._write.pool}
        return {"write": self._write.pool, "read": self._read.pool}

    @property
    def write_engine(self) -> AsyncEngine:
        """For the migration runner only."""
        return self._write

    @property
    def dialect(self) -> str:
        return self._write.dialect.name

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A read-only transaction that sees one moment, that of its first statement.

        Raises UnavailableError when the database does not answer.
        """
        options = _ONE_MOMENT if self.dialect == "postgresql" else {}
        with _translated(self.use):
            async with _begun(self._read, self.use, options) as connection:
                await self._take_role(connection)
                yield ReadSession(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A transaction that commits when the block ends without an exception.

        Raises UnavailableError when the database does not answer. Then nobody knows whether it was written:
        where the answer to the COMMIT itself was lost, it may have been kept. Whoever asks again does so with
        the same idempotency key, or looks first. What waited for the commit was not called.
        """
        with _translated(self.use):
            async with _begun(self._write, self.use) as connection:
                await self._take_role(connection)
                session = WriteSession(connection)
                yield session
            session.run_after_commit()

    async def _take_role(self, connection: AsyncConnection) -> None:
        if self._role is not None and self.dialect == "postgresql":
            name = connection.dialect.identifier_preparer.quote_identifier(self._role)
            await connection.execute(text(f"SET LOCAL ROLE {name}"))

    async def ping(self) -> None:
        """Prove that the database answers, for readiness. Raises UnavailableError."""
        async with self.read() as session, asyncio.timeout(_PING_SECONDS):
            await session.scalar(text("SELECT 1"))

    async def close(self) -> None:
        await self._write.dispose()
        if self._read is not self._write:
            await self._read.dispose()


@asynccontextmanager
async def _begun(
    engine: AsyncEngine, use: PoolUse, options: Mapping[str, Any] = MappingProxyType({})
) -> AsyncIterator[AsyncConnection]:
    """A connection in a transaction that commits when the block ends well."""
    async with AsyncExitStack() as stack:
        use.waiting += 1
        try:
            connection = await stack.enter_async_context(engine.connect())
        except OSError as error:  # no such host, no route, no socket; later an OSError is the block's own
            use.unavailable += 1
            raise _unavailable() from error
        finally:
            use.waiting -= 1
        if options:
            connection = await connection.execution_options(**options)
        async with connection.begin():
            yield connection


def _unavailable() -> UnavailableError:
    return UnavailableError("DATABASE_UNAVAILABLE", "The database does not answer")


class _translated:  # noqa: N801 - reads as a word in `with _translated():`
    """Turns "the database is away" into one error; a broken rule (IntegrityError) passes untouched."""

    def __init__(self, use: PoolUse) -> None:
        self._use = use

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if is_away(error):
            self._use.unavailable += 1
            raise _unavailable() from error


def is_away(error: BaseException | None) -> bool:
    """Whether the database does not answer now; a broken rule or statement is no such thing."""
    if isinstance(error, IntegrityError):
        return False
    away = isinstance(
        error, OperationalError | InterfaceError | PoolTimeoutError | ConnectionError | TimeoutError
    )
    return away or (isinstance(error, DBAPIError) and _passes(error))


def _passes(error: DBAPIError) -> bool:
    """Whether it is the moment that is wrong, not the statement. asyncpg's own classes say neither."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or state.startswith(_PASSING_STATES)
