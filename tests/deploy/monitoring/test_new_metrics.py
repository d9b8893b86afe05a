"""What the alerts of issue 10 read: each figure moves when it should, and measuring it stops nothing."""

import asyncio
import time
from pathlib import Path
from typing import cast

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from admin_service.break_glass_gauge import BreakGlassGauge
from admin_service.events import BREAK_GLASS_USED
from admin_service.tables import AUDIT
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.recorder import AuditRecorder
from service_kit.db.metrics import DatabaseMetrics
from service_kit.db.session import Database, WriteSession
from service_kit.errors import UnavailableError
from service_kit.ids import IdFactory
from service_kit.web.ops import Readiness, ReadinessGauge, ops_app
from tests.fakes.clock import FrozenClock
from tests.fixtures.sidecar import SidecarUnderTest, access_key, sidecar  # noqa: F401 - fixtures
from tests.integration.admin_service.admin_process import admin_process


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


async def ready_of(*answers: bool | None) -> tuple[list[str], float]:
    """What the pages say after each answer of a check, and how long they took; None hangs for ever."""
    registry, told, given = CollectorRegistry(), [], iter(answers)

    async def check() -> Readiness:
        answer = next(given)
        if answer is None:
            await asyncio.Event().wait()
        return Readiness("database", ready=bool(answer))

    gauge = ReadinessGauge(registry, "t", (check,))
    async with TestClient(TestServer(ops_app(registry, (), ready=gauge))) as client:
        started = time.monotonic()
        for _ in answers:
            page = await (await client.get("/metrics")).text()
            told.append(next(line for line in page.splitlines() if line.startswith("t_ready ")))
        return told, time.monotonic() - started


async def test_readiness_is_asked_for_each_page() -> None:
    """A process that is not ready says so on its next page, and again when it is."""
    told, _ = await ready_of(True, False, True)

    assert told == ["t_ready 1.0", "t_ready 0.0", "t_ready 1.0"]


async def test_a_check_that_hangs_does_not_keep_the_page_back() -> None:
    """Just when the database is away an SRE needs the page; what does not answer is not ready."""
    told, took = await ready_of(True, None, None)

    assert told == ["t_ready 1.0", "t_ready 0.0", "t_ready 0.0"]
    assert took < 30


async def test_two_pages_at_once_do_not_call_it_away() -> None:
    """A page whose look has ended says what it found, also when another began the next look meanwhile."""
    registry, gate = CollectorRegistry(), asyncio.Event()
    later: list[asyncio.Task[None]] = []

    async def check() -> Readiness:
        if not later:  # the other page comes just when this look ends
            later.append(asyncio.create_task(gauge.look()))
        else:
            await gate.wait()
        return Readiness("database", ready=True)

    gauge = ReadinessGauge(registry, "t", (check,))
    await gauge.look()
    assert value(registry, "t_ready") == 1.0
    gate.set()
    await asyncio.gather(*later)
    await gauge.close()


async def test_a_check_that_fails_does_not_cost_the_page() -> None:
    """An exception of a check is a no."""
    told, _ = await ready_of(True, False)
    registry = CollectorRegistry()

    async def broken() -> Readiness:
        raise RuntimeError

    await ReadinessGauge(registry, "t", (broken,)).look()
    assert (told[-1], value(registry, "t_ready")) == ("t_ready 0.0", 0.0)


async def test_the_pools_of_a_database_are_seen(tmp_path: Path) -> None:
    """Size, what is in use and who waits: SQLite has one writer, so a second one waits until it ends."""
    registry = CollectorRegistry()
    metrics = DatabaseMetrics(registry, "t")
    assert value(registry, "t_db_pool_waiting") == 0.0
    database = Database.open(f"sqlite:///{tmp_path / 'x.db'}")
    metrics.watch(database)
    other = database.acting_as("somebody")
    try:
        async with database.write():
            async with asyncio.timeout(20):
                second = asyncio.create_task(_write(other))
                while value(registry, "t_db_pool_waiting") != 1.0:
                    await asyncio.sleep(0.01)
            assert value(registry, "t_db_pool_size", pool="write") == 1.0
            assert value(registry, "t_db_pool_in_use", pool="write") == 1.0
        await second
        assert value(registry, "t_db_pool_waiting") == 0.0
        assert value(registry, "t_db_pool_in_use", pool="write") == 0.0
        assert value(registry, "t_db_unavailable_total") == 0.0
    finally:
        await database.close()


