"""Deleting rows whose time is over, a bounded number at a time; it knows no table by itself."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Delete, Table, delete, select, tuple_

from service_kit.clock import Clock
from service_kit.db.session import Database


def delete_some(table: Table, limit: int, *conditions: ColumnElement[bool]) -> Delete:
    """Delete at most `limit` rows that meet every condition: no statement holds its locks for long."""
    key = tuple(table.primary_key.columns)
    return delete(table).where(tuple_(*key).in_(select(*key).where(*conditions).limit(limit)))


class Sweep:
    """Deletes rows of one table whose moment is past, by `keep` or more."""

    def __init__(
        self, database: Database, moment: Column[Any], clock: Clock, *, keep: timedelta = timedelta(0)
    ) -> None:
        self._database = database
        self._moment = moment
        self._clock = clock
        self._keep = keep

    async def run(self, limit: int) -> int:
        """Delete at most `limit` rows; how many went."""
        past = self._moment <= self._clock.now() - self._keep
        async with self._database.write() as session:
            return await session.execute(delete_some(self._moment.table, limit, past))
