"""Request metrics of a listener; the registry is always passed in, never the process-wide default.

Labels come from closed sets only (route patterns, status classes, reasons): no path, host or person.
"""

import importlib.metadata
import platform
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_DISTRIBUTION: Final = "sallyport"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """Rate, errors and duration of the requests to a service, by route."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self.requests = Counter(
            "http_requests_total",
            "Requests answered, by route pattern, method and status.",
            ["route", "method", "status"],
            namespace=namespace,
            registry=registry,
        )
        self.seconds = Histogram(
            "http_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["route"],
            namespace=namespace,
            registry=registry,
            buckets=_BUCKETS,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that are being answered now.",
            namespace=namespace,
            registry=registry,
        )


def tell_build(registry: CollectorRegistry, namespace: str) -> Gauge:
    """A series that says by its labels what runs: the version of the package and of Python."""
    build = Gauge(
        "build_info",
        "Always 1; its labels say what runs.",
        ["version", "python"],
        namespace=namespace,
        registry=registry,
    )
    try:
        version = importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # run from a folder, not from a package
        version = "unknown"
    build.labels(version, platform.python_version()).set(1)
    return build


def render_metrics(registry: CollectorRegistry) -> tuple[bytes, str]:
    """The metrics page and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST
