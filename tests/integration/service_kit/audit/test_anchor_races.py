"""Replicas that sign the heads of one database: whoever stalls, and whatever their clocks say, none of their
notes reads as if somebody had cut a chain.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from service_kit.audit.alarm import Alarm, AuditMetrics
from service_kit.audit.anchors import TIME_BETWEEN, After, AnchorTable, Checkpoints, Witnesses
from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.recorder import AuditRecorder
from service_kit.db.session import Database, ReadSession, WriteSession
from service_kit.identity.keys import SigningKey
from service_kit.ids import IdFactory
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.tampering import attack
from tests.integration.service_kit.audit.writing import PACK_MADE, SIGNED_IN, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT, opened

SERVICE = "admin_service"
ROWS = [entry(PACK_MADE, org=None)] * 5
TENANT_ROW = entry(SIGNED_IN, org="org_1")
HOUR = 3600
FORGED = "9999-12-31T23:59:59.999999Z"
PATIENCE = 30

Stall = Callable[[], Awaitable[None]]


class Stalling(Database):
    """The same database, whose user stands still once, right before a transaction of a certain number."""

    def __init__(self, database: Database, number: int, stall: Stall) -> None:
        super().__init__(database._write, database._read, use=database.use)
        self._until = number
        self._stall = stall

    @property
    def has_stalled(self) -> bool:
        return self._until <= 0

    async def _step(self) -> None:
        self._until -= 1
        if self._until == 0:
            await self._stall()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        await self._step()
        async with super().read() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        await self._step()
        async with super().write() as session:
            yield session


class StallingTable(AnchorTable):
    """Stands still when it knows the newest checkpoint, within the transaction that adds the next one."""

    def __init__(self, stall: Stall) -> None:
        super().__init__(AUDIT.checkpoints)
        self._stall = stall
        self.has_stalled = False

    async def newest(self, session: ReadSession, chain: str) -> Mapping[Any, Any] | None:
        found = await super().newest(session, chain)
        if isinstance(session, WriteSession) and not self.has_stalled:
            self.has_stalled = True
            await self._stall()
        return found


@pytest.fixture
def keys(tmp_path: Path) -> tuple[SigningKey, ...]:
    return AuditKeeping(SERVICE, "tenant_service", tmp_path / "key.pem").signing_keys()


@pytest.fixture
def ahead() -> FrozenClock:
    """The clock of a replica whose machine is a second ahead."""
    clock = FrozenClock()
    clock.advance(1)
    return clock


def replica(database: Database, keys: tuple[SigningKey, ...], clock: FrozenClock) -> Checkpoints:
    recorder = AuditRecorder(AUDIT, IdFactory(clock), clock)
    alarm = Alarm(database, AUDIT, recorder, AuditMetrics(CollectorRegistry(), SERVICE))
    return Checkpoints(database, AUDIT, SERVICE, keys, clock, alarm=alarm)


async def witnessed(signer: Checkpoints, database: Database, folder: Path) -> Sequence[int]:
    """The lengths that the other service reads, in its order; it finds nothing to be alarmed about."""
    clock = FrozenClock()
    async with opened(f"sqlite:///{folder}/other.db") as other:
        recorder = AuditRecorder(AUDIT, IdFactory(clock), clock)
        witnesses = Witnesses(other, AUDIT, SERVICE, signer.public_keys, clock, recorder=recorder)
        async with database.read() as session:
            page = await signer.table.page(session, None)
        found = [witnesses.prove(row["note"]) for row in page]
        assert await witnesses.keep(found) == len(found)
        told = [row["event"] for row in (await chains(other))["global"]]
        assert told == ["audit.checkpoint.witnessed"]
    return [one.checkpoint.seq for one in found]


async def asked_for_next(signer: Checkpoints, database: Database) -> Sequence[str]:
    """The chains of what the other service is shown when it has the newest checkpoint, and asks once more."""
    async with database.read() as session:
        newest = await signer.table.newest_at(session)
        assert newest is not None
        page = await signer.table.page(session, After(newest - timedelta(minutes=10)))
    return [row["chain"] for row in page]


@pytest.mark.parametrize(("number", "lengths"), [(1, [10]), (2, [10]), (3, [10]), (4, [5, 10])])
async def test_a_replica_that_stalls_between_its_transactions(
    database: Database,
    keys: tuple[SigningKey, ...],
    tmp_path: Path,
    ahead: FrozenClock,
    *,
    number: int,
    lengths: list[int],
) -> None:
    """R-030: it has read a head, another replica signs a later one: it does not sign the old one any more."""
    clock = FrozenClock()
    quick = replica(database, keys, clock)

    async def overtaken() -> None:
        await record(database, clock, *ROWS)
        assert await quick.sign_due(at_once=True) == 1

    stalling = Stalling(database, number, overtaken)
    await record(database, clock, *ROWS)

    await replica(stalling, keys, ahead).sign_due(at_once=True)

    if not stalling.has_stalled:  # after its last transaction, then
        await overtaken()
    assert await witnessed(quick, database, tmp_path) == lengths


@pytest.mark.postgres
async def test_a_replica_that_stalls_within_its_transaction(
    postgres_url: str, keys: tuple[SigningKey, ...], tmp_path: Path, ahead: FrozenClock
) -> None:
    """R-030: the other replica waits for it, and signs a later head with a later time.

    SQLite lets one transaction write at a time, and serves one process.
    """
    clock = FrozenClock()
    async with opened(postgres_url) as database:
        slow, quick = replica(database, keys, ahead), replica(database, keys, clock)
        signing: list[asyncio.Task[int]] = []

        async def overtaken() -> None:
            signing.append(asyncio.create_task(quick.sign_due(at_once=True)))
            await _done_or_waiting(signing[0], database)

        async def grown() -> None:
            await record(database, clock, *ROWS)

        await record(database, clock, *ROWS)
        slow.table = StallingTable(overtaken)
        # Rows are added once it has read the head: while it holds the head nobody can add one.
        slow._database = Stalling(database, 3, grown)

        assert await slow.sign_due(at_once=True) == 1
        assert await asyncio.wait_for(signing[0], PATIENCE) == 1
        assert await witnessed(quick, database, tmp_path) == [5, 10]


async def _done_or_waiting(signing: asyncio.Task[int], database: Database) -> None:
    async with asyncio.timeout(PATIENCE):
        while not signing.done() and not await _somebody_waits(database):
            await asyncio.sleep(0.01)


async def _somebody_waits(database: Database) -> bool:
    async with database.read() as session:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return bool(await session.scalar(text(f"{waiting} AND datname = current_database()")))


async def test_a_replica_whose_clock_is_behind_signs_a_later_time(
    database: Database, keys: tuple[SigningKey, ...], tmp_path: Path, ahead: FrozenClock
) -> None:
    """R-030: a longer chain is signed later, whatever a machine's clock says, and be it a year behind."""
    clock = FrozenClock()
    ahead.advance(365 * 24 * 3600)
    first, behind = replica(database, keys, ahead), replica(database, keys, clock)
    await record(database, clock, *ROWS)
    assert await first.sign_due() == 1
    for _ in range(2):
        await record(database, clock, *ROWS)
        assert await behind.sign_due() == 1  # due by time, although the last one was signed in a year

    assert await witnessed(behind, database, tmp_path) == [5, 10, 15]


