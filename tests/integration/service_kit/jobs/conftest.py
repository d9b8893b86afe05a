"""An outbox and jobs on a database of each kind."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.service_kit.jobs.post_office import PostOffice, post_office


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[PostOffice]:
    async with post_office(database_url) as office:
        yield office


@pytest.fixture
async def sqlite_office(sqlite_url: str) -> AsyncIterator[PostOffice]:
    """For rules that no database decides."""
    async with post_office(sqlite_url) as office:
        yield office
