"""One metrics page of several workers: each sample says which worker it is of, each family stands once.

It adds nothing up: a sum is the reader's query, and a worker that is replaced begins its counters anew.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

LABEL: Final = "worker"


def snapshot(registry: CollectorRegistry) -> bytes:
    """What a registry measures now, as one worker tells it to another.

    JSON and not the text format: parsing that takes Python about sixteen times as long, in a process
    that has requests to answer.
    """
    families = [
        [
            family.name,
            family.documentation,
            family.type,
            [[sample.name, sample.labels, sample.value] for sample in family.samples],
        ]
        for family in registry.collect()
    ]
    return json.dumps(families).encode()


def render(snapshots: Mapping[int, bytes | None]) -> tuple[bytes, str]:
    """The page of all workers by number, and its content type; None is a worker that does not answer."""
    families: dict[str, Metric] = {}
    for number, told in sorted(snapshots.items()):
        if told is not None:
            _add(families, str(number), json.loads(told))
    return generate_latest(_Page([*families.values(), _up(snapshots)])), CONTENT_TYPE_LATEST


class _Page(CollectorRegistry):
    """Families that were collected elsewhere."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _add(families: dict[str, Metric], worker: str, told: list[Any]) -> None:
    for name, documentation, kind, samples in told:
        family = families.setdefault(name, Metric(name, documentation, kind))
        for sample, labels, value in samples:
            family.add_sample(sample, {**labels, LABEL: worker}, value)


def _up(snapshots: Mapping[int, bytes | None]) -> Metric:
    up = Metric("auth_proxy_worker_up", "1 while the worker answers for its part of this page.", "gauge")
    for number, told in sorted(snapshots.items()):
        up.add_sample(up.name, {LABEL: str(number)}, float(told is not None))
    return up
