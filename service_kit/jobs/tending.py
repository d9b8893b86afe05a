"""What keeps the outbox and the history of jobs small and free of secrets that nobody needs any more.

It never touches what can still be sent.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Update, select, update

from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.jobs.sweeping import delete_some
from service_kit.jobs.tables import JobTables, MessageState

KEEP_DONE: Final = timedelta(days=7)
KEEP_DEAD: Final = timedelta(days=30)
KEEP_RUNS: Final = timedelta(days=14)

_NOT_SENT: Final = (MessageState.READY.value, MessageState.RETRYING.value, MessageState.DEAD.value)


class Tending:
    """Gives up messages that became useless, erases their bodies, and forgets what ended long ago."""

    def __init__(self, database: Database, tables: JobTables, clock: Clock) -> None:
        self._database = database
        self._tables = tables
        self._clock = clock

    async def run(self, limit: int) -> int:
        """At most `limit` rows of each kind; the most that one kind had."""
        now = self._clock.now()
        outbox, runs = self._tables.outbox, self._tables.runs
        done, dead = (outbox.c.state == state.value for state in (MessageState.DONE, MessageState.DEAD))
        statements = (
            self._useless(limit, now),
            delete_some(outbox, limit, done, outbox.c.finished_at <= now - KEEP_DONE),
            delete_some(outbox, limit, dead, outbox.c.finished_at <= now - KEEP_DEAD),
            delete_some(runs, limit, runs.c.finished_at <= now - KEEP_RUNS),
        )
        async with self._database.write() as session:
            return max([await session.execute(statement) for statement in statements])

    def _useless(self, limit: int, now: datetime) -> Update:
        """A link that has expired is no secret worth keeping, and a letter with it is a nuisance."""
        outbox = self._tables.outbox
        over = (
            select(outbox.c.id)
            .where(
                outbox.c.useless_after <= now,
                outbox.c.state.in_(_NOT_SENT),
                outbox.c.sealed_payload.is_not(None),
            )
            .limit(limit)
        )
        return (
            update(outbox)
            .where(outbox.c.id.in_(over))
            .values(
                state=MessageState.DEAD.value,
                last_error="EXPIRED",
                sealed_payload=None,
                updated_at=now,
                finished_at=now,
            )
        )
