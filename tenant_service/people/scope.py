"""The one way from the tenants' own plane into the database: each transaction belongs to one tenant.

A `TenantScope` builds statements that name their tenant; it can build no other. `TenantDatabase` opens the
transactions, and on PostgreSQL tells the server whose they are, so that row level security decides beside
the code (data-model 2.8). There is no switch that widens a scope (R-120).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from service_kit.db.session import Database, ReadSession, WriteSession
from tenant_service.tenants.models import Organization, TenantStatus

ROLE: Final = "tenant_app"
"""The role of PostgreSQL that sees one tenant at a time (migration 0008)."""
SETTING: Final = "app.organization_id"
"""What the policies on PostgreSQL compare with."""


class UnscopedTableError(Exception):
    """A table without an organization was asked for within a scope: a defect."""


@dataclass(frozen=True, slots=True)
class TenantScope:
    """One tenant, and statements that reach nobody else's rows."""

    organization_id: str

    def select(self, table: Table, *columns: Column[Any] | ColumnElement[Any]) -> Select[Any]:
        """A query of this tenant's rows; every column of the table unless some are named."""
        wanted: Select[Any] = select(*(columns or (table,)))
        return wanted.select_from(table).where(self._own(table))

    def update(self, table: Table) -> Update:
        return update(table).where(self._own(table))

    def delete(self, table: Table) -> Delete:
        return delete(table).where(self._own(table))

    def insert(self, table: Table, values: Mapping[str, Any]) -> Insert:
        """A row of this tenant, whatever `values` say about its organization."""
        self._own(table)
        return insert(table).values({**values, "organization_id": self.organization_id})

    def _own(self, table: Table) -> ColumnElement[bool]:
        if "organization_id" not in table.columns:
            raise UnscopedTableError(table.name)
        mine: ColumnElement[bool] = table.c.organization_id == self.organization_id
        return mine


@dataclass(frozen=True, slots=True)
class TenantRead:
    """A transaction that reads within one tenant."""

    scope: TenantScope
    session: ReadSession


@dataclass(frozen=True, slots=True)
class TenantWrite(TenantRead):
    """A transaction that may write within one tenant; it commits when the block that opened it ends well."""

    session: WriteSession


class Tenants(Protocol):
    """The rows of tenants themselves, one at a time."""

    async def by_slug(
        self, session: ReadSession, slug: str, *, hold: bool = False
    ) -> Organization | None: ...

    async def by_id(
        self, session: ReadSession, tenant_id: str, *, hold: bool = False
    ) -> Organization | None: ...


class TenantDatabase:
    """Opens every transaction of the tenants' own plane."""

    def __init__(self, database: Database, tenants: Tenants) -> None:
        self._unscoped = database
        self._database = database.acting_as(ROLE)
        self._tenants = tenants

    async def tenant_of(self, slug: str) -> Organization | None:
        """The living tenant of a slug: the one read before a scope is known."""
        async with self._unscoped.read() as session:
            return await self._tenants.by_slug(session, slug)

    @asynccontextmanager
    async def read(self, scope: TenantScope) -> AsyncIterator[TenantRead]:
        """Raises UnavailableError when the database does not answer."""
        async with self._database.read() as session:
            await _declare(session, scope)
            yield TenantRead(scope, session)

    @asynccontextmanager
    async def write(self, scope: TenantScope) -> AsyncIterator[TenantWrite]:
        """Raises UnavailableError when the database does not answer; then nothing was written."""
        async with self._database.write() as session:
            await _declare(session, scope)
            yield TenantWrite(scope, session)

    async def held(self, at: TenantWrite) -> Organization | None:
        """The tenant as it is now, its row held until the commit; None when it is no living one.

        Whoever suspends or deletes it waits, so that nothing is made in a tenant that is gone. Hold it
        first: locks are taken in the order of `tenants.changes`.
        """
        tenant = await self._tenants.by_id(at.session, at.scope.organization_id, hold=True)
        return tenant if tenant is not None and tenant.status is not TenantStatus.DELETED else None


async def _declare(session: ReadSession, scope: TenantScope) -> None:
    """Tell PostgreSQL whose transaction this is, until it ends; SQLite has no such thing."""
    if session.dialect == "postgresql":
        owner = bindparam(None, scope.organization_id, type_=Text())
        await session.scalar(select(func.set_config(SETTING, owner, True)))  # noqa: FBT003 - is_local
