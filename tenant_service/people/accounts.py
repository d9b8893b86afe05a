"""The SQL of users and their credentials for the tenants' own plane: by one address, or by one id.

Users belong to no single tenant, so this alone of the plane's SQL names none: it gives no list, no search
and no count. It decides nothing and commits nothing.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tenant_service.people.models import PeopleTables, User
from tenant_service.people.scope import TenantRead, TenantWrite


@dataclass(frozen=True, slots=True)
class Account:
    """A user with what proves them. It prints without its hash."""

    user: User
    password_hash: str | None = field(repr=False)
    changed_at: datetime | None = None


class AccountRepository:
    """Users and their credentials."""

    def __init__(self, tables: PeopleTables) -> None:
        self._users = tables.users
        self._credentials = tables.credentials

    async def by_email(self, at: TenantRead, email: str) -> Account | None:
        """The account of an address in its normal form."""
        users, credentials = self._users.c, self._credentials.c
        query = (
            select(self._users, credentials.password_hash, credentials.changed_at)
            .select_from(self._users.outerjoin(self._credentials, credentials.user_id == users.id))
            .where(users.email == email)
        )
        row = await at.session.first(query)
        return _account(row) if row is not None else None

    async def add(self, at: TenantWrite, user: User, password_hash: str) -> bool:
        """Insert a user with a password; False when the address has an account, which is left as it is."""
        make = postgres_insert if at.session.dialect == "postgresql" else sqlite_insert
        row = make(self._users).values(asdict(user))
        if await at.session.execute(row.on_conflict_do_nothing(index_elements=["email"])) != 1:
            return False
        await at.session.execute(
            insert(self._credentials).values(
                user_id=user.id, password_hash=password_hash, changed_at=user.created_at, failed_count=0
            )
        )
        return True

    async def failed(self, at: TenantWrite, user_id: str, locked_until: datetime | None) -> None:
        """Note a wrong password, and until when no further one is tried."""
        columns = self._credentials.c
        values: dict[str, Any] = {"failed_count": columns.failed_count + 1}
        if locked_until is not None:  # an earlier try that ends later must not open it again
            values["locked_until"] = locked_until
        await at.session.execute(update(self._credentials).where(columns.user_id == user_id).values(values))

    async def succeeded(self, at: TenantWrite, account: Account, *, rehashed: str | None = None) -> bool:
        """Note a right password, maybe hashed anew; False when it was changed since it was proven."""
        columns = self._credentials.c
        same = (columns.user_id == account.user.id, columns.password_hash == account.password_hash)
        values = {"failed_count": 0, "locked_until": None, "password_hash": rehashed or account.password_hash}
        return await at.session.execute(update(self._credentials).where(*same).values(values)) == 1

    async def change(self, at: TenantWrite, account: Account, password_hash: str, now: datetime) -> bool:
        """Set a new password in the place of the one that was proven; False when it was changed meanwhile."""
        columns = self._credentials.c
        same = (columns.user_id == account.user.id, columns.password_hash == account.password_hash)
        values = {
            "password_hash": password_hash,
            "changed_at": now,
            "failed_count": 0,
            "locked_until": None,
        }
        return await at.session.execute(update(self._credentials).where(*same).values(values)) == 1


def _account(row: RowMapping) -> Account:
    values = {name: row[name] for name in User.__dataclass_fields__}
    return Account(User(**values), row["password_hash"], row["changed_at"])
