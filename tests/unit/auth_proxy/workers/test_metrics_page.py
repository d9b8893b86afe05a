"""One page of several workers: valid, every family once, every sample with its worker."""

import json

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from auth_proxy.decision_log import ProxyMetrics
from auth_proxy.workers.metrics_page import render, snapshot
from tests.fixtures.crews import by_worker, samples


def measured(requests: int) -> bytes:
    registry = CollectorRegistry()
    counter = Counter("asked_total", 'Asked "how" \\ often.\nReally.', ["route"], registry=registry)
    counter.labels('/a "b" \\ c\nd').inc(requests)
    Gauge("age_seconds", "Age.", registry=registry).set(float("inf"))
    Gauge("share", "Share.", registry=registry).set(float("nan"))
    Histogram("took_seconds", "Took.", registry=registry, buckets=(0.1, 1)).observe(requests)
    return snapshot(registry)


def test_each_sample_says_whose_it_is() -> None:
    """Two workers with the same families: one head each, two samples each, none added up."""
    page, content_type = render({1: measured(5), 0: measured(3)})
    text = page.decode()

    assert content_type.startswith("text/plain")
    assert by_worker(text, "asked_total", route='/a "b" \\ c\nd') == {"0": 3, "1": 5}
    assert by_worker(text, "took_seconds_bucket", le="+Inf") == {"0": 1, "1": 1}
    assert by_worker(text, "age_seconds") == {"0": float("inf"), "1": float("inf")}
    assert text.count("# TYPE asked_total counter") == 1
    assert text.count("# HELP took_seconds Took.") == 1


def test_the_page_says_the_same_when_it_is_read_back() -> None:
    """Parsed by the client library's own parser: names, texts and kinds are those of the registries."""
    page, _ = render({0: measured(1), 1: measured(2)})
    families = {family.name: family for family in text_string_to_metric_families(page.decode())}

    assert families["asked"].documentation == 'Asked "how" \\ often.\nReally.'
    assert families["asked"].type == "counter"
    assert families["took_seconds"].type == "histogram"
    assert {sample.labels["worker"] for sample in families["share"].samples} == {"0", "1"}


def test_a_worker_that_does_not_answer_is_told() -> None:
    """Its samples are missing, and the gauge says why; the page is valid."""
    page, _ = render({0: measured(3), 1: None, 2: measured(1)})

    assert by_worker(page.decode(), "auth_proxy_worker_up") == {"0": 1, "1": 0, "2": 1}
    assert set(by_worker(page.decode(), "age_seconds")) == {"0", "2"}


def test_what_only_one_worker_measures_is_there() -> None:
    """A series that only one of them has met yet, as a route that only one was asked for."""
    registry = CollectorRegistry()
    Counter("rare_total", "Rare.", registry=registry).inc()
    page, _ = render({0: measured(1), 1: snapshot(registry)})

    assert by_worker(page.decode(), "rare_total") == {"1": 1}


def test_the_whole_page_of_the_sidecar_is_valid() -> None:
    """Every metric that there is, of four workers."""
    registry = CollectorRegistry()
    ProxyMetrics(registry)
    told = snapshot(registry)
    page, _ = render(dict.fromkeys(range(4), told))
    found = samples(page.decode())

    assert len(found["auth_proxy_keys"]) == 4
    assert (
        sum(len(series) for series in found.values()) == 4 * sum(len(row[3]) for row in json.loads(told)) + 4
    )
