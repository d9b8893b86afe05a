"""A process that moves credit ten thousand times and says each time that it did, until it is killed.

It is started by a test: `killed_worker.py URL TENANT`. A line is written only after the commit was
acknowledged, so whatever stands on its output must be in the ledger.
"""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from service_kit.clock import SystemClock
from service_kit.db.session import Database
from tenant_service.billing.credits.runtime import RuntimeCredits
from tenant_service.billing.credits.runtime_schemas import Hold, Remark, Use
from tenant_service.billing.credits.service import Caps
from tests.fixtures.patience import wait_for_databases
from tests.integration.tenant_service.billing.ledger_house import house_parts

OPERATIONS = 10_000
WORKERS = 8


def say(txn_id: str) -> None:
    sys.stdout.write(f"{txn_id}\n")
    sys.stdout.flush()


async def work(runtime: RuntimeCredits, tenant: str, numbers: Iterator[int]) -> None:
    for number in numbers:
        if number % 3:
            used = await runtime.consume("r", tenant, Use(amount=1 + number % 5), key=f"u{number}")
            say(used.answer.txn_id)
            continue
        held = await runtime.reserve("r", tenant, Hold(amount=2), key=f"h{number}")
        say(held.answer.txn_id)
        settle = runtime.commit_reservation if number % 2 else runtime.release
        settled = await settle("r", tenant, held.answer.reservation_id, Remark(), key=None)
        say(settled.answer.txn_id)


async def main(url: str, tenant: str) -> None:
    database = Database.open(url)
    numbers = iter(range(OPERATIONS))
    runtime = house_parts(database, SystemClock(), Caps(10**6, 10**6, 10**9)).runtime
    await asyncio.gather(*(work(runtime, tenant, numbers) for _ in range(WORKERS)))
    await database.close()


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        wait_for_databases(patch)  # eight workers wait for one row, and only the kill is to end them
        asyncio.run(main(*sys.argv[1:]))
