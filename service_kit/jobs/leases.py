"""The SQL of jobs: which are due, who runs one, and how it ended; it runs nothing.

One row for each job. Whoever writes its own name into a row whose lease is free runs the job: the
condition and the change are one statement, which both databases decide for exactly one replica.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service_kit.db.session import ReadSession, WriteSession
from service_kit.ids import IdFactory
from service_kit.jobs.job import Job
from service_kit.jobs.tables import JobTables, RunStatus

_SPARE: Final = timedelta(seconds=30)
"""A lease outlasts the longest run by so much: the run is cut off first."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one process to run a job alone, until then."""

    job: Job
    started_at: datetime
    until: datetime
    requested_by: str | None
    failures: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `error` is a code, never free text."""

    status: RunStatus
    at: datetime
    duration_ms: int
    processed: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """Who held the lease of a run that ended."""

    owner: str
    requested_by: str | None
    started_at: datetime


class JobLeases:
    """Jobs of one service as one replica, `owner`, sees them."""

    def __init__(self, tables: JobTables, owner: str, ids: IdFactory) -> None:
        self._tables = tables
        self._jobs = tables.jobs.c
        self._owner = owner
        self._ids = ids

    async def announce(
        self, session: WriteSession, jobs: Collection[Job], now: datetime, *, apart: timedelta
    ) -> None:
        """Make a row for each job that has none, and keep the others' intervals up to date.

        New jobs begin one after the other, so much apart: requests are served meanwhile.
        """
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        for place, job in enumerate(sorted(jobs, key=lambda one: one.name), start=1):
            seconds = int(job.every.total_seconds())
            row = make(self._tables.jobs).values(
                name=job.name,
                every_seconds=seconds,
                next_run_at=now + min(place * apart, job.every),
                failures=0,
                created_at=now,
                updated_at=now,
            )
            await session.execute(
                row.on_conflict_do_update(index_elements=["name"], set_={"every_seconds": seconds})
            )

    async def due(self, session: ReadSession, names: Collection[str], now: datetime) -> Sequence[str]:
        """The jobs that somebody may begin now."""
        query = select(self._jobs.name).where(self._jobs.name.in_(names), *self._may_begin(now))
        return [row["name"] for row in await session.rows(query.order_by(self._jobs.next_run_at))]

    async def take(self, session: WriteSession, job: Job, now: datetime) -> Lease | None:
        """Take the lease; None when another replica was quicker. A run that died is written down."""
        mine = self._jobs.name == job.name
        row = await session.first(select(self._tables.jobs).where(mine).with_for_update())
        until = now + timedelta(seconds=job.most_seconds) + _SPARE
        taken = update(self._tables.jobs).where(mine, *self._may_begin(now))
        values = {
            "lease_owner": self._owner,
            "lease_until": until,
            "started_at": now,
            "requested_by": None,
            "updated_at": now,
        }
        lost = _abandoned(row, now) if row is not None and row["lease_owner"] is not None else None
        if row is not None and lost is not None:
            values |= {"failures": row["failures"] + 1, **_last(row["started_at"], lost)}
        if row is None or await session.execute(taken.values(values)) != 1:
            return None
        if lost is not None:
            await self._write_run(session, job.name, _held_by(row), lost)
        return Lease(job, now, until, row["requested_by"], row["failures"] + (lost is not None))

    async def release(
        self, session: WriteSession, lease: Lease, ended: Ended, *, next_run_at: datetime
    ) -> bool:
        """Write how it ended; False when the lease was lost. Nothing done well leaves no history."""
        mine = self._is_mine(lease)
        row = await session.first(select(self._tables.jobs).where(*mine).with_for_update())
        if row is None:
            return False
        is_well = ended.status is RunStatus.OK
        asked_again = row["requested_by"] is not None
        values: dict[str, Any] = {
            "lease_owner": None,
            "lease_until": None,
            "started_at": None,
            "next_run_at": ended.at if asked_again else next_run_at,
            "failures": 0 if is_well else row["failures"] + (ended.status is not RunStatus.STOPPED),
            "updated_at": ended.at,
            **_last(lease.started_at, ended),
        }
        if is_well:
            values["last_success_at"] = ended.at
        await session.execute(update(self._tables.jobs).where(*mine).values(values))
        if not is_well or ended.processed or lease.requested_by or lease.failures:
            held = _Held(self._owner, lease.requested_by, lease.started_at)
            await self._write_run(session, lease.job.name, held, ended)
        return True

    def _may_begin(self, now: datetime) -> tuple[ColumnElement[bool], ...]:
        free = or_(self._jobs.lease_until.is_(None), self._jobs.lease_until <= now)
        return (self._jobs.next_run_at <= now, free)

    def _is_mine(self, lease: Lease) -> tuple[ColumnElement[bool], ...]:
        jobs = self._jobs
        return (
            jobs.name == lease.job.name,
            jobs.lease_owner == self._owner,
            jobs.lease_until == lease.until,
        )

    async def _write_run(self, session: WriteSession, name: str, held: "_Held", ended: Ended) -> None:
        await session.execute(
            insert(self._tables.runs).values(
                id=self._ids.new("job"),
                job_name=name,
                lease_owner=held.owner,
                requested_by=held.requested_by,
                started_at=held.started_at,
                finished_at=ended.at,
                status=ended.status.value,
                processed=ended.processed,
                error=ended.error,
            )
        )


def _held_by(row: RowMapping) -> _Held:
    """The request, if there was one, was taken off the row when that run began."""
    return _Held(row["lease_owner"], None, row["started_at"])


def _abandoned(row: RowMapping, now: datetime) -> Ended:
    """The process that held the lease is gone, or hangs: how much it did is not known."""
    return Ended(RunStatus.ABANDONED, now, _milliseconds(now - row["started_at"]), error="LEASE_EXPIRED")


def _last(started_at: datetime, ended: Ended) -> dict[str, Any]:
    return {
        "last_started_at": started_at,
        "last_duration_ms": ended.duration_ms,
        "last_status": ended.status.value,
        "last_processed": ended.processed,
        "last_error": ended.error,
    }


def _milliseconds(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)