async def _write(database: Database) -> None:
    async with database.write():
        pass


async def test_a_database_that_is_away_is_counted() -> None:
    """One for each transaction that ended so, and none is left waiting."""
    registry = CollectorRegistry()
    database = Database.open("postgresql://nobody@127.0.0.1:1/nothing")
    DatabaseMetrics(registry, "t").watch(database)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await _write(database)

    assert value(registry, "t_db_unavailable_total") == 2.0
    assert value(registry, "t_db_pool_waiting") == 0.0
    assert value(registry, "t_db_pool_size", pool="all") == 10.0


async def test_break_glass_is_seen_in_the_log(tmp_path: Path) -> None:
    """G-09: the command is a process of its own; the running service finds its row, and tells when it was."""
    async with admin_process(f"sqlite:///{tmp_path / 'admin.db'}") as process:
        registry = CollectorRegistry()
        gauge = BreakGlassGauge(process.database, AUDIT, BreakGlassGauge.gauge(registry, "t"))
        await gauge.look()
        assert value(registry, "t_break_glass_last_used_timestamp_seconds") == 0.0

        await process.services.break_glass.use(
            "ada@example.com", "Ada", reason="locked out for a drill", locked_out=True
        )
        await gauge.look()
        used_at = value(registry, "t_break_glass_last_used_timestamp_seconds")
        assert used_at == process.clock.now().timestamp()


class DeadSession:
    """A session whose database says no."""

    dialect = "sqlite"

    async def first(self, _query: object) -> None:
        raise RuntimeError("no")

    async def execute(self, *_given: object) -> None:
        raise RuntimeError("no")


async def test_an_audit_row_that_is_not_written_is_counted() -> None:
    """R-102: the change is undone with it, and somebody is told."""
    clock, failures = FrozenClock(), []
    recorder = AuditRecorder(AUDIT, IdFactory(clock), clock, failed=lambda: failures.append(1))

    with pytest.raises(RuntimeError):
        await recorder.record(
            cast("WriteSession", DeadSession()), AuditEntry(BREAK_GLASS_USED, SYSTEM, "adm_1")
        )
    assert failures == [1]


async def test_signature_checks_and_signing_are_counted_where_they_happen(
    sidecar: SidecarUnderTest,  # noqa: F811 - the fixture
) -> None:
    """A token is checked once however often it comes, and an identity for reading is signed once in 5 s."""
    token, registry = sidecar.token(), sidecar.registry
    checks = ("auth_proxy_token_signature_checks_total", "auth_proxy_signing_seconds_count")

    def counted() -> tuple[float, float]:
        verified = value(registry, checks[0], outcome="verified") or 0.0
        return verified, value(registry, checks[1]) or 0.0

    before = counted()
    for _ in range(3):
        assert (await sidecar.get("/api/admin/credit-packs", token=token)).status == 200
    once = counted()
    assert once[0] - before[0] == 1
    assert once[1] - before[1] <= 1

    forged = f"{token.rpartition('.')[0]}.{'A' * 342}"
    for _ in range(2):
        assert (await sidecar.get("/api/admin/credit-packs", token=forged)).status == 403
    assert value(registry, checks[0], outcome="refused") == 1.0
    assert value(registry, "auth_proxy_remembered_tokens", kind="refused") == 1.0
    assert (value(registry, "auth_proxy_remembered_tokens", kind="verified") or 0.0) >= 1.0
