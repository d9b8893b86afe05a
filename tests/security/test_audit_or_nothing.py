"""Whatever must be recorded and cannot be is not done, and is not shown."""

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from admin_service.app import endpoints as admin_endpoints
from admin_service.panel.routes import PANEL
from service_kit.db.session import Database
from tenant_service.app import endpoints as tenant_endpoints
from tenant_service.app import runtime_endpoints
from tenant_service.public_wiring import public_endpoints
from tests.security.recorded_house import SENTINEL, Lived, Send, lived_in
from tests.security.recorded_requests import (
    ADMIN,
    FORWARDED,
    LEFT_BEHIND,
    PUBLIC,
    READINGS,
    TENANT,
    UNRECORDED,
)

SAFE = {"GET", "HEAD"}
APART = {"rate_limit_hits", "jobs"}
"""A try counts whatever comes of it, and the runner writes when it ran."""
REFUSE = {
    "sqlite": """CREATE TRIGGER refuse BEFORE INSERT ON audit_events
                 BEGIN SELECT RAISE(ABORT, 'refused'); END""",
    "postgresql": "ALTER TABLE audit_events ADD CONSTRAINT refuse CHECK (false) NOT VALID",
}
TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    "postgresql": "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'",
}


Dumps = tuple[Mapping[str, list[str]], ...]


class Registered(Protocol):
    """A row of a registry."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...


@pytest.fixture(autouse=True)
def unrendered() -> Iterator[list[Mapping[str, object]]]:
    """What is logged, undrawn."""
    with capture_logs() as logs:
        yield logs  # type: ignore[misc] # structlog's own mappings


def named(found: Iterable[Registered]) -> AbstractSet[str]:
    return {f"{one.method} {one.path}" for one in found if one.method not in SAFE}


def covered(cases: Mapping[str, Send]) -> AbstractSet[str]:
    return {name for name in cases if name.split()[0] not in SAFE}


async def dump(database: Database) -> Mapping[str, list[str]]:
    """Every row of every table but those that stand apart."""
    async with database.read() as session:
        tables = [row["name"] for row in await session.rows(text(TABLES[session.dialect]))]
        return {
            name: sorted(str(dict(row)) for row in await session.rows(text(f'SELECT * FROM "{name}"')))
            for name in tables
            if name not in APART
        }


async def everything(lived: Lived) -> Dumps:
    return await dump(lived.office.database), await dump(lived.tenant.database)


def changed(before: Dumps, after: Dumps) -> AbstractSet[str]:
    """The tables that differ."""
    return {name for one, two in zip(before, after, strict=True) for name in one if one[name] != two[name]}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A database for each service (R-006), of both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tenant.db", f"sqlite:///{tmp_path}/admin.db"
    given = [request.getfixturevalue(name) for name in ("postgres_url", "other_postgres_url")]
    return given[0], given[1]


async def test_what_cannot_be_recorded_is_not_done(
    urls: tuple[str, str], unrendered: list[Mapping[str, object]]
) -> None:
    """R-062, R-102, R-121: no mutation and no recorded reading of either service without its row.

    The list is held against the registries: a new mutation without a case here fails.
    """
    async with lived_in(*urls) as lived:
        internal = lived.office.apps.internal
        own = named(admin_endpoints(lived.office.services, internal[PANEL]))
        assert own == covered(ADMIN) | FORWARDED.keys() | (own & UNRECORDED.keys())
        assert set(FORWARDED.values()) <= TENANT.keys()
        theirs = named((*tenant_endpoints(), *runtime_endpoints()))
        assert theirs == covered(TENANT) | (theirs & UNRECORDED.keys())
        assert named(public_endpoints()) == covered(PUBLIC)
        assert UNRECORDED.keys() <= own | theirs

        for database in (lived.office.database, lived.tenant.database):
            async with database.write() as session:
                await session.execute(text(REFUSE[session.dialect]))
        before = await everything(lived)
        assert SENTINEL in str(before)
        wrong = []
        for name, send in (*ADMIN.items(), *TENANT.items(), *PUBLIC.items()):
            unrendered.clear()
            status, said = await send(lived)
            after = await everything(lived)
            faults = {
                "status": status != 500,
                "not by the audit log": "audit_write_failed" not in {line["event"] for line in unrendered},
                "not told why": re.search(r"AUDIT_WRITE_FAILED|could not (be )?record", said) is None,
                "changed": changed(before, after) - LEFT_BEHIND.get(name, frozenset()),
                "shown": name in READINGS and SENTINEL in said,
            }
            if any(faults.values()):
                wrong.append((name, status, faults, said[:200]))
            before = after
        assert wrong == [], "\n".join(map(str, wrong))
