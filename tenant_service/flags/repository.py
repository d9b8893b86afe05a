"""The SQL of feature flags; it decides nothing and commits nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Final

from sqlalchemy import RowMapping, Table, insert, select, update

from service_kit.db.session import ReadSession, WriteSession
from tenant_service.flags.models import Flag

_FIELDS: Final = tuple(field.name for field in fields(Flag))


class FlagRepository:
    """The flags that were set for a tenant."""

    def __init__(self, flags: Table) -> None:
        self._flags = flags

    async def of(self, session: ReadSession, organization_id: str, keys: Sequence[str]) -> Mapping[str, Flag]:
        """Those of the keys that somebody has set for this tenant."""
        columns = self._flags.c
        query = select(self._flags).where(
            columns.organization_id == organization_id, columns.key.in_(list(keys))
        )
        return {row["key"]: _flag(row) for row in await session.rows(query)}

    async def add(self, session: WriteSession, flag: Flag) -> None:
        await session.execute(insert(self._flags).values(asdict(flag)))

    async def save(self, session: WriteSession, flag: Flag) -> None:
        """Write the row as it is now; the caller holds the tenant."""
        columns = self._flags.c
        own = (columns.organization_id == flag.organization_id, columns.key == flag.key)
        await session.execute(update(self._flags).where(*own).values(asdict(flag)))


def _flag(row: RowMapping) -> Flag:
    return Flag(**{name: row[name] for name in _FIELDS})
