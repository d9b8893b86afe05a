"""One page of rows that are ordered by time and id, newest first, as SQL; it knows no cursor."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, RowMapping, Select, Text, bindparam, tuple_

from service_kit.db.columns import UtcDateTime
from service_kit.db.keyset import Position
from service_kit.db.session import ReadSession


async def newest_first(
    session: ReadSession,
    query: Select[Any],
    order: tuple[Column[Any], Column[Any]],
    *,
    position: Position | None,
    limit: int,
) -> Sequence[RowMapping]:
    """At most `limit` rows beyond the position; `order` is the time and the id of a row."""
    backward = position is not None and position.backward
    if position is not None:
        at = bindparam(None, position.at, type_=UtcDateTime())
        key, edge = tuple_(*order), tuple_(at, bindparam(None, position.id, type_=Text()))
        query = query.where(key > edge if backward else key < edge)
    ordered = query.order_by(*(order if backward else [column.desc() for column in order]))
    rows = await session.rows(ordered.limit(limit))
    return rows[::-1] if backward else rows
