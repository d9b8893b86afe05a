"""An outbox with a sender that records, for the tests of delivery, of jobs and of what is shown of them."""

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import text

from service_kit.db.columns import new_metadata
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from service_kit.jobs.delivering import Claims, Delivery, Outgoing
from service_kit.jobs.job import Job
from service_kit.jobs.leases import JobLeases
from service_kit.jobs.metrics import JobMetrics, Watch
from service_kit.jobs.outbox import Message, Outbox
from service_kit.jobs.overview import JobOverview
from service_kit.jobs.runner import JobRunner
from service_kit.jobs.sealing import Seal
from service_kit.jobs.tables import JobTables
from tests.fakes.clock import FrozenClock

METADATA = new_metadata()
TABLES = JobTables(METADATA)
SECRET = "https://acme.app.example.com/accept-invite/inv_1_SECRET"


class FixedChance(random.Random):
    """Always the longest wait, so that a test knows the moment."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@dataclass
class RecordingSender:
    """Keeps what it is given; `fails` holds what the next calls raise, None for success."""

    sent: list[Outgoing] = field(default_factory=list)
    fails: list[BaseException | None] = field(default_factory=list)
    before: Callable[[], Any] | None = None

    async def send(self, message: Outgoing) -> None:
        if self.before is not None:
            await self.before()
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        self.sent.append(message)

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.sent]


@dataclass
class PostOffice:
    database: Database
    clock: FrozenClock
    seal: Seal
    outbox: Outbox
    sender: RecordingSender
    registry: CollectorRegistry

    def delivery(self, owner: str = "one", *, sender: RecordingSender | None = None) -> Delivery:
        claims = Claims(TABLES.outbox, owner)
        senders = {"mail": sender or self.sender}
        return Delivery(self.database, claims, self.seal, senders, self.clock, chance=FixedChance())

    def runner(self, *jobs: Job, owner: str = "one") -> JobRunner:
        """A runner with an empty registry of its own."""
        metrics = JobMetrics(CollectorRegistry(), "test")
        watch = Watch(self.database, JobOverview(TABLES), ("mail",), metrics, self.clock)
        leases = JobLeases(TABLES, owner, IdFactory(self.clock))
        return JobRunner(
            self.database,
            leases,
            jobs,
            self.clock,
            metrics=metrics,
            watch=watch,
            look_seconds=0.01,
            apart=timedelta(0),
        )

    async def put(self, message: Message | None = None, **members: Any) -> str:
        async with self.database.write() as session:
            return await self.outbox.put(session, message or letter(**members))

    async def rows(self, table: str = "outbox") -> Sequence[Mapping[str, Any]]:
        async with self.database.read() as session:
            order = "name" if table == "jobs" else "id"
            return [dict(row) for row in await session.rows(text(f"SELECT * FROM {table} ORDER BY {order}"))]

    async def row(self, table: str = "outbox") -> Mapping[str, Any]:
        (row,) = await self.rows(table)
        return row


def letter(**members: Any) -> Message:
    return Message("mail", "invitation", {"to": "bob@example.com", "link": SECRET}, **members)


@asynccontextmanager
async def post_office(url: str) -> AsyncIterator[PostOffice]:
    database, clock, seal = Database.open(url), FrozenClock(), Seal(b"k" * 32)
    async with database.write_engine.connect() as connection, connection.begin():
        await connection.run_sync(METADATA.create_all)
    outbox = Outbox(TABLES.outbox, seal, IdFactory(clock), clock)
    try:
        yield PostOffice(database, clock, seal, outbox, RecordingSender(), CollectorRegistry())
    finally:
        await database.close()
