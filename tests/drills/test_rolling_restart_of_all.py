"""Two machines drained under load without a lost request, and then one of them killed without a warning."""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from deploy.demo.issuer import SigningKey
from service_kit.db.session import Database
from tests.drills.whole_house import House, Member, whole_house

STALL = 1.0
"""By how much a service waits longer than the sidecar reuses a connection for a change (serving.py)."""
MOST_WHEN_STALLED = 3

pytestmark = [pytest.mark.drill, pytest.mark.stack, pytest.mark.postgres, pytest.mark.timeout(300)]


async def restarted(house: House, machine: list[Member], number: signal.Signals) -> list[float]:
    """All that runs on a machine at a time; how long each was away."""
    return await asyncio.gather(*(house.restarted(member, number) for member in machine))


async def drained(house: House) -> None:
    """Nothing is lost, and nothing but refused connects was repeated."""
    began = time.perf_counter()
    async with house.load.running():
        await asyncio.sleep(0.5)
        away = [
            seconds
            for machine in house.machines
            for seconds in await restarted(house, list(machine), signal.SIGTERM)
        ]
        await asyncio.sleep(0.5)
    load = house.load
    print(
        f"\ndrained: {load.answers.total()} requests in {time.perf_counter() - began:.1f} s, "
        f"{len(load.lost)} lost, {load.refused} refused connects repeated, slowest {load.slowest:.2f} s, "
        f"away {min(away):.1f} to {max(away):.1f} s"
    )
    # That nothing is lost rests on no process standing still for STALL seconds, as here none should.
    most = 0 if load.slowest < STALL else MOST_WHEN_STALLED
    assert len(load.lost) <= most, load.lost
    assert load.answers["POST", 201] > 10
    assert load.refused > 0


async def killed(house: House) -> None:
    """What was under way on that machine is lost and named; all else goes on, and it heals by itself."""
    load, machine = house.load, list(house.machines[0])
    load.answers.clear()
    began = time.perf_counter()
    async with load.running():
        await asyncio.sleep(0.5)
        away = await restarted(house, machine, signal.SIGKILL)
        healed, at = len(load.lost), load.answers.total()
        async with asyncio.timeout(60):
            while load.answers.total() < at + 50:
                await asyncio.sleep(0.05)
    named = Counter(lost.split(":")[1].split("(")[0].strip()[:40] for lost in load.lost)
    print(
        f"killed: {load.answers.total()} requests in {time.perf_counter() - began:.1f} s, "
        f"{len(load.lost)} lost {dict(named)}, away {min(away):.1f} to {max(away):.1f} s"
    )
    assert len(load.lost) == healed, load.lost[healed:]


async def test_two_machines_are_drained_and_one_is_killed(
    access_key: SigningKey, tmp_path: Path, postgres_url: str, other_postgres_url: str
) -> None:
    """Architecture 9: a sidecar and a replica of each service on either machine, one PostgreSQL, under load.

    Drained in turn by SIGTERM no request is lost. After SIGKILL each acknowledged change is there, once.
    The balancer before the services and the clients before the sidecars repeat refused connects alone.
    """
    async with whole_house(tmp_path / "house", access_key, (postgres_url, other_postgres_url)) as house:
        await drained(house)
        await killed(house)
        await house.require_proofs()
        house.require_quiet_logs()
        database = Database.open(other_postgres_url)
        async with database.read() as session:
            rows = await session.rows(text("SELECT id FROM credit_grants"))
        await database.close()

    assert len(set(house.load.granted)) == len(house.load.granted)
    assert set(house.load.granted) <= {row["id"] for row in rows}
