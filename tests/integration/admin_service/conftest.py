"""Fixtures of the admin service's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.admin_service.admin_process import AdminProcess, admin_process


@pytest.fixture
async def process(database_url: str) -> AsyncIterator[AdminProcess]:
    """An admin service on each kind of database."""
    async with admin_process(database_url) as running:
        yield running


@pytest.fixture
async def sqlite_process(sqlite_url: str) -> AsyncIterator[AdminProcess]:
    """An admin service on SQLite alone, for rules that no database decides."""
    async with admin_process(sqlite_url) as running:
        yield running