async def test_a_replica_whose_clock_is_behind_signs_another_chain_no_earlier(
    database: Database, keys: tuple[SigningKey, ...], ahead: FrozenClock
) -> None:
    """R-030: the other service asks for all chains by one time, and a tenant may be idle from then on."""
    clock = FrozenClock()
    ahead.advance(HOUR)
    first, behind = replica(database, keys, ahead), replica(database, keys, clock)
    await record(database, clock, *ROWS)
    assert await first.sign_due() == 1
    await record(database, clock, TENANT_ROW)

    assert await behind.sign_due() == 1

    assert await asked_for_next(behind, database) == ["global", "org_1"]


@pytest.mark.parametrize("strange", [False, True])
async def test_a_forged_time_hides_no_proven_one(
    database: Database, keys: tuple[SigningKey, ...], ahead: FrozenClock, *, strange: bool
) -> None:
    """A row that was put there by hand, with the latest time of all, is passed over, and read by nobody."""
    clock = FrozenClock()
    ahead.advance(HOUR)
    first, behind = replica(database, keys, ahead), replica(database, keys, clock)
    await record(database, clock, *ROWS)
    assert await first.sign_due() == 1
    at, note = FORGED, "'x'"
    if strange and database.dialect == "sqlite":  # where a time is a text, and a text may be any bytes
        at, note = "no time", "CAST(x'ff' AS TEXT)"
    await attack(
        database,
        "INSERT INTO audit_checkpoints (chain, seq, hash, at, key_id, note) "
        f"VALUES ('org_9', 5, 'x', '{at}', 'k', {note})",
    )
    await record(database, clock, TENANT_ROW)

    assert await behind.sign_due() == 1

    async with database.read() as session:
        signed = await behind.table.newest(session, "org_1")
    assert signed is not None
    assert signed["at"] == ahead.now()


@pytest.mark.postgres
async def test_replicas_that_sign_different_chains_at_once(
    postgres_url: str, keys: tuple[SigningKey, ...], ahead: FrozenClock
) -> None:
    """R-030: neither signs while the other has not committed, or it would not know the latest time."""
    clock = FrozenClock()
    ahead.advance(HOUR)
    async with opened(postgres_url) as database:
        slow, quick = replica(database, keys, ahead), replica(database, keys, clock)
        signing: list[asyncio.Task[int]] = []

        async def overtaken() -> None:
            await record(database, clock, *ROWS)
            signing.append(asyncio.create_task(quick.sign_due(at_once=True)))
            await _done_or_waiting(signing[0], database)

        await record(database, clock, TENANT_ROW)
        slow.table = StallingTable(overtaken)

        assert await slow.sign_due(at_once=True) == 1
        assert await asyncio.wait_for(signing[0], PATIENCE) == 1
        assert sorted(await asked_for_next(quick, database)) == ["global", "org_1"]


async def test_a_forged_time_leads_no_clock_astray(
    database: Database, keys: tuple[SigningKey, ...], tmp_path: Path
) -> None:
    """A checkpoint that was put there by hand, without a signature, does not move the time of the next one.

    A note of a far future would keep the other service from asking for any other.
    """
    clock = FrozenClock()
    signer = replica(database, keys, clock)
    await record(database, clock, *ROWS)
    last = (await chains(database))["global"][-1]["hash"]
    await attack(
        database,
        "INSERT INTO audit_checkpoints (chain, seq, hash, at, key_id, note) "
        f"VALUES ('global', 5, '{last}', '{FORGED}', 'k', 'x')",
    )
    await record(database, clock, *ROWS)
    clock.advance(TIME_BETWEEN.total_seconds())

    assert await signer.sign_due(at_once=True) == 1

    async with database.read() as session:
        newest = await signer.table.newest(session, "global")
    assert newest is not None
    assert (newest["seq"], newest["at"]) == (10, clock.now())
