"""The SQL of accounts, grants and reservations; it decides nothing and commits nothing.

Locks are always taken in one order: the account first, then its grants. So the account's row orders all
movements of a tenant, and two of them never wait for each other in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Table, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service_kit.db.session import ReadSession, WriteSession
from tenant_service.billing.closed_sets import Account, ActorKind, Category, ReservationState, Source
from tenant_service.billing.credits.models import LOW_BALANCE, Balance, Grant, Reservation
from tenant_service.billing.tables import BillingTables
from tenant_service.tenants.models import TenantStatus

_COUNTED: Final = {
    Account.AVAILABLE: "replies_remaining",
    Account.RESERVED: "replies_reserved",
    Account.CONSUMED: "replies_used",
    Account.EXPIRED: "replies_expired",
    Account.VOIDED: "replies_voided",
}
_GRANT_FIELDS: Final = tuple(field.name for field in fields(Grant))


class CreditRepository:
    """Accounts, grants and reservations of all tenants."""

    def __init__(self, tables: BillingTables, organizations: Table) -> None:
        self._tables = tables
        self._organizations = organizations

    async def take(
        self,
        session: WriteSession,
        organization_id: str,
        key: str,
        changes: Mapping[Account, int],
        now: datetime,
    ) -> Balance | None:
        """Take from what is available, in one guarded statement; None when anything forbids it.

        The statement asks itself whether there is enough, whether the tenant is active and whether the key
        is new, so that the common case is one round trip and the row is locked by what decides.
        """
        accounts, txns, tenants = self._tables.accounts.c, self._tables.txns.c, self._organizations.c
        active = select(tenants.id).where(
            tenants.id == organization_id, tenants.status == TenantStatus.ACTIVE.value
        )
        repeated = select(txns.id).where(txns.organization_id == organization_id, txns.idempotency_key == key)
        guard = (
            accounts.replies_remaining >= -changes[Account.AVAILABLE],
            active.exists(),
            ~repeated.exists(),
        )
        return await self._change(session, organization_id, changes, now, *guard)

    async def change(
        self, session: WriteSession, organization_id: str, changes: Mapping[Account, int], now: datetime
    ) -> Balance:
        """Move the totals of a locked account. Raises when the account is not there."""
        balance = await self._change(session, organization_id, changes, now)
        if balance is None:
            raise RuntimeError("a billing account vanished under its lock")
        return balance

    async def _change(
        self,
        session: WriteSession,
        organization_id: str,
        changes: Mapping[Account, int],
        now: datetime,
        *guard: ColumnElement[bool],
    ) -> Balance | None:
        accounts = self._tables.accounts
        values: dict[str, Any] = {"version": accounts.c.version + 1, "updated_at": now}
        for account, column in _COUNTED.items():
            if changes.get(account):
                values[column] = accounts.c[column] + changes[account]
        if changes.get(Account.ISSUED):
            values["replies_granted"] = accounts.c.replies_granted - changes[Account.ISSUED]
        statement = (
            update(accounts)
            .where(accounts.c.organization_id == organization_id, *guard)
            .values(values)
            .returning(*self._totals())
        )
        row = await session.first(statement)
        return _balance(row) if row is not None else None

    async def open_account(self, session: WriteSession, organization_id: str, now: datetime) -> None:
        """Make the account of a tenant, unless it has one."""
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        row = make(self._tables.accounts).values(
            organization_id=organization_id,
            replies_remaining=0,
            replies_reserved=0,
            replies_used=0,
            replies_granted=0,
            replies_expired=0,
            replies_voided=0,
            low_balance_threshold=LOW_BALANCE,
            version=1,
            created_at=now,
            updated_at=now,
        )
        await session.execute(row.on_conflict_do_nothing(index_elements=["organization_id"]))

    async def lock(self, session: WriteSession, organization_id: str) -> Balance | None:
        """The totals under the account's lock; None when the tenant has no account."""
        query = select(*self._totals()).where(self._tables.accounts.c.organization_id == organization_id)
        row = await session.first(query.with_for_update())
        return _balance(row) if row is not None else None

    async def balance(self, session: ReadSession, organization_id: str) -> Balance | None:
        return (await self.balances(session, [organization_id])).get(organization_id)

    async def balances(self, session: ReadSession, organization_ids: Sequence[str]) -> Mapping[str, Balance]:
        """The totals of those of the tenants that have an account."""
        account_of = self._tables.accounts.c.organization_id
        query = select(account_of, *self._totals()).where(account_of.in_(organization_ids))
        return {row["organization_id"]: _balance(row) for row in await session.rows(query)}

    async def spendable(
        self,
        session: ReadSession,
        organization_id: str,
        now: datetime,
        *,
        limit: int,
        skip: Sequence[str] = (),
    ) -> Sequence[Grant]:
        """Grants that can be spent now, in burn order: priority, then expiry, then age."""
        grants = self._tables.grants.c
        lives = and_(grants.effective_at <= now, or_(grants.expires_at.is_(None), grants.expires_at > now))
        query = select(self._tables.grants).where(
            grants.organization_id == organization_id, grants.remaining > 0, lives
        )
        if skip:
            query = query.where(grants.id.not_in(skip))
        query = query.order_by(*self._burn_order()).limit(limit)
        if isinstance(session, WriteSession):
            query = query.with_for_update()
        return [_grant(row) for row in await session.rows(query)]

    async def spendable_sum(self, session: ReadSession, organization_id: str, now: datetime) -> int:
        grants = self._tables.grants.c
        lives = and_(grants.effective_at <= now, or_(grants.expires_at.is_(None), grants.expires_at > now))
        query = select(func.coalesce(func.sum(grants.remaining), 0)).where(
            grants.organization_id == organization_id, grants.remaining > 0, lives
        )
        return int(await session.scalar(query))

    async def grants_of(self, session: ReadSession, organization_id: str, *, limit: int) -> Sequence[Grant]:
        """The newest grants, those with something left first and in burn order."""
        grants = self._tables.grants.c
        query = (
            select(self._tables.grants)
            .where(grants.organization_id == organization_id)
            .order_by((grants.remaining > 0).desc(), *self._burn_order())
            .limit(limit)
        )
        return [_grant(row) for row in await session.rows(query)]

    async def grants_by_id(self, session: ReadSession, grant_ids: Sequence[str]) -> Mapping[str, Grant]:
        grants = self._tables.grants
        rows = await session.rows(select(grants).where(grants.c.id.in_(grant_ids)))
        return {row["id"]: _grant(row) for row in rows}

    async def grant_of(self, session: ReadSession, organization_id: str, grant_id: str) -> Grant | None:
        found = (await self.grants_by_id(session, [grant_id])).get(grant_id)
        return found if found is not None and found.organization_id == organization_id else None

    async def expires_next(
        self, session: ReadSession, organization_ids: Sequence[str], now: datetime
    ) -> Mapping[str, datetime]:
        """When the next credit of each tenant ends."""
        grants = self._tables.grants.c
        query = (
            select(grants.organization_id, func.min(grants.expires_at).label("at"))
            .where(
                grants.organization_id.in_(organization_ids), grants.remaining > 0, grants.expires_at > now
            )
            .group_by(grants.organization_id)
        )
        return {row["organization_id"]: row["at"] for row in await session.rows(query)}

    async def add_grant(self, session: WriteSession, grant: Grant) -> None:
        await session.execute(
            insert(self._tables.grants).values({name: getattr(grant, name) for name in _GRANT_FIELDS})
        )

    async def change_grants(self, session: WriteSession, changes: Mapping[str, int], now: datetime) -> None:
        """Move what remains of each grant."""
        grants = self._tables.grants
        statement = (
            update(grants)
            .where(grants.c.id == bindparam("of_grant"))
            .values(
                remaining=grants.c.remaining + bindparam("by"),
                version=grants.c.version + 1,
                updated_at=bindparam("at"),
            )
        )
        if changes:
            await session.execute(
                statement, [{"of_grant": grant, "by": by, "at": now} for grant, by in changes.items()]
            )

    async def update_grant(self, session: WriteSession, grant_id: str, values: Mapping[str, Any]) -> None:
        grants = self._tables.grants
        await session.execute(
            update(grants).where(grants.c.id == grant_id).values({**values, "version": grants.c.version + 1})
        )

    async def lapsed(self, session: ReadSession, now: datetime, *, limit: int) -> Sequence[Grant]:
        """Grants that ended with something left, the longest ago first."""
        grants = self._tables.grants.c
        query = (
            select(self._tables.grants)
            .where(grants.expires_at <= now, grants.remaining > 0)
            .order_by(grants.expires_at, grants.id)
            .limit(limit)
        )
        return [_grant(row) for row in await session.rows(query)]

    async def granted_since(self, session: ReadSession, operator_id: str, since: datetime) -> int:
        """How many replies an operator has granted since then, over all tenants."""
        grants = self._tables.grants.c
        query = select(func.coalesce(func.sum(grants.amount), 0)).where(
            grants.granted_by_id == operator_id,
            grants.source == Source.OPERATOR_GRANT.value,
            grants.created_at >= since,
        )
        return int(await session.scalar(query))

    async def lock_granter(self, session: WriteSession, operator_id: str) -> None:
        """One grant of an operator at a time, so that the daily cap cannot be raced past."""
        if session.dialect == "postgresql":
            await session.scalar(
                select(func.pg_advisory_xact_lock(func.hashtextextended(f"credit grants {operator_id}", 0)))
            )

    async def add_reservation(self, session: WriteSession, reservation: Reservation, now: datetime) -> None:
        names = [field.name for field in fields(Reservation)]
        values = {name: getattr(reservation, name) for name in names}
        await session.execute(
            insert(self._tables.reservations).values(**values, version=1, created_at=now, updated_at=now)
        )

    async def reservation(
        self, session: ReadSession, organization_id: str, reservation_id: str
    ) -> Reservation | None:
        table = self._tables.reservations
        query = select(table).where(table.c.id == reservation_id, table.c.organization_id == organization_id)
        row = await session.first(query)
        return _reservation(row) if row is not None else None

    async def overdue(self, session: ReadSession, now: datetime, *, limit: int) -> Sequence[Reservation]:
        """Reservations that are held past their time, the oldest first."""
        table = self._tables.reservations
        query = (
            select(table)
            .where(table.c.state == ReservationState.HELD.value, table.c.expires_at <= now)
            .order_by(table.c.expires_at, table.c.id)
            .limit(limit)
        )
        return [_reservation(row) for row in await session.rows(query)]

    async def end_reservation(
        self, session: WriteSession, reservation_id: str, state: ReservationState, now: datetime
    ) -> None:
        table = self._tables.reservations
        await session.execute(
            update(table)
            .where(table.c.id == reservation_id)
            .values(state=state.value, version=table.c.version + 1, updated_at=now)
        )

    async def tenant_status(
        self, session: ReadSession, organization_id: str, *, hold: bool = False
    ) -> TenantStatus | None:
        """The state of a tenant; with `hold` it stays so until the transaction ends."""
        tenants = self._organizations.c
        query = select(tenants.status).where(tenants.id == organization_id)
        found = await session.scalar(query.with_for_update(read=True) if hold else query)
        return TenantStatus(found) if found is not None else None

    def _totals(self) -> tuple[ColumnElement[int], ...]:
        accounts = self._tables.accounts.c
        return (*(accounts[column] for column in _COUNTED.values()), accounts.replies_granted)

    def _burn_order(self) -> tuple[ColumnElement[Any], ...]:
        grants = self._tables.grants.c
        return (grants.priority, grants.expires_at.nulls_last(), grants.created_at, grants.id)


def _balance(row: RowMapping) -> Balance:
    return Balance(
        remaining=row["replies_remaining"],
        reserved=row["replies_reserved"],
        used=row["replies_used"],
        granted=row["replies_granted"],
        expired=row["replies_expired"],
        voided=row["replies_voided"],
    )


def _grant(row: RowMapping) -> Grant:
    typed = {
        "category": Category(row["category"]),
        "source": Source(row["source"]),
        "granted_by_type": ActorKind(row["granted_by_type"]),
    }
    return Grant(**{**{name: row[name] for name in _GRANT_FIELDS}, **typed})


def _reservation(row: RowMapping) -> Reservation:
    names = [field.name for field in fields(Reservation)]
    return Reservation(**{**{name: row[name] for name in names}, "state": ReservationState(row["state"])})
