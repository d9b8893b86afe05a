"""Delivering what the outbox holds: at least once, under a lease, later again, and at last not at all.

A message is claimed in one transaction, sent in none, and marked in another one. A process that dies
between the sending and the marking leaves a message that was sent and will be sent again when its lease
ran out. Nothing can close that gap; so every message goes out under one stable name, by which a receiver
knows the second copy (ADR 0023).
"""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Table, and_, or_, select, update

from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.jobs.sealing import Seal, SealBrokenError
from service_kit.jobs.tables import MessageState
from service_kit.telemetry.logging import get_logger

LEASE: Final = timedelta(seconds=120)
SEND_SECONDS: Final = 45.0
"""Well within the lease: while somebody sends, nobody else claims."""
DRAIN_SECONDS: Final = 200.0
"""After so long no further message is begun: a run that is cut off would leave one half sent."""
MOST_ATTEMPTS: Final = 15
_FIRST_WAIT: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(hours=1)

_log = get_logger(__name__)


class MayWorkLaterError(Exception):
    """Sending failed, and may succeed later. `code` is kept and shown: SCREAMING_SNAKE, never free text."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NeverWorksError(Exception):
    """Sending failed, and will fail again: the message is dead at once. `code` as above."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way. `id` is the same at every attempt."""

    id: str
    kind: str
    payload: Mapping[str, Any] = field(repr=False)
    created_at: datetime


