"""What operators see of the outbox and of the jobs (R-095, R-096); never what is in a message."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import RowMapping, Select, and_, case, func, select, update

from service_kit.db.session import ReadSession, WriteSession
from service_kit.errors import ConflictError, NotFoundError
from service_kit.jobs.tables import JobTables, MessageState, RunStatus

MOST_DEAD: Final = 50
_OPEN: Final = (MessageState.READY.value, MessageState.IN_FLIGHT.value, MessageState.RETRYING.value)
_SECOND: Final = timedelta(seconds=1)
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up."""

    id: str
    kind: str
    organization_id: str | None
    attempts: int
    last_error: str
    created_at: datetime
    died_at: datetime
    can_be_retried: bool
    """Whether its body is still there."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue: how many messages wait, for how long, and the newest of those that were given up."""

    name: str
    ready: int = 0
    in_flight: int = 0
    retrying: int = 0
    dead: int = 0
    oldest_age_seconds: int | None = None
    next_attempt_at: datetime | None = None
    last_error: str | None = None
    dead_letters: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class LastRun:
    started_at: datetime
    duration_ms: int
    status: RunStatus
    processed: int
    error: str | None


@dataclass(frozen=True, slots=True)
class JobState:
    """One job. `lease_owner` is set while it runs."""

    name: str
    every_seconds: int
    next_run_at: datetime
    last_run: LastRun | None
    last_success_at: datetime | None
    failures: int
    lease_owner: str | None

    @property
    def schedule(self) -> str:
        """`every 5 s`, `every 10 min`, `every 6 h`."""
        for length, unit in _UNITS:
            if self.every_seconds % length == 0:
                return f"every {self.every_seconds // length} {unit}"
        return f"every {self.every_seconds} s"


class JobOverview:
    """The SQL behind the overview, and behind what an operator may do to it."""

    def __init__(self, tables: JobTables) -> None:
        self._outbox = tables.outbox
        self._jobs = tables.jobs

    async def queues(
        self, session: ReadSession, names: Collection[str], now: datetime
    ) -> Sequence[QueueState]:
        """Every queue of this build, and every other one that has a message, by name."""
        counted = {(row["queue"], row["state"]): row["count"] for row in await session.rows(self._counts())}
        timed = {row["queue"]: row for row in await session.rows(self._times())}
        every = sorted({*names, *(queue for queue, _state in counted)})
        return [await self._queue(session, name, counted, timed.get(name), now) for name in every]

    async def jobs(self, session: ReadSession) -> Sequence[JobState]:
        """Every job that this service's replicas ever announced, by name."""
        return [_job(row) for row in await session.rows(select(self._jobs).order_by(self._jobs.c.name))]

    async def retry(self, session: WriteSession, queue: str, message_id: str, now: datetime) -> DeadLetter:
        """Let a dead message be tried again, from the first attempt on; what it was.

        Raises NotFoundError, and ConflictError for a message that is not dead or has no body any more.
        """
        columns = self._outbox.c
        one = and_(columns.id == message_id, columns.queue == queue)
        row = await session.first(select(self._outbox).where(one).with_for_update())
        if row is None:
            raise NotFoundError("MESSAGE_NOT_FOUND", "There is no such message in this queue")
        if row["state"] != MessageState.DEAD:
            raise ConflictError("MESSAGE_NOT_DEAD", "Only a message that was given up can be tried again")
        if not _can_be_retried(row, now):
            raise ConflictError("MESSAGE_BODY_ERASED", "The message is over; its body was erased")
        again = {"state": MessageState.READY.value, "attempts": 0, "next_attempt_at": now}
        values = {**again, "finished_at": None, "updated_at": now}
        await session.execute(update(self._outbox).where(one).values(values))
        return _dead_letter(row, now)

    async def ask_for(self, session: WriteSession, name: str, operator_id: str, now: datetime) -> None:
        """Let a job run now, or once more when it runs already. Raises NotFoundError."""
        values = {"next_run_at": now, "requested_by": operator_id, "updated_at": now}
        asked = update(self._jobs).where(self._jobs.c.name == name).values(values)
        if await session.execute(asked) != 1:
            raise NotFoundError("WORKFLOW_NOT_FOUND", "There is no such workflow")

    def _counts(self) -> Select[Any]:
        columns, count = self._outbox.c, func.count().label("count")
        open_or_dead = columns.state.in_((*_OPEN, MessageState.DEAD.value))
        return (
            select(columns.queue, columns.state, count)
            .where(open_or_dead)
            .group_by(columns.queue, columns.state)
        )

    def _times(self) -> Select[Any]:
        """Since when the oldest open message waits, and when the next one will be tried."""
        columns = self._outbox.c
        waits = columns.state != MessageState.IN_FLIGHT.value
        upcoming = case((waits, columns.next_attempt_at))
        return (
            select(
                columns.queue,
                func.min(columns.created_at).label("oldest"),
                func.min(upcoming).label("upcoming"),
            )
            .where(columns.state.in_(_OPEN))
            .group_by(columns.queue)
        )

    async def _queue(
        self,
        session: ReadSession,
        name: str,
        counted: Mapping[tuple[str, str], int],
        timed: RowMapping | None,
        now: datetime,
    ) -> QueueState:
        columns = self._outbox.c
        dead = select(self._outbox).where(columns.queue == name, columns.state == MessageState.DEAD.value)
        newest = dead.order_by(columns.finished_at.desc(), columns.id.desc()).limit(MOST_DEAD)
        return QueueState(
            name=name,
            ready=counted.get((name, MessageState.READY.value), 0),
            in_flight=counted.get((name, MessageState.IN_FLIGHT.value), 0),
            retrying=counted.get((name, MessageState.RETRYING.value), 0),
            dead=counted.get((name, MessageState.DEAD.value), 0),
            oldest_age_seconds=max((now - timed["oldest"]) // _SECOND, 0) if timed else None,
            next_attempt_at=timed["upcoming"] if timed else None,
            last_error=await session.scalar(self._newest_error(name)),
            dead_letters=tuple(_dead_letter(row, now) for row in await session.rows(newest)),
        )

    def _newest_error(self, name: str) -> Select[Any]:
        columns = self._outbox.c
        not_sent = columns.state.in_((MessageState.RETRYING.value, MessageState.DEAD.value))
        return (
            select(columns.last_error)
            .where(columns.queue == name, not_sent)
            .order_by(columns.updated_at.desc(), columns.id.desc())
            .limit(1)
        )


def _can_be_retried(row: RowMapping, now: datetime) -> bool:
    is_over = row["useless_after"] is not None and row["useless_after"] <= now
    return row["sealed_payload"] is not None and not is_over


def _dead_letter(row: RowMapping, now: datetime) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        kind=row["kind"],
        organization_id=row["organization_id"],
        attempts=row["attempts"],
        last_error=row["last_error"] or "",
        created_at=row["created_at"],
        died_at=row["finished_at"],
        can_be_retried=_can_be_retried(row, now),
    )


def _job(row: RowMapping) -> JobState:
    last = None
    if row["last_status"] is not None:
        last = LastRun(
            started_at=row["last_started_at"],
            duration_ms=row["last_duration_ms"],
            status=RunStatus(row["last_status"]),
            processed=row["last_processed"],
            error=row["last_error"],
        )
    return JobState(
        name=row["name"],
        every_seconds=row["every_seconds"],
        next_run_at=row["next_run_at"],
        last_run=last,
        last_success_at=row["last_success_at"],
        failures=row["failures"],
        lease_owner=row["lease_owner"],
    )
