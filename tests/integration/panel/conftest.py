"""Fixtures of the panel's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, House, back_office, house


@pytest.fixture
def tenants() -> FakeTenantApi:
    """A tenant service that a test steers."""
    return FakeTenantApi()


@pytest.fixture
async def office(sqlite_url: str, tenants: FakeTenantApi) -> AsyncIterator[BackOffice]:
    """The admin service with that tenant service behind it."""
    async with back_office(sqlite_url, tenant_api=tenants) as running:
        yield running


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[House]:
    """The house of one test."""
    async with house(tmp_path) as running:
        yield running
