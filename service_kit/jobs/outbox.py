"""Putting messages into the outbox, in the transaction of the change that they tell of (R-105).

It sends nothing. A message exists exactly when its change was committed; what becomes of it afterwards
never undoes the change.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service_kit.clock import Clock
from service_kit.db.session import WriteSession
from service_kit.ids import IdFactory
from service_kit.jobs.sealing import Seal
from service_kit.jobs.tables import MessageState

MAIL: Final = "mail"
"""The queue of electronic mail."""

_WAITING: Final = (MessageState.READY.value, MessageState.RETRYING.value, MessageState.DEAD.value)


@dataclass(frozen=True, slots=True)
class Message:
    """What shall go out. The payload is JSON, is stored encrypted, and is erased once it was sent.

    `kind` names the message for operators (`invitation`); `dedupe_key` makes a second one of the same
    queue and key no message at all; after `useless_after` it is not sent any more.
    """

    queue: str
    kind: str
    payload: Mapping[str, Any] = field(repr=False)
    organization_id: str | None = None
    dedupe_key: str | None = None
    useless_after: datetime | None = None


class Outbox:
    """The only way to put a message."""

    def __init__(self, table: Table, seal: Seal, ids: IdFactory, clock: Clock) -> None:
        self._table = table
        self._seal = seal
        self._ids = ids
        self._clock = clock

    async def put(self, session: WriteSession, message: Message) -> str:
        """Keep a message for delivery after the caller's commit; its id, or that of its elder twin."""
        message_id, now = self._ids.new("out"), self._clock.now()
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        body = json.dumps(dict(message.payload), ensure_ascii=False).encode()
        row = make(self._table).values(
            id=message_id,
            queue=message.queue,
            kind=message.kind,
            organization_id=message.organization_id,
            dedupe_key=message.dedupe_key,
            sealed_payload=self._seal.close(message_id, body),
            state=MessageState.READY.value,
            attempts=0,
            next_attempt_at=now,
            useless_after=message.useless_after,
            created_at=now,
            updated_at=now,
        )
        if await session.execute(row.on_conflict_do_nothing()) == 1:
            return message_id
        twin = select(self._table.c.id).where(
            self._table.c.queue == message.queue, self._table.c.dedupe_key == message.dedupe_key
        )
        return str(await session.scalar(twin))

    async def withdraw(self, session: WriteSession, *, queue: str, dedupe_key: str) -> bool:
        """Take back a message that has not gone out; False when there is none, or it is on its way."""
        columns = self._table.c
        waiting = delete(self._table).where(
            columns.queue == queue, columns.dedupe_key == dedupe_key, columns.state.in_(_WAITING)
        )
        return await session.execute(waiting) > 0
