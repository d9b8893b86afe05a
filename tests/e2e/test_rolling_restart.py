"""Two sidecars, restarted one after the other under a client that uses both: not one request is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from tests.fixtures.crews import Ground, Load, ground
from tests.fixtures.ports import free_port

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

ROUNDS = 3


@pytest.fixture
async def here(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(access_key, tmp_path) as found:
        yield found


async def restarted_in_turn(here: Ground, workers: str, load: Load) -> None:
    """Each sidecar stops while the other serves, and a new one takes its address once it has ended."""
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(
                here.sidecar(ports=(port, free_port()), AUTH_PROXY_WORKERS=workers)
            )
            for port in load.ports
        ]
        async with load.running(*["/"] * 8, "/slow", "/slow"):
            await asyncio.sleep(0.5)
            for _ in range(ROUNDS):
                for place, old in enumerate(running):
                    old.terminate()
                    assert await old.process.wait() == 0
                    ports = (old.port, old.ops_port)
                    running[place] = await stack.enter_async_context(
                        here.sidecar(ports=ports, AUTH_PROXY_WORKERS=workers)
                    )
            await asyncio.sleep(0.5)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_rolling_restart_loses_no_request(here: Ground, workers: str) -> None:
    """Architecture 9: a client that goes to the other sidecar only if it cannot connect gets all answers."""
    load = Load([free_port(), free_port()], here.token)
    await restarted_in_turn(here, workers, load)

    assert load.lost == []
    assert set(load.answers) == {200}
    assert load.answers[200] > 300
    assert load.refused > 0
