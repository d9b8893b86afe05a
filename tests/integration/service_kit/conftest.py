"""A database of each kind, with the kit's own tables."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from service_kit.db.session import Database
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.db.tables import opened


@pytest.fixture(autouse=True)
async def no_thread_outlives_its_loop() -> AsyncIterator[None]:
    """A cancelled SQLite connection ends in its own thread, which must still find the loop."""
    yield
    for _ in range(2000):
        if not [thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name]:
            return
        await asyncio.sleep(0.01)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()
