"""Request metrics of a listener; the registry is always passed in, never the process-wide default.

Labels come from closed sets only (route patterns, status classes, reasons): no path, host or person.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

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


def render_metrics(registry: CollectorRegistry) -> tuple[bytes, str]:
    """The metrics page and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST
