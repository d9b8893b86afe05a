"""Fixtures of the panel's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, back_office


@pytest.fixture
def tenants() -> FakeTenantApi:
    """A tenant service that a test steers."""
    return FakeTenantApi()


@pytest.fixture
async def office(sqlite_url: str, tenants: FakeTenantApi) -> AsyncIterator[BackOffice]:
    """The admin service with that tenant service behind it."""
    async with back_office(sqlite_url, tenant_api=tenants) as running:
        yield running
