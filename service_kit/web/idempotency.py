"""Idempotency-Key: one effect and one answer, however often a client sends the same request.

The key is written in the transaction of the change itself, so there is no moment at which one of the
two exists without the other. A refused request leaves no key: the client may mend it and try again.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Index, MetaData, Table, Text, and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

from service_kit.clock import Clock
from service_kit.db.columns import BigInt, JsonText, UtcDateTime, one_of
from service_kit.db.session import WriteSession
from service_kit.errors import BadRequestError, ConflictError, UnprocessableError

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
LIFETIME: Final = timedelta(hours=24)
_LONGEST_RUN: Final = timedelta(seconds=30)
_LOCK_NOT_AVAILABLE: Final = "55P03"
"""PostgreSQL: the first request held the key's row for longer than `lock_timeout`."""

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotencyState(StrEnum):
    IN_PROGRESS = "in_progress"
    DONE = "done"


def idempotency_table(metadata: MetaData) -> Table:
    return Table(
        "idempotency_keys",
        metadata,
        Column("scope", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("request_hash", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("status_code", BigInt, nullable=True),
        Column("response_json", JsonText, nullable=True),
        Column("locked_until", UtcDateTime, nullable=True),
        Column("expires_at", UtcDateTime, nullable=False),
        one_of("state", IdempotencyState),
        Index("ix_idempotency_keys_expiry", "expires_at"),
        sqlite_strict=True,
    )


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """Who asks for what: the scope is the caller and the route, the hash is of the body."""

    scope: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request was answered, without its secrets (data-model 2.5)."""

    status: int
    body: Mapping[str, Any]


def read_key(values: Sequence[str]) -> str | None:
    """The key of a request from its header lines; None when it has none.

    The quotes of the draft's string form are optional. Raises BadRequestError for two keys, or for
    text that is no key.
    """
    if not values:
        return None
    key = values[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(values) > 1 or not _KEY.fullmatch(key):
        raise BadRequestError("IDEMPOTENCY_KEY_INVALID", "Idempotency-Key must be one key of visible ASCII")
    return key


def hash_of(body: Mapping[str, Any]) -> str:
    """A digest of a body: the same members with the same values, whatever the order and spacing."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class IdempotencyStore:
    """Keys and answers of one service, inside the caller's transaction."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def begin(self, session: WriteSession, request: IdempotentRequest) -> StoredAnswer | None:
        """Claim the key; the stored answer when an earlier request has it.

        A request that runs at the same time is waited for: the key's row is its lock.
        Raises UnprocessableError when the key was used with another body, ConflictError when the first
        request takes too long.
        """
        row = self._row(request)
        expired = self._table.c.expires_at <= self._clock.now()
        await session.execute(delete(self._table).where(row, expired))
        if await self._claim(session, request):
            return None
        found = await session.first(select(self._table).where(row))
        if found is None or found["state"] != IdempotencyState.DONE:
            raise _in_progress()
        if found["request_hash"] != request.request_hash:
            raise UnprocessableError("IDEMPOTENCY_KEY_REUSED", "This key was used for another request")
        return StoredAnswer(found["status_code"], found["response_json"])

    async def finish(self, session: WriteSession, request: IdempotentRequest, answer: StoredAnswer) -> None:
        """Keep the answer. It must hold no secret."""
        await session.execute(
            update(self._table)
            .where(self._row(request))
            .values(
                state=IdempotencyState.DONE.value,
                status_code=answer.status,
                response_json=dict(answer.body),
                locked_until=None,
            )
        )

    def _row(self, request: IdempotentRequest) -> ColumnElement[bool]:
        return and_(self._table.c.scope == request.scope, self._table.c.key == request.key)

    async def _claim(self, session: WriteSession, request: IdempotentRequest) -> bool:
        now = self._clock.now()
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        values = make(self._table).values(
            scope=request.scope,
            key=request.key,
            request_hash=request.request_hash,
            state=IdempotencyState.IN_PROGRESS.value,
            locked_until=now + _LONGEST_RUN,
            expires_at=now + LIFETIME,
        )
        try:
            return await session.execute(values.on_conflict_do_nothing(index_elements=["scope", "key"])) == 1
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                raise _in_progress() from error
            raise


def _in_progress() -> ConflictError:
    return ConflictError(
        "IDEMPOTENCY_IN_PROGRESS", "The first request still runs", headers={"Retry-After": "1"}
    )
