"""The SQL of packs and their prices; it decides nothing and commits nothing."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service_kit.db.session import ReadSession, WriteSession
from tenant_service.billing.packs.models import Pack
from tenant_service.billing.tables import BillingTables
from tenant_service.tenants.models import Currency


class PackRepository:
    """Credit packs, always with both prices."""

    def __init__(self, tables: BillingTables) -> None:
        self._packs = tables.packs
        self._prices = tables.prices

    async def all(self, session: ReadSession, *, inactive: bool = True, hold: bool = False) -> Sequence[Pack]:
        """By sort order; without the inactive ones where they are not for sale.

        With `hold` they stay as they are until the commit.
        """
        return await self._found(session, *([] if inactive else [self._packs.c.active == True]), hold=hold)  # noqa: E712 - SQL

    async def by_id(self, session: WriteSession, pack_id: str) -> Pack | None:
        """One pack, under its lock."""
        return next(iter(await self._found(session, self._packs.c.id == pack_id, hold=True)), None)

    async def name_of_other(self, session: ReadSession, name: str, pack_id: str) -> bool:
        """Whether another pack has that name, in whatever case."""
        packs = self._packs.c
        query = select(packs.id).where(func.lower(packs.name) == func.lower(name), packs.id != pack_id)
        return await session.first(query) is not None

    async def add(self, session: WriteSession, pack: Pack) -> bool:
        """Insert a pack; False when another one has its name. The unique index decides."""
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        row = make(self._packs).values(
            id=pack.id,
            name=pack.name,
            replies=pack.replies,
            sort_order=pack.sort_order,
            active=pack.active,
            version=pack.version,
            created_at=pack.created_at,
            updated_at=pack.updated_at,
        )
        if await session.execute(row.on_conflict_do_nothing()) != 1:
            return False
        await self._add_prices(session, pack.id, pack.prices)
        return True

    async def save(self, session: WriteSession, pack: Pack) -> None:
        """Write a pack back as its next version. Raises IntegrityError when the name was taken meanwhile."""
        values = {
            "name": pack.name,
            "replies": pack.replies,
            "sort_order": pack.sort_order,
            "active": pack.active,
            "version": pack.version,
            "updated_at": pack.updated_at,
        }
        await session.execute(update(self._packs).where(self._packs.c.id == pack.id).values(values))
        await session.execute(delete(self._prices).where(self._prices.c.pack_id == pack.id))
        await self._add_prices(session, pack.id, pack.prices)

    async def remove(self, session: WriteSession, pack_id: str) -> None:
        """Delete a pack and its prices; history keeps its snapshots, and loses only the reference (C-16)."""
        await session.execute(delete(self._packs).where(self._packs.c.id == pack_id))

    async def _add_prices(self, session: WriteSession, pack_id: str, prices: Mapping[Currency, int]) -> None:
        rows = [
            {"pack_id": pack_id, "currency": currency.value, "amount_minor": amount}
            for currency, amount in prices.items()
        ]
        await session.execute(insert(self._prices), rows)

    async def _found(
        self, session: ReadSession, *conditions: ColumnElement[bool], hold: bool
    ) -> Sequence[Pack]:
        packs = self._packs.c
        query = select(self._packs).where(*conditions).order_by(packs.sort_order, packs.id)
        if hold:
            query = query.with_for_update()
        rows = await session.rows(query)
        prices = self._prices
        chosen = select(prices).where(prices.c.pack_id.in_([row["id"] for row in rows]))
        by_pack: dict[str, dict[Currency, int]] = {}
        for price in await session.rows(chosen):
            by_pack.setdefault(price["pack_id"], {})[Currency(price["currency"])] = price["amount_minor"]
        return [_pack(row, by_pack[row["id"]]) for row in rows]


def _pack(row: RowMapping, prices: Mapping[Currency, int]) -> Pack:
    return Pack(
        id=row["id"],
        name=row["name"],
        replies=row["replies"],
        sort_order=row["sort_order"],
        active=row["active"],
        prices=prices,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
    )
