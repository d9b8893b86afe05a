"""Fixtures of the billing tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.tenant_service.billing.billing_process import BillingProcess, billing_process
from tests.integration.tenant_service.billing.ledger_house import LedgerHouse, ledger_house


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[LedgerHouse]:
    """A ledger on each kind of database."""
    async with ledger_house(database_url) as opened:
        yield opened


@pytest.fixture
async def sqlite_house(sqlite_url: str) -> AsyncIterator[LedgerHouse]:
    """A ledger on SQLite alone, for rules that no database decides."""
    async with ledger_house(sqlite_url) as opened:
        yield opened


@pytest.fixture
async def billing(database_url: str, tmp_path: Path) -> AsyncIterator[BillingProcess]:
    """The whole service on each kind of database."""
    async with billing_process(database_url, tmp_path) as running:
        yield running


@pytest.fixture
async def sqlite_billing(sqlite_url: str, tmp_path: Path) -> AsyncIterator[BillingProcess]:
    """The whole service on SQLite alone."""
    async with billing_process(sqlite_url, tmp_path) as running:
        yield running
