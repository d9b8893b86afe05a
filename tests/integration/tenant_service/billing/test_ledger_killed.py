"""A process that dies in the middle: the ledger adds up, and nothing that was acknowledged is missing."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from tests.integration.tenant_service.billing.ledger_house import ledger_house

ROOT = Path(__file__).parents[4]
KILL_AFTER = 300
"""Acknowledged operations, of the ten thousand that the process is in the middle of."""


async def started(*command: str, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def acknowledged_before_the_kill(url: str, tenant: str) -> set[str]:
    """Every transaction that the process said was done; it is killed without warning."""
    script = "tests/integration/tenant_service/billing/killed_worker.py"
    process = await started(script, url, tenant)
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(KILL_AFTER)]
    process.send_signal(signal.SIGKILL)
    rest, errors = await process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    # The last line may have been cut off by the kill.
    whole = [*lines, *rest.splitlines(keepends=True)]
    return {line.decode().strip() for line in whole if line.endswith(b"\n")}


async def test_a_killed_process_leaves_a_whole_ledger(database_url: str) -> None:
    """G-13: SIGKILL in the middle of 10 000 operations: the proof is clean, none that was told is missing."""
    async with ledger_house(database_url) as house:
        tenant = await house.tenant()
        await house.grant(tenant, 400_000)
        await house.grant(tenant, 400_000, priority=10, expires_in_days=3650)

        acknowledged = await acknowledged_before_the_kill(database_url, tenant)

        recorded = {row["id"] for row in await house.rows("SELECT id FROM credit_txns")}
    assert len(acknowledged) >= KILL_AFTER
    assert acknowledged <= recorded

    settings = {"TENANT_DATABASE_URL": database_url, "INTERNAL_JWKS_FILE": "/nowhere/jwks.json"}
    verifying = await started("-m", "tenant_service", "ledger", "verify", "--json", **settings)
    out, errors = await verifying.communicate()
    assert verifying.returncode == 0, (out + errors).decode()
    proof = json.loads(out)
    assert proof["mismatches"] == []
    assert proof["postings"] >= 2 * KILL_AFTER
