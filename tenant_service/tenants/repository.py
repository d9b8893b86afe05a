"""The SQL of tenants; it decides nothing and commits nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service_kit.db.columns import UtcDateTime
from service_kit.db.keyset import Position
from service_kit.db.matching import contains
from service_kit.db.session import ReadSession, WriteSession
from tenant_service.tenants.models import Currency, Organization, StatusCounts, TenantFilter, TenantStatus

_FIELDS: Final = tuple(field.name for field in fields(Organization))


class TenantRepository:
    """Organizations and the tombstones of their slugs."""

    def __init__(self, organizations: Table, tombstones: Table, accounts: Table) -> None:
        """`accounts` are those of billing; only the list's filter by balance reads them."""
        self._organizations = organizations
        self._tombstones = tombstones
        self._accounts = accounts

    async def add(self, session: WriteSession, organization: Organization) -> bool:
        """Insert a tenant; False when a living one has its slug.

        The unique index decides, so of any number of simultaneous inserts exactly one succeeds.
        """
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        values = {name: getattr(organization, name) for name in _FIELDS}
        return await session.execute(make(self._organizations).values(values).on_conflict_do_nothing()) == 1

    async def save(self, session: WriteSession, organization: Organization) -> None:
        """Write the row as it is now; the caller holds it."""
        values = asdict(organization)
        columns = self._organizations.c
        await session.execute(
            update(self._organizations).where(columns.id == values.pop("id")).values(values)
        )

    async def entomb(self, session: WriteSession, organization: Organization, at: datetime) -> None:
        """Keep the slug from others. A tombstone that was lifted or released stands again."""
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        values = {"organization_id": organization.id, "tombstoned_at": at, "released_at": None}
        row = make(self._tombstones).values(slug=organization.slug, **values)
        await session.execute(row.on_conflict_do_update(index_elements=["slug"], set_=values))

    async def lift_tombstone(self, session: WriteSession, organization: Organization) -> None:
        """Give the slug back to the tenant that had it."""
        tombs = self._tombstones.c
        own = (tombs.slug == organization.slug, tombs.organization_id == organization.id)
        await session.execute(delete(self._tombstones).where(*own))

    async def due_for_purge(self, session: ReadSession, now: datetime, *, limit: int) -> Sequence[str]:
        """Ids of deleted tenants whose time of grace is over, the longest waiting first."""
        columns = self._organizations.c
        due = (
            columns.status == TenantStatus.DELETED.value,
            columns.purged_at.is_(None),
            columns.purge_after <= now,
        )
        query = select(columns.id).where(*due).order_by(columns.purge_after, columns.id).limit(limit)
        return [row["id"] for row in await session.rows(query)]

    async def is_tombstoned(self, session: ReadSession, slug: str) -> bool:
        return bool(await self._tombstoned(session, (slug,)))

    async def not_free(self, session: ReadSession, slugs: Sequence[str]) -> frozenset[str]:
        """Those of the slugs that are in use or tombstoned."""
        organizations = self._organizations.c
        in_use = select(organizations.slug).where(
            organizations.slug.in_(slugs), organizations.status != TenantStatus.DELETED.value
        )
        used = [row["slug"] for row in await session.rows(in_use)]
        return frozenset(used) | await self._tombstoned(session, slugs)

    async def by_id(self, session: ReadSession, tenant_id: str, *, hold: bool = False) -> Organization | None:
        """The tenant; with `hold` its row stays locked until the commit."""
        return await self._one(session, self._organizations.c.id == tenant_id, hold=hold)

    async def by_slug(self, session: ReadSession, slug: str, *, hold: bool = False) -> Organization | None:
        """The living tenant of that slug; a deleted one is found by its id."""
        columns = self._organizations.c
        living = columns.status != TenantStatus.DELETED.value
        return await self._one(session, columns.slug == slug, living, hold=hold)

    async def page(
        self,
        session: ReadSession,
        wanted: TenantFilter,
        *,
        position: Position | None,
        oldest_first: bool,
        limit: int,
    ) -> Sequence[Organization]:
        """At most `limit` tenants in display order beyond the position."""
        columns = self._organizations.c
        backward = position is not None and position.backward
        ascending = oldest_first != backward
        query = select(self._organizations).where(*self._conditions(wanted))
        if position is not None:
            key, edge = tuple_(columns.created_at, columns.id), _edge(position)
            query = query.where(key > edge if ascending else key < edge)
        order = (columns.created_at, columns.id)
        query = query.order_by(*(order if ascending else [column.desc() for column in order]))
        found = [_organization(row) for row in await session.rows(query.limit(limit))]
        return found[::-1] if backward else found

    async def count(self, session: ReadSession) -> StatusCounts:
        columns = self._organizations.c
        query = select(columns.status, func.count().label("n")).group_by(columns.status)
        by_status = {row["status"]: row["n"] for row in await session.rows(query)}
        return StatusCounts(*(by_status.get(status.value, 0) for status in TenantStatus))

    async def _tombstoned(self, session: ReadSession, slugs: Iterable[str]) -> frozenset[str]:
        tombs = self._tombstones.c
        query = select(tombs.slug).where(tombs.slug.in_(list(slugs)), tombs.released_at.is_(None))
        return frozenset(row["slug"] for row in await session.rows(query))

    async def _one(
        self, session: ReadSession, *conditions: ColumnElement[bool], hold: bool
    ) -> Organization | None:
        query = select(self._organizations).where(*conditions)
        row = await session.first(query.with_for_update() if hold else query)
        return _organization(row) if row is not None else None

    def _conditions(self, wanted: TenantFilter) -> list[ColumnElement[bool]]:
        columns = self._organizations.c
        conditions: list[ColumnElement[bool]] = []
        if wanted.q:
            conditions.append(self._matches(wanted.q))
        if wanted.status is not None:
            conditions.append(columns.status == wanted.status.value)
        if wanted.plan is not None:
            conditions.append(columns.plan == wanted.plan)
        if wanted.created_from is not None:
            conditions.append(columns.created_at >= wanted.created_from)
        if wanted.created_to is not None:
            conditions.append(columns.created_at < wanted.created_to)
        if wanted.low_balance:
            conditions += [columns.status != TenantStatus.DELETED.value, columns.id.in_(self._running_out())]
        return conditions

    def _running_out(self) -> Select[Any]:
        accounts = self._accounts.c
        is_low = accounts.replies_remaining < accounts.low_balance_threshold
        return select(accounts.organization_id).where(is_low)

    def _matches(self, q: str) -> ColumnElement[bool]:
        columns = self._organizations.c
        return contains(q, func.lower(columns.name), columns.slug, columns.primary_email)


def _edge(position: Position) -> Any:
    at = bindparam(None, position.at, type_=UtcDateTime())
    return tuple_(at, bindparam(None, position.id, type_=Text()))


def _organization(row: RowMapping) -> Organization:
    values: Mapping[str, Any] = {name: row[name] for name in _FIELDS}
    typed = {"currency": Currency(row["currency"]), "status": TenantStatus(row["status"])}
    return Organization(**{**values, **typed})
