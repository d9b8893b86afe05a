"""Measurements: every answer is counted, and nothing that a client sends makes a time series."""

import random

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from prometheus_client import CollectorRegistry

from service_kit.errors import ConflictError
from service_kit.identity.model import Role
from service_kit.telemetry.metrics import RequestMetrics, render_metrics
from service_kit.web.api import Audience, Call, Endpoint
from service_kit.web.measuring import measuring_middleware
from service_kit.web.problems import problem_middleware
from tests.fakes.clock import FrozenClock
from tests.unit.service_kit.web.kit_app import AUDIENCE, kit_app


async def fine(_request: web.Request) -> web.Response:
    return web.Response()


async def taken(_request: web.Request) -> web.Response:
    raise ConflictError("X", "x")


async def broken(_request: web.Request) -> web.Response:
    raise RuntimeError


def measured(registry: CollectorRegistry, *, clock: FrozenClock | None = None) -> web.Application:
    """An application without a gate."""
    metrics = RequestMetrics(registry, "kit")
    app = web.Application(
        middlewares=[measuring_middleware(metrics, clock or FrozenClock()), problem_middleware()]
    )
    app.router.add_get("/things/{id}", fine)
    app.router.add_post("/things/{id}", taken)
    app.router.add_get("/broken", broken)
    return app


def series(registry: CollectorRegistry) -> int:
    return sum(len(family.samples) for family in registry.collect())


def count(registry: CollectorRegistry, route: str, method: str, status: str) -> float | None:
    labels = {"route": route, "method": method, "status": status}
    return registry.get_sample_value("kit_http_requests_total", labels)


async def test_no_path_and_no_method_becomes_a_series() -> None:
    """A thousand random paths and methods add no series to those that ten of each kind made."""
    registry, chance = CollectorRegistry(), random.Random(7)
    app = measured(registry)
    app.freeze()

    async def ask() -> None:
        word = "".join(chance.choices("ABCDEFGHIJ/.%{}_-0123456789", k=12))
        kind = chance.choice([f"/{word}", f"/things/{word.replace('/', '')}", f"/things/a/{word}"])
        method = chance.choice(["GET", "POST", word.strip("/%{}.") or "X"])
        await app._handle(make_mocked_request(method, kind, app=app))

    for method in ("GET", "POST", "BREW"):
        for path in ("/things/1", "/nowhere"):
            await app._handle(make_mocked_request(method, path, app=app))
    before = series(registry)
    for _ in range(1000):
        await ask()

    assert series(registry) == before
    assert registry.get_sample_value("kit_http_request_seconds_count", {"route": "/things/{id}"})


async def test_requests_are_counted_by_pattern_method_and_status() -> None:
    """The pattern of the route, never the id in it; refusals and defects count as what was answered."""
    registry = CollectorRegistry()
    async with TestClient(TestServer(measured(registry))) as client:
        for name in ("a", "b", "c"):
            await client.get(f"/things/{name}")
        await client.post("/things/a")
        await client.get("/broken")
        await client.delete("/things/a")
        await client.get("/nowhere")

    assert count(registry, "/things/{id}", "GET", "200") == 3
    assert count(registry, "/things/{id}", "POST", "409") == 1
    assert count(registry, "/broken", "GET", "500") == 1
    assert count(registry, "other", "DELETE", "405") == 1
    assert count(registry, "other", "GET", "404") == 1
    assert b"/things/a" not in render_metrics(registry)[0]


async def test_an_error_that_nothing_answered_counts_as_500() -> None:
    """An exception that passes through is measured, and nothing stays in flight."""
    registry, clock = CollectorRegistry(), FrozenClock()
    metrics = RequestMetrics(registry, "kit")

    async def slow(_request: web.Request) -> web.Response:
        clock.advance(0.3)
        assert registry.get_sample_value("kit_http_requests_in_flight") == 1
        raise RuntimeError

    app = web.Application(middlewares=[measuring_middleware(metrics, clock)])
    app.router.add_get("/slow", slow)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/slow")).status == 500

    assert count(registry, "/slow", "GET", "500") == 1
    assert registry.get_sample_value("kit_http_requests_in_flight") == 0
    seconds = registry.get_sample_value("kit_http_request_seconds_sum", {"route": "/slow"})
    assert seconds is not None
    assert abs(seconds - 0.3) < 1e-6


async def test_the_gates_refusals_are_counted_too() -> None:
    """The measuring stands outermost: a stranger's requests are seen by the people who run the service."""

    async def done(_call: Call) -> web.Response:
        return web.Response()

    async with kit_app([Endpoint("GET", "/things/{id}", Audience.OPERATOR, done, "One")]) as app:
        await app.client.get("/things/1")
        await app.client.get("/things/2", headers=app.vouch.headers(Role.SUPPORT, audience=AUDIENCE))
        await app.client.get("/nowhere")

        assert count(app.registry, "/things/{id}", "GET", "401") == 1
        assert count(app.registry, "/things/{id}", "GET", "200") == 1
        assert count(app.registry, "other", "GET", "401") == 1
