"""A service's random keys: made once, the same for every replica."""

import asyncio

from sqlalchemy import select

from service_kit.db.service_keys import ensure_service_key
from service_kit.db.session import Database
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.db.tables import KEYS


async def test_all_replicas_have_the_same_key(database: Database, clock: FrozenClock) -> None:
    """Whoever asks first makes it; eight at once get one."""
    keys = await asyncio.gather(*(ensure_service_key(database, KEYS, "cursor", clock) for _ in range(8)))

    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    async with database.read() as session:
        assert len(await session.rows(select(KEYS))) == 1


async def test_each_name_is_a_key_of_its_own(database: Database, clock: FrozenClock) -> None:
    """A form token is no cursor."""
    cursor = await ensure_service_key(database, KEYS, "cursor", clock)

    assert await ensure_service_key(database, KEYS, "form", clock) != cursor
    assert await ensure_service_key(database, KEYS, "cursor", clock) == cursor
