"""The operations listener: alive, ready or not and why, and the metrics; nothing else."""

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, Counter

from service_kit.web.ops import Departure, Readiness, ReadinessCheck, ops_app


def check(name: str, *, ready: bool, detail: str = "") -> ReadinessCheck:
    async def answer() -> Readiness:
        return Readiness(name, ready, detail)

    return answer


DATABASE = check("database", ready=True)
KEYS_AWAY = check("identity_keys", ready=False, detail="the public keys were never loaded")


@pytest.mark.parametrize(
    "checks, status",
    [((), 200), ((DATABASE,), 200), ((DATABASE, KEYS_AWAY), 503), ((KEYS_AWAY, DATABASE), 503)],
)
async def test_ready_is_when_everything_is(checks: tuple[ReadinessCheck, ...], status: int) -> None:
    """One check that fails makes the process unready; the answer is never cached."""
    async with TestClient(TestServer(ops_app(CollectorRegistry(), checks))) as client:
        answer = await client.get("/readyz")

        assert answer.status == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert (await answer.json())["ready"] is (status == 200)


async def test_what_is_missing_is_named() -> None:
    """Every check is told with its detail, also those after the first that fails."""
    async with TestClient(TestServer(ops_app(CollectorRegistry(), (KEYS_AWAY, DATABASE)))) as client:
        document = await (await client.get("/readyz")).json()

    assert document["checks"] == [
        {"name": "identity_keys", "ready": False, "detail": "the public keys were never loaded"},
        {"name": "database", "ready": True, "detail": ""},
    ]


async def test_alive_is_not_ready() -> None:
    """A process without its database is alive: restarting it would help nobody."""
    async with TestClient(TestServer(ops_app(CollectorRegistry(), (KEYS_AWAY,)))) as client:
        answer = await client.get("/livez")

        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_readiness_is_asked_anew_each_time() -> None:
    """A process that recovers is ready again without a restart."""
    answers = iter([False, True])

    async def flapping() -> Readiness:
        return Readiness("feed", next(answers))

    async with TestClient(TestServer(ops_app(CollectorRegistry(), (flapping,)))) as client:
        assert [(await client.get("/readyz")).status for _ in range(2)] == [503, 200]


async def test_the_metrics_are_those_of_the_given_registry() -> None:
    """In the text format that Prometheus reads, and of this process's registry alone."""
    registry = CollectorRegistry()
    Counter("kit_things", "Things.", registry=registry).inc()
    async with TestClient(TestServer(ops_app(registry, ()))) as client:
        answer = await client.get("/metrics")
        text = await answer.text()

    assert answer.content_type == "text/plain"
    assert "kit_things_total 1.0" in text
    assert "python_info" not in text


@pytest.mark.parametrize("path", ["/", "/api/admin/tenants", "/env", "/debug", "/metrics/"])
async def test_nothing_else_is_there(path: str) -> None:
    """The listener has three pages until a process adds its own."""
    async with TestClient(TestServer(ops_app(CollectorRegistry(), ()))) as client:
        assert (await client.get(path)).status == 404
        assert (await client.post("/livez")).status == 405


async def test_a_process_that_is_about_to_stop_is_not_ready() -> None:
    """It says so before it takes nobody in any more, so that new work goes elsewhere."""
    departure = Departure()
    async with TestClient(TestServer(ops_app(CollectorRegistry(), (departure.check,)))) as client:
        before = (await client.get("/readyz")).status
        departure.has_begun = True
        answer = await client.get("/readyz")
        document = await answer.json()

    assert (before, answer.status) == (200, 503)
    assert document["checks"] == [{"name": "staying", "ready": False, "detail": "the process stops"}]


async def test_a_page_may_tell_of_more_than_one_registry() -> None:
    """Where a process does not stand alone, its page is made elsewhere."""

    async def page() -> tuple[bytes, str]:
        return b"all of us\n", "text/plain; version=0.0.4"

    async with TestClient(TestServer(ops_app(CollectorRegistry(), (), page=page))) as client:
        answer = await client.get("/metrics")

        assert await answer.text() == "all of us\n"
