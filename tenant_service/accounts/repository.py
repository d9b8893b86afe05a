"""The SQL of connected accounts; it decides nothing and commits nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import RowMapping, Table, delete, func, select

from service_kit.db.keyset import Position
from service_kit.db.session import ReadSession, WriteSession
from tenant_service.accounts.models import Account, AccountStatus, Provider
from tenant_service.newest_first import newest_first

_FIELDS: Final = tuple(field.name for field in fields(Account))


class AccountRepository:
    """Connected accounts of one tenant at a time."""

    def __init__(self, accounts: Table) -> None:
        self._accounts = accounts

    async def page(
        self, session: ReadSession, organization_id: str, *, position: Position | None, limit: int
    ) -> Sequence[Account]:
        """Accounts, newest first, beyond the position."""
        columns = self._accounts.c
        query = select(self._accounts).where(columns.organization_id == organization_id)
        order = (columns.connected_at, columns.id)
        rows = await newest_first(session, query, order, position=position, limit=limit)
        return [_account(row) for row in rows]

    async def by_id(self, session: ReadSession, organization_id: str, account_id: str) -> Account | None:
        columns = self._accounts.c
        own = (columns.id == account_id, columns.organization_id == organization_id)
        row = await session.first(select(self._accounts).where(*own))
        return _account(row) if row is not None else None

    async def count(self, session: ReadSession, organization_id: str) -> int:
        query = select(func.count()).select_from(self._accounts)
        return int(await session.scalar(query.where(self._accounts.c.organization_id == organization_id)))

    async def remove(self, session: WriteSession, account: Account) -> None:
        columns = self._accounts.c
        own = (columns.id == account.id, columns.organization_id == account.organization_id)
        await session.execute(delete(self._accounts).where(*own))


def _account(row: RowMapping) -> Account:
    values: Mapping[str, Any] = {name: row[name] for name in _FIELDS}
    typed = {"provider": Provider(row["provider"]), "status": AccountStatus(row["status"])}
    return Account(**{**values, **typed})
