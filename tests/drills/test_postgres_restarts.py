"""PostgreSQL restarted in the middle of writes: nothing half written, and nobody has to be restarted."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.drills.one_service import one_service
from tests.drills.own_postgres import OwnPostgres, own_postgres
from tests.e2e.test_replicas import (
    House,
    require_audit_pairs,
    require_ledger,
    require_tenants_and_invitations,
)
from tests.fixtures.replicas import Replica

pytestmark = [pytest.mark.drill, pytest.mark.stack, pytest.mark.postgres, pytest.mark.timeout(120)]


@pytest.fixture
async def postgres() -> AsyncIterator[OwnPostgres]:
    async with own_postgres() as server:
        yield server


@pytest.fixture
async def house(postgres: OwnPostgres, tmp_path: Path) -> AsyncIterator[House]:
    async with one_service(await postgres.database("tenants"), tmp_path) as found:
        yield found


async def status_of(process: Replica) -> int:
    url = f"http://{process.environment['TENANT_SERVICE_OPS_LISTEN']}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def seconds_until_ready(process: Replica) -> float:
    began = time.perf_counter()
    async with asyncio.timeout(60):
        while await status_of(process) != 200:
            await asyncio.sleep(0.05)
    return time.perf_counter() - began


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restarted_postgresql_costs_answers_and_no_data(
    house: House, postgres: OwnPostgres, mode: str
) -> None:
    """Architecture 9, G-13: restarted by an administrator, or crashed, under load; it heals by itself.

    What was acknowledged is there once; what was not is there whole or not at all. The process is the same.
    """
    only = house.replicas[0]
    pid = only.pid
    async with house.clients.at_work():
        await asyncio.sleep(1)
        before = sum(house.clients.answered.values())
        away = await postgres.restart(mode)
        healed = await seconds_until_ready(only)
        at_restart = sum(house.clients.answered.values())
        async with asyncio.timeout(60):
            while sum(house.clients.answered.values()) < at_restart + 10:
                await asyncio.sleep(0.05)

    await require_tenants_and_invitations(house)
    await require_audit_pairs(house)
    await require_ledger(house)
    proofs = await asyncio.gather(house.command("audit", "verify"), house.command("ledger", "verify"))
    print(
        f"\n{mode}: away {away:.2f} s, ready {healed:.2f} s later, "
        f"{sum(house.clients.answered.values())} changes acknowledged, {house.clients.lost} connections lost"
    )
    assert [proof["ok"] for proof in proofs] == [True, True]
    assert before > 0
    assert (only.pid, house.clients.lost) == (pid, 0)
    assert "Traceback" not in only.log.read_text()


async def test_without_its_database_a_service_refuses_and_comes_back(
    house: House, postgres: OwnPostgres
) -> None:
    """Architecture 9: 503 with Retry-After and a name; not ready, alive; well again without a restart."""
    only, clients = house.replicas[0], house.clients
    await clients.create()
    await postgres.stop()
    headers = clients.vouch.headers(audience="tenant_service", target="/api/admin/tenants")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{only.url}/api/admin/tenants", headers=headers) as answer,
    ):
        refused = answer.status, (await answer.json())["code"], answer.headers["Retry-After"]
    unready = await status_of(only)
    postgres.server.ensure_postgres_running()
    healed = await seconds_until_ready(only)
    await clients.create()
    print(f"\nready {healed:.2f} s after the database was")

    assert refused == (503, "DATABASE_UNAVAILABLE", "2")
    assert unready == 503
    assert "Traceback" not in only.log.read_text()
