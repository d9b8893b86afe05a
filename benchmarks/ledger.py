"""How fast the ledger is: its throughput beside a bare guarded UPDATE of the same row on the same database.

    python -m benchmarks.ledger sqlite:////tmp/x.db postgresql://…

It prints a table for docs/credits.md and writes nothing else. Each row is the median of five interleaved
rounds, so that a machine that is busy slows both sides alike; the ratio is what can be compared.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import update

from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import SystemClock
from service_kit.db.migrations import migrate
from service_kit.db.session import Database
from service_kit.identity.model import InternalIdentity, Role
from service_kit.ids import IdFactory
from service_kit.web.paging import CursorCodec
from tenant_service.asking import Asker
from tenant_service.billing.credits.runtime_schemas import Hold, Remark, Use
from tenant_service.billing.credits.schemas import NewGrant
from tenant_service.billing.credits.service import Caps
from tenant_service.billing_wiring import BillingParts
from tenant_service.recording import CountedRecorder
from tenant_service.tables import schema
from tenant_service.tenants.models import Currency, Organization, TenantStatus

ROUNDS = 5
SECONDS = 0.6
WORKERS = 8
REASON = "a benchmark's reason"
MIGRATIONS = Path(__file__).parents[1] / "tenant_service" / "migrations"
Operation = Callable[[str, int], Awaitable[object]]


class Bench:
    """One database with two tenants that have more credit than a run can use."""

    def __init__(self, database: Database) -> None:
        self.clock, self.tables, self.database = SystemClock(), schema(), database
        ids = IdFactory(self.clock)
        recorder = CountedRecorder(
            AuditRecorder(self.tables.audit, ids, self.clock), CollectorRegistry(), "bench"
        )
        caps = Caps(10**9, 10**9, 10**12)
        codec = CursorCodec(b"k" * 32)
        self.parts = BillingParts(database, self.tables, recorder, ids, self.clock, codec, caps)
        self.asker = Asker(
            InternalIdentity(
                "s", "op@example.com", "Op", "a", "t", 0, operator_id="adm_1", role=Role.SUPER_ADMIN
            )
        )
        self.numbers: Iterator[int] = count()

    async def tenant(self, slug: str) -> str:
        now = self.clock.now()
        tenant = Organization(
            self.parts.ids.new("org"), slug, slug, f"{slug}@example.com", "free", Currency.INR,
            TenantStatus.ACTIVE, "adm_1", now, now,
        )  # fmt: skip
        async with self.database.write() as session:
            await self.parts.tenants.add(session, tenant)
        for _ in range(3):
            await self.grant(tenant.id, next(self.numbers))
        return tenant.id

    async def grant(self, tenant: str, number: int) -> object:
        wish = NewGrant(replies=10**8, reason=REASON)
        return await self.parts.grants.grant(self.asker, tenant, wish, key=f"g{number}")

    async def bare(self, tenant: str, _number: int) -> object:
        """The least that any ledger must do: one guarded UPDATE, durably committed."""
        accounts = self.tables.billing.accounts
        statement = (
            update(accounts)
            .where(accounts.c.organization_id == tenant, accounts.c.replies_remaining >= 1)
            .values(
                replies_remaining=accounts.c.replies_remaining - 1, replies_used=accounts.c.replies_used + 1
            )
        )
        async with self.database.write() as session:
            return await session.execute(statement)

    async def consume(self, tenant: str, number: int) -> object:
        return await self.parts.runtime.consume("bench", tenant, Use(amount=1), key=f"c{number}")

    async def replay(self, tenant: str, _number: int) -> object:
        return await self.parts.runtime.consume("bench", tenant, Use(amount=1), key="the same")

    async def reserve_and_commit(self, tenant: str, number: int) -> object:
        held = await self.parts.runtime.reserve("bench", tenant, Hold(amount=1), key=f"h{number}")
        reservation = held.answer.reservation_id
        return await self.parts.runtime.commit_reservation("bench", tenant, reservation, Remark(), key=None)

    async def rate(self, operation: Operation, tenant: str) -> float:
        """Operations per second with eight at a time on one account."""
        done, began = 0, time.perf_counter()
        ends = began + SECONDS

        async def work() -> None:
            nonlocal done
            while time.perf_counter() < ends:
                await operation(tenant, next(self.numbers))
                done += 1

        await asyncio.gather(*(work() for _ in range(WORKERS)))
        return done / (time.perf_counter() - began)


async def measure(url: str) -> None:
    database = Database.open(url)
    await migrate(database, MIGRATIONS)
    bench = Bench(database)
    plain, booked = await bench.tenant("plain"), await bench.tenant("booked")
    rows: dict[str, Operation] = {
        "bare guarded UPDATE": bench.bare,
        "consume": bench.consume,
        "consume, key repeated": bench.replay,
        "reserve, then commit": bench.reserve_and_commit,
        "grant, with two audit rows": bench.grant,
    }
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, operation in rows.items():
            rates[name].append(await bench.rate(operation, plain if operation == bench.bare else booked))
    bare = statistics.median(rates["bare guarded UPDATE"])
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"| {database.dialect} | {name} | {rate:,.0f} | {rate / bare:.2f} |")
    await database.close()


if __name__ == "__main__":
    print("| database | operation | per second | of the bare UPDATE |\n| --- | --- | --- | --- |")
    for each in sys.argv[1:]:
        asyncio.run(measure(each))
