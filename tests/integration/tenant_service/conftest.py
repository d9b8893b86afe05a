"""Fixtures of the tenant service's tests."""

from collections.abc import AsyncIterator

import pytest

from service_kit.jobs.runner import JobRunner
from tests.integration.tenant_service.tenant_process import TenantProcess, tenant_process


@pytest.fixture
def no_job_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner of a service that starts after this begins nothing: the test alone runs jobs and writes."""

    async def start(_runner: JobRunner) -> None:
        return None

    monkeypatch.setattr(JobRunner, "start", start)


@pytest.fixture
async def process(database_url: str) -> AsyncIterator[TenantProcess]:
    """A tenant service on each kind of database."""
    async with tenant_process(database_url) as running:
        yield running


@pytest.fixture
async def sqlite_process(sqlite_url: str) -> AsyncIterator[TenantProcess]:
    """A tenant service on SQLite alone, for rules that no database decides."""
    async with tenant_process(sqlite_url) as running:
        yield running


@pytest.fixture
async def postgres_process(postgres_url: str) -> AsyncIterator[TenantProcess]:
    """A tenant service on PostgreSQL alone, for what only its locks can show."""
    async with tenant_process(postgres_url) as running:
        yield running
