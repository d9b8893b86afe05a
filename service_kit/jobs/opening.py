"""A runner for one process, put together of its parts; the composition root names the jobs."""

from collections.abc import Awaitable, Callable, Collection

from prometheus_client import CollectorRegistry

from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from service_kit.jobs.job import Job
from service_kit.jobs.leases import JobLeases
from service_kit.jobs.metrics import JobMetrics, Watch
from service_kit.jobs.overview import JobOverview
from service_kit.jobs.runner import JobRunner, lease_owner
from service_kit.jobs.tables import JobTables


def runner_of(
    jobs: Collection[Job],
    database: Database,
    tables: JobTables,
    clock: Clock,
    registry: CollectorRegistry,
    *,
    namespace: str,
    queues: Collection[str] = (),
    also: Collection[Callable[[], Awaitable[None]]] = (),
) -> JobRunner:
    """The runner, not yet begun. Raises ValueError when two jobs have one name."""
    metrics = JobMetrics(registry, namespace)
    return JobRunner(
        database,
        JobLeases(tables, lease_owner(), IdFactory(clock)),
        jobs,
        clock,
        metrics=metrics,
        watch=Watch(database, JobOverview(tables), queues, metrics, clock, also=also),
    )
