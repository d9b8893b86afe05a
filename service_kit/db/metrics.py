"""What an SRE sees of a service's connections to its database; it opens none to find out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool

from service_kit.db.session import Database, PoolUse

POOL: Final = "pool"


class DatabaseMetrics(Collector):
    """Reads the pools when the page is made; before the database is opened, everything is 0."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self._namespace = namespace
        self._database: Database | None = None
        registry.register(self)

    def watch(self, database: Database) -> None:
        """From now on the page tells of this database."""
        self._database = database

    def collect(self) -> Iterator[Metric]:
        pools = self._pools()
        yield self._gauge(
            "db_pool_size", "Connections that a pool may hold.", pools, lambda pool: pool.size()
        )
        yield self._gauge(
            "db_pool_in_use", "Connections with a transaction on them.", pools, lambda pool: pool.checkedout()
        )
        use = self._database.use if self._database is not None else PoolUse()
        waiting = GaugeMetricFamily(
            f"{self._namespace}_db_pool_waiting", "Transactions that wait for a connection now."
        )
        waiting.add_metric((), use.waiting)
        yield waiting
        away = CounterMetricFamily(
            f"{self._namespace}_db_unavailable",
            "Transactions that ended because the database did not answer.",
        )
        away.add_metric((), use.unavailable)
        yield away

    def _pools(self) -> list[tuple[str, QueuePool]]:
        found = self._database.pools.items() if self._database is not None else ()
        return [(name, pool) for name, pool in found if isinstance(pool, QueuePool)]

    def _gauge(
        self, name: str, text: str, pools: Iterable[tuple[str, QueuePool]], read: Callable[[QueuePool], int]
    ) -> Metric:
        family = GaugeMetricFamily(f"{self._namespace}_{name}", text, labels=[POOL])
        for pool_name, pool in pools:
            family.add_metric([pool_name], read(pool))
        return family
