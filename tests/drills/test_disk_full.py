"""A disk that takes no more: changes fail by name and whole, reading goes on, and room heals it."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from service_kit.clock import SystemClock
from service_kit.db.session import Database
from service_kit.identity.signing import IdentitySigner
from tenant_service.tables import schema
from tests.drills.test_postgres_restarts import status_of
from tests.e2e.test_replicas import (
    House,
    Postman,
    environment,
    published_key,
    replica,
    require_audit_pairs,
    require_tenants_and_invitations,
)
from tests.fixtures.identities import Vouch
from tests.fixtures.replicas import TENANTS, Clients

pytestmark = [pytest.mark.drill, pytest.mark.stack, pytest.mark.timeout(120)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A tenant service on SQLite, in a process of its own."""
    url = f"sqlite:///{tmp_path}/tenant.db"
    sidecar, runtime = (published_key(tmp_path, name) for name in ("sidecar", "runtime"))
    worker = IdentitySigner(lambda: (runtime,), SystemClock(), issuer="runtime")
    only = replica(0, environment(tmp_path, url, 9), tmp_path)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        try:
            await only.start()
            clients = Clients([only, only], session, Vouch(key=sidecar), worker)
            yield House([only], Postman(), Database.open(url), schema(), clients)
        finally:
            await only.end(signal.SIGKILL)


def allow_bytes(pid: int, limit: int) -> None:
    """No file of the process may grow beyond; the hard limit stays, so that it can be taken back."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, hard))


async def create(house: House, slug: str) -> tuple[int, str]:
    """One attempt to create a tenant; its status and code."""
    headers = house.clients.vouch.headers(audience="tenant_service", method="POST", target=TENANTS)
    body = {"slug": slug, "name": slug.title(), "primaryAdminEmail": f"owner@{slug}.example"}
    key = {"Idempotency-Key": f"key-{slug}"}
    url = house.replicas[0].url + TENANTS
    async with house.clients.session.post(url, json=body, headers={**headers, **key}) as answer:
        return answer.status, str((await answer.json()).get("code", ""))


async def test_a_full_disk_refuses_changes_and_nothing_else(house: House, tmp_path: Path) -> None:
    """Architecture 9, R-102: no change without its audit row, none by half; reads are served meanwhile."""
    only, clients = house.replicas[0], house.clients
    for _ in range(3):
        await clients.create()
    allow_bytes(only.pid, 32 * 1024)  # every file of the database is larger by now
    refused = [await create(house, f"full-{number}") for number in range(4)]
    headers = clients.vouch.headers(audience="tenant_service", target=TENANTS)
    async with clients.session.get(only.url + TENANTS, headers=headers) as answer:
        listed = answer.status, len((await answer.json())["data"])
    readable = await status_of(only)
    allow_bytes(only.pid, resource.RLIM_INFINITY)
    async with asyncio.timeout(30):
        while (await status_of(only)) != 200:
            await asyncio.sleep(0.05)
    await clients.create()

    assert set(refused) == {(503, "DATABASE_UNAVAILABLE")}
    assert listed == (200, 3)
    assert readable == 200
    await require_tenants_and_invitations(house)
    await require_audit_pairs(house)
    assert (await house.command("audit", "verify"))["ok"]
    assert (await create(house, "full-0"))[0] == 201, "the key of a change that failed is free"
    await house.database.close()
