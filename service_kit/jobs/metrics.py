"""What an SRE sees of the outbox and the jobs. Labels are names from the code, never from a message."""

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.jobs.leases import Ended
from service_kit.jobs.overview import JobOverview, JobState, QueueState

WATCH_SECONDS: Final = 15.0


class JobMetrics:
    """Gauges tell what the database says, the same at every replica; the counter counts this process."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        def gauge(name: str, text: str, labels: list[str]) -> Gauge:
            return Gauge(name, text, labels, namespace=namespace, registry=registry)

        self._messages = gauge("outbox_messages", "Messages by queue and state.", ["queue", "state"])
        self._age = gauge("outbox_oldest_seconds", "Age of the oldest message that still waits.", ["queue"])
        self._success = gauge(
            "job_last_success_timestamp_seconds", "When a job last ended well; 0 for never.", ["job"]
        )
        self._seconds = gauge("job_last_duration_seconds", "How long the last run of a job took.", ["job"])
        self._failures = gauge("job_failures_in_a_row", "Runs that failed since the last good one.", ["job"])
        self._runs = Counter(
            "job_runs_total",
            "Runs of jobs by this process, by how they ended.",
            ["job", "status"],
            namespace=namespace,
            registry=registry,
        )

    def ended(self, job: str, ended: Ended) -> None:
        self._runs.labels(job, ended.status.value).inc()

    def seen_queue(self, queue: QueueState) -> None:
        counts = {"ready": queue.ready, "in_flight": queue.in_flight, "retrying": queue.retrying}
        for state, count in {**counts, "dead": queue.dead}.items():
            self._messages.labels(queue.name, state).set(count)
        self._age.labels(queue.name).set(queue.oldest_age_seconds or 0)

    def seen_job(self, job: JobState) -> None:
        self._success.labels(job.name).set(job.last_success_at.timestamp() if job.last_success_at else 0)
        self._seconds.labels(job.name).set(job.last_run.duration_ms / 1000 if job.last_run else 0)
        self._failures.labels(job.name).set(job.failures)


class Watch:
    """Brings the gauges up to date; `also` are looks of the service's own at its database."""

    def __init__(
        self,
        database: Database,
        overview: JobOverview,
        queues: Collection[str],
        metrics: JobMetrics,
        clock: Clock,
        *,
        also: Collection[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._also = also
        self._database = database
        self._overview = overview
        self._queues = queues
        self._metrics = metrics
        self._clock = clock

    async def look(self) -> None:
        async with self._database.read() as session:
            queues = await self._overview.queues(session, self._queues, self._clock.now())
            jobs = await self._overview.jobs(session)
        for queue in queues:
            self._metrics.seen_queue(queue)
        for job in jobs:
            self._metrics.seen_job(job)
        for look in self._also:
            await look()
