"""A real Prometheus scrapes the running stack: every query has an answer, and an alert fires and clears."""

import asyncio
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.people import CAST
from docs import metric_texts
from tests.deploy.monitoring.monitored import alerts, dashboard_queries, recorded, selectors_of
from tests.deploy.monitoring.prometheus_server import Prometheus, prometheus
from tests.fixtures.stack import seconds_until
from tests.fixtures.whole_stack import Door, front_door

pytestmark = [pytest.mark.stack, pytest.mark.timeout(500)]

PATIENCE = 90.0
"""Seconds that a slow machine may need for what takes a few."""
EMPTY_UNTIL_IT_HAPPENS = {
    'tenant_public_sign_ins_total{outcome!="success"}',
}
"""Series that no process can begin with 0, as the refusals of signing in are many: empty is good."""
PORTS = {"auth-proxy": 9090, "admin-service": 9091, "tenant-service": 9092}
JOBS = {"sallyport-sidecar": 9090, "sallyport-admin": 9091, "sallyport-tenant": 9092}


async def test_a_real_prometheus_sees_everything(tmp_path: Path) -> None:
    """Issue 10, number 3: the pages hold what docs/metrics.md says, the dashboard's queries and the rules
    return data, and the alert of a dead admin service fires and clears. The sidecar has two workers.
    """
    async with front_door(tmp_path / "stack", {"auth_proxy": {"AUTH_PROXY_WORKERS": "2"}}) as door:
        targets = {job: f"127.0.0.1:{door.stack.ports.at(port)}" for job, port in JOBS.items()}
        async with prometheus(tmp_path / "prometheus", targets) as server:
            await seconds_until(lambda: all_up(server), within=PATIENCE)
            await use(door)
            await drill(door, server)
            await use(door)
            await every_page_is_the_documented_one(door)
            await every_query_returns_data(door, server)
            assert await server.rule_problems() == []


async def all_up(server: Prometheus) -> bool:
    return await server.targets() == dict.fromkeys(JOBS, "up")


async def use(door: Door) -> None:
    """A little of everything that leaves a figure."""
    for who in (CAST[0], None, "no.real.token"):
        await door.ask("GET", "/api/admin/tenants", who)
        await door.ask("GET", "/manage", who)
    await door.ask("GET", "/manage", CAST[0], headers={"X-Internal-Identity": "mine"})
    await door.send("GET", 8003, "/", {"Host": f"nobody.localhost:{door.stack.ports.at(8003)}"}, None)


async def drill(door: Door, server: Prometheus) -> None:
    """The admin service ends: the sidecars refuse, and it is told. It comes back: it is told no more."""
    told = ("RosterStale", "ProcessDown", "NotReady")
    await seconds_until(lambda: quiet(server, *told), within=PATIENCE)
    program = await door.stack.processes.stop_one("admin_service")

    await seconds_until(lambda: firing(server, *told), within=PATIENCE)
    await door.stack.processes.start(program)
    await door.stack.processes.until_ready()
    await seconds_until(lambda: quiet(server, *told), within=PATIENCE)


async def firing(server: Prometheus, *names: str) -> bool:
    return all([await server.fires(name) for name in names])


async def quiet(server: Prometheus, *names: str) -> bool:
    return not any([await server.fires(name) for name in names])


async def every_page_is_the_documented_one(door: Door) -> None:
    """No process has a metric, or a label, that docs/metrics.md does not know."""
    documented = metric_texts.metrics()
    for process, port in PORTS.items():
        page = (await door.send("GET", port, "/metrics", {}, None)).body.decode()
        known = {shown.name: set(shown.labels) for shown in documented[process]}
        if process == "auth-proxy":
            known["auth_proxy_worker_up"] = set()
        families = {
            family.name: family for family in text_string_to_metric_families(page) if family.name != "process"
        }
        created = {name for name in families if name.endswith("_created")}
        assert set(families) - created == set(known), process
        for name in set(families) - created:
            labels = {label for sample in families[name].samples for label in sample.labels}
            assert labels - {"le", "worker"} <= known[name], name


async def every_query_returns_data(door: Door, server: Prometheus) -> None:
    """Within the patience of a slow machine, as jobs and rates need some seconds."""
    wanted = questions()
    deadline = time.monotonic() + PATIENCE
    while missing := [query for query in wanted if not await server.result(query)]:
        assert time.monotonic() < deadline, missing
        await use(door)
        await asyncio.sleep(0.5)


def questions() -> list[str]:
    """What the dashboard asks, what the rules record, and each selector of an alert.

    An alert's own expression is empty while nothing is wrong; what it reads must be there all the same.
    """
    asked = {re.sub(r"\$__rate_interval", "1m", query) for query in dashboard_queries()}
    for alert in alerts():
        asked |= set(selectors_of(alert.expr))
    return sorted({*asked, *recorded()} - EMPTY_UNTIL_IT_HAPPENS)


def test_what_may_be_empty_is_really_asked() -> None:
    """The list of exceptions names nothing that no rule reads any more."""
    read = {selector for alert in alerts() for selector in selectors_of(alert.expr)} | set(
        dashboard_queries()
    )

    assert read >= EMPTY_UNTIL_IT_HAPPENS
