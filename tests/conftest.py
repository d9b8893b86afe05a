"""Fixtures that every test may ask for."""

import asyncio
import os
from collections.abc import Callable, Generator, Mapping

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.fixtures.databases import (
    database_url,
    other_postgres_url,
    postgres_server,
    postgres_url,
    sqlite_url,
)
from tests.fixtures.identities import vouch
from tests.fixtures.memory_folder import keep_files_in_memory
from tests.fixtures.patience import (
    patient_databases,
    patient_doctor,
    patient_neighbours,
    quiet_audit_beat,
    shipped_limits,
)
from tests.fixtures.ports import unused_tcp_port, unused_tcp_port_factory
from tests.fixtures.sidecar import access_key, sidecar
from tests.fixtures.templates import compile_templates_once

__all__ = [
    "access_key",
    "compile_templates_once",
    "database_url",
    "other_postgres_url",
    "patient_databases",
    "patient_doctor",
    "patient_neighbours",
    "postgres_server",
    "postgres_url",
    "quiet_audit_beat",
    "shipped_limits",
    "sidecar",
    "sqlite_url",
    "unused_tcp_port",
    "unused_tcp_port_factory",
    "vouch",
]


# An example that took long, because the machine stood still, says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_configure() -> None:
    keep_files_in_memory()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Each test begins with the usual umask: a service that runs in the tests' process narrows it."""
    before = os.umask(0o022)
    try:
        return (yield)
    finally:
        os.umask(before)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Each event loop that a test runs on: asyncio's own, and uvloop where its mark asks for it."""
    factories: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if item.get_closest_marker("uvloop"):
        factories["uvloop"] = uvloop.new_event_loop
    return factories