class Sender(Protocol):
    """How the messages of one queue leave. Raises MayWorkLaterError or NeverWorksError."""

    async def send(self, message: Outgoing) -> None: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this process alone may send, until the lease ends."""

    id: str
    queue: str
    kind: str
    sealed_payload: str | None = field(repr=False)
    attempts: int
    created_at: datetime
    lease_until: datetime
    useless_after: datetime | None


class Claims:
    """The SQL of claiming and marking; it decides nothing about when to give up."""

    def __init__(self, table: Table, owner: str) -> None:
        self._table = table
        self._owner = owner

    async def next(self, session: WriteSession, queue: str, now: datetime) -> Claim | None:
        """Claim the message that waits longest. Two processes never claim the same one.

        SQLite: the transaction holds the only write lock. PostgreSQL: rows that somebody else is about
        to claim are skipped, not waited for.
        """
        columns = self._table.c
        due = (
            select(self._table)
            .where(columns.queue == queue, _is_due(self._table, now))
            .order_by(columns.next_attempt_at, columns.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = await session.first(due)
        if row is None:
            return None
        until, attempts = now + LEASE, row["attempts"] + 1
        await session.execute(
            update(self._table)
            .where(columns.id == row["id"])
            .values(
                state=MessageState.IN_FLIGHT.value,
                attempts=attempts,
                lease_owner=self._owner,
                lease_until=until,
                updated_at=now,
            )
        )
        names = ("id", "queue", "kind", "sealed_payload", "created_at", "useless_after")
        return Claim(**{name: row[name] for name in names}, attempts=attempts, lease_until=until)

    async def mark(self, session: WriteSession, claim: Claim, values: Mapping[str, Any]) -> bool:
        """Write how it went; False when the lease was lost, and somebody else decides by now."""
        columns = self._table.c
        ours = and_(
            columns.id == claim.id,
            columns.lease_owner == self._owner,
            columns.lease_until == claim.lease_until,
        )
        released = {"lease_owner": None, "lease_until": None, **values}
        return await session.execute(update(self._table).where(ours).values(released)) == 1


def _is_due(table: Table, now: datetime) -> ColumnElement[bool]:
    waiting = table.c.state.in_((MessageState.READY.value, MessageState.RETRYING.value))
    lost = and_(table.c.state == MessageState.IN_FLIGHT.value, table.c.lease_until <= now)
    return or_(and_(waiting, table.c.next_attempt_at <= now), lost)


class Delivery:
    """Sends what is due. A queue without a sender is left alone: its messages wait, for all to see."""

    def __init__(
        self,
        database: Database,
        claims: Claims,
        seal: Seal,
        senders: Mapping[str, Sender],
        clock: Clock,
        *,
        chance: random.Random | None = None,
    ) -> None:
        self._database = database
        self._claims = claims
        self._seal = seal
        self._senders = senders
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - spreads load; nothing rests on it

    async def run(self, limit: int) -> int:
        """Try at most `limit` messages of each queue, one after the other; how many were tried."""
        return sum([await self._drain(queue, sender, limit) for queue, sender in self._senders.items()])

    async def _drain(self, queue: str, sender: Sender, limit: int) -> int:
        began = self._clock.monotonic()
        for tried in range(limit):
            if self._clock.monotonic() - began > DRAIN_SECONDS:
                return tried
            async with self._database.write() as session:
                claim = await self._claims.next(session, queue, self._clock.now())
            if claim is None:
                return tried
            await self._mark(claim, await self._attempt(sender, claim))
        return limit

    async def _attempt(self, sender: Sender, claim: Claim) -> Mapping[str, Any]:
        """Send one message; the new values of its row."""
        if claim.useless_after is not None and claim.useless_after <= self._clock.now():
            return self._dead("EXPIRED", erased=True)
        if claim.sealed_payload is None:
            return self._dead("BODY_ERASED")
        if claim.attempts > MOST_ATTEMPTS:  # it dies with every process that touches it
            return self._dead("TOO_MANY_ATTEMPTS")
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await sender.send(self._opened(claim, claim.sealed_payload))
        except NeverWorksError as error:
            return self._dead(error.code)
        except MayWorkLaterError as error:
            return self._later(claim, error.code)
        except SealBrokenError:
            return self._later(claim, "SEALED_WITH_ANOTHER_KEY")
        except TimeoutError:
            return self._later(claim, "TIMED_OUT")
        except Exception:  # noqa: BLE001 - one message must not stop the others
            _log.exception("outbox_send_failed", message_id=claim.id, queue=claim.queue)
            return self._later(claim, "SENDER_FAILED")
        return self._done()

    def _opened(self, claim: Claim, sealed: str) -> Outgoing:
        payload = json.loads(self._seal.open(claim.id, sealed))
        return Outgoing(claim.id, claim.kind, payload, claim.created_at)

    async def _mark(self, claim: Claim, values: Mapping[str, Any]) -> None:
        async with self._database.write() as session:
            ours = await self._claims.mark(session, claim, values)
        told = {"message_id": claim.id, "queue": claim.queue, "attempts": claim.attempts}
        if not ours:
            _log.warning("outbox_lease_lost", **told)
        elif values["state"] == MessageState.DEAD.value:
            _log.error("outbox_message_dead", error_code=values["last_error"], **told)
        elif values["state"] == MessageState.RETRYING.value:
            _log.warning("outbox_message_retrying", error_code=values["last_error"], **told)

    def _done(self) -> Mapping[str, Any]:
        now = self._clock.now()
        return {
            "state": MessageState.DONE.value,
            "sealed_payload": None,
            "last_error": None,
            "updated_at": now,
            "finished_at": now,
        }

    def _dead(self, code: str, *, erased: bool = False) -> Mapping[str, Any]:
        now = self._clock.now()
        values = {
            "state": MessageState.DEAD.value,
            "last_error": code,
            "updated_at": now,
            "finished_at": now,
        }
        return {**values, "sealed_payload": None} if erased else values

    def _later(self, claim: Claim, code: str) -> Mapping[str, Any]:
        if claim.attempts >= MOST_ATTEMPTS:
            return self._dead(code)
        now = self._clock.now()
        return {
            "state": MessageState.RETRYING.value,
            "last_error": code,
            "updated_at": now,
            "next_attempt_at": now + self._wait(claim.attempts),
        }

    def _wait(self, attempts: int) -> timedelta:
        """Twice as long each time, up to an hour, and never quite the same for two messages."""
        longest = min(_FIRST_WAIT * float(2 ** (attempts - 1)), _LONGEST_WAIT)
        share: float = self._chance.uniform(0.5, 1.0)
        return longest * share
