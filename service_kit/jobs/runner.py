"""The runner of a process: looks which jobs are due, takes their leases and runs them, each in its own task.

However many replicas look, one of them runs a job. It knows no job by name, and it never lets one hold
up another: a run that takes too long is cut off before its lease ends.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.errors import ProblemError
from service_kit.jobs.job import Job
from service_kit.jobs.leases import Ended, JobLeases, Lease
from service_kit.jobs.metrics import WATCH_SECONDS, JobMetrics, Watch
from service_kit.jobs.tables import RunStatus
from service_kit.repeating import Repeating
from service_kit.telemetry.logging import get_logger

LOOK_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 10.0
_FIRST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(minutes=15)

_log = get_logger(__name__)


def lease_owner() -> str:
    """The name of this process in leases: where an SRE finds it, and unlike any other's."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"


class JobRunner:
    """Begins with the process and ends with it."""

    def __init__(
        self,
        database: Database,
        leases: JobLeases,
        jobs: Collection[Job],
        clock: Clock,
        *,
        metrics: JobMetrics,
        watch: Watch,
        look_seconds: float = LOOK_SECONDS,
        apart: timedelta = timedelta(seconds=5),
    ) -> None:
        self._database = database
        self._leases = leases
        self._jobs = {job.name: job for job in jobs}
        if len(self._jobs) != len(jobs):
            raise ValueError("two jobs have the same name")
        self._clock = clock
        self._metrics = metrics
        self._watch = watch
        self._watch_from = 0.0
        self._apart = apart
        self._running: dict[str, asyncio.Task[None]] = {}
        self._is_announced = False
        # A service that has just started answers first.
        self._looking = Repeating(self._look_once, first=look_seconds / 2, every=look_seconds)

    async def start(self) -> None:
        self._looking.start()

    async def close(self) -> None:
        """Begin nothing more; let what runs end for a while, then cut it off and give its lease back."""
        await self._looking.close()
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=_GRACE_SECONDS)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def announce(self) -> None:
        """Make the rows of this build's jobs."""
        async with self._database.write() as session:
            await self._leases.announce(session, self._jobs.values(), self._clock.now(), apart=self._apart)

    async def look(self) -> None:
        """Begin what is due and does not run here."""
        idle = [name for name in self._jobs if name not in self._running]
        async with self._database.read() as session:
            due = await self._leases.due(session, idle, self._clock.now())
        for name in due:
            task = asyncio.create_task(self._run(self._jobs[name]))
            self._running[name] = task
            task.add_done_callback(partial(self._ended, name))

    def _ended(self, name: str, _task: "asyncio.Task[None]") -> None:
        self._running.pop(name, None)

    async def idle(self) -> None:
        """Wait until nothing runs here."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def _look_once(self) -> None:
        try:
            if not self._is_announced:
                await self.announce()
                self._is_announced = True
            await self.look()
            await self._keep_watch()
        except ProblemError:  # the database is away; it will be back
            _log.warning("jobs_not_seen")
        except Exception:  # noqa: BLE001 - a runner that stops for good would go unnoticed
            _log.exception("job_runner_failed")

    async def _keep_watch(self) -> None:
        if self._clock.monotonic() >= self._watch_from:
            self._watch_from = self._clock.monotonic() + WATCH_SECONDS
            await self._watch.look()

    async def _run(self, job: Job) -> None:
        try:
            async with self._database.write() as session:
                lease = await self._leases.take(session, job, self._clock.now())
            if lease is not None:
                await self._run_leased(job, lease)
        except ProblemError:
            _log.warning("job_not_recorded", job=job.name)
        except Exception:  # noqa: BLE001 - nobody awaits this task; the lease ends by itself
            _log.exception("job_not_recorded", job=job.name)

    async def _run_leased(self, job: Job, lease: Lease) -> None:
        began = self._clock.monotonic()
        status, processed, error = await self._worked(job)
        ended = Ended(
            status, self._clock.now(), int((self._clock.monotonic() - began) * 1000), processed, error
        )
        self._metrics.ended(job.name, ended)
        if status in (RunStatus.FAILED, RunStatus.TIMED_OUT):
            _log.error("job_failed", job=job.name, status=status.value, error_code=error)
        async with self._database.write() as session:
            ours = await self._leases.release(session, lease, ended, next_run_at=_next(job, lease, ended))
        if not ours:
            _log.warning("job_lease_lost", job=job.name)

    async def _worked(self, job: Job) -> tuple[RunStatus, int, str | None]:
        """How the work ended; never an exception's text, which may hold what it was about."""
        try:
            async with asyncio.timeout(job.most_seconds):
                return RunStatus.OK, await job.work(job.limit), None
        except TimeoutError:
            return RunStatus.TIMED_OUT, 0, "TIMED_OUT"
        except asyncio.CancelledError:
            # We were told to stop. The lease is given back, so that another replica need not wait for it.
            return RunStatus.STOPPED, 0, None
        except ProblemError as error:
            return RunStatus.FAILED, 0, error.code
        except Exception as error:  # noqa: BLE001 - a job's fault ends its run, not the runner
            _log.exception("job_raised", job=job.name)
            return RunStatus.FAILED, 0, type(error).__name__


def _next(job: Job, lease: Lease, ended: Ended) -> datetime:
    """By the clock; at once when there was more to do; later and later while it fails."""
    match ended.status:
        case RunStatus.OK:
            return ended.at if ended.processed >= job.limit else ended.at + job.every
        case RunStatus.STOPPED:
            return ended.at
        case _:
            wait = min(_FIRST_WAIT * float(2 ** min(lease.failures, 20)), _LONGEST_WAIT)
            return ended.at + max(wait, job.every)
