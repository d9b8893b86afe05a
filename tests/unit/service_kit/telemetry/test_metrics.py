"""Metrics stand on the registry that is passed in, and nowhere else."""

from prometheus_client import REGISTRY, CollectorRegistry

from service_kit.telemetry.metrics import RequestMetrics, render_metrics


def test_two_services_in_one_process_do_not_meet() -> None:
    """R-008: the process-wide default registry stays empty of ours."""
    first, second = CollectorRegistry(), CollectorRegistry()
    RequestMetrics(first, "one").requests.labels("/x", "GET", "200").inc()
    RequestMetrics(second, "one")
    page, content_type = render_metrics(first)

    assert b'one_http_requests_total{method="GET",route="/x",status="200"} 1.0' in page
    assert content_type.startswith("text/plain")
    assert b"one_http_requests_total{" not in render_metrics(second)[0]
    assert not [metric for metric in REGISTRY.collect() if metric.name.startswith("one_")]
