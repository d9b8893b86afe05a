"""Witness rows, alarms and the patrol: what a service writes about its own log, and how seldom."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from service_kit.audit import patrol as patrols
from service_kit.audit.alarm import Alarm, AuditMetrics
from service_kit.audit.anchors import TIME_BETWEEN, Witnesses
from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.notes import Checkpoint, origin_of, sign
from service_kit.audit.patrol import Patrol
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.verifying import Break, ChainVerifier, Differs
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.tampering import attack, filled, unlock
from tests.integration.service_kit.audit.test_anchors import Pair, pair
from tests.integration.service_kit.audit.writing import PACK_MADE, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT

__all__ = ["pair"]


async def rows_of(database: Database, event: str) -> list[Any]:
    return [row for row in (await chains(database)).get("global", []) if row["event"] == event]


def value(metric: Collector) -> float:
    return next(iter(metric.collect())).samples[0].value


def recorder(clock: FrozenClock) -> AuditRecorder:
    return AuditRecorder(AUDIT, IdFactory(clock), clock)


@pytest.fixture
def metrics() -> AuditMetrics:
    return AuditMetrics(CollectorRegistry(), "test")


async def test_a_grown_chain_is_witnessed_by_one_row_and_an_idle_one_by_none(
    pair: Pair, clock: FrozenClock
) -> None:
    """R-030: one row for all chains of a beat; two idle services do not witness each other's witnessing."""
    await filled(pair.admin.database, clock, pairs=2)
    await pair.both_beat()
    for _ in range(6):
        clock.advance(TIME_BETWEEN.total_seconds() * 2)
        await pair.both_beat()

    [told] = await rows_of(pair.tenant.database, "audit.checkpoint.witnessed")
    assert told["resource_id"] == "sallyport/admin_service"
    assert [(one["chain"], one["size"]) for one in told["details"]["checkpoints"]] == [
        ("global", 2),
        ("org_1", 2),
    ]
    assert await rows_of(pair.admin.database, "audit.checkpoint.witnessed") == []

    await record(pair.admin.database, clock, entry(PACK_MADE, org=None))
    clock.advance(TIME_BETWEEN.total_seconds() * 2)
    await pair.both_beat()
    assert len(await rows_of(pair.tenant.database, "audit.checkpoint.witnessed")) == 2
    assert (await pair.admin.prove()).ok
    assert (await pair.tenant.prove()).ok


async def test_a_contradiction_is_an_alarm_in_the_witness_own_log(
    database: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    """A note of a shorter chain than one before it: CRITICAL, once, and both notes are kept."""
    [key] = AuditKeeping("admin_service", "tenant_service", tmp_path / "key.pem").signing_keys()
    public = {key.kid: key.private.public_key()}
    witnesses = Witnesses(database, AUDIT, "admin_service", public, clock, recorder=recorder(clock))
    for seq in (9, 4, 4):
        note = sign(Checkpoint(origin_of("admin_service"), "global", seq, "ab" * 32, clock.now()), key)
        await witnesses.keep([note])
        clock.advance(1)

    [told] = await rows_of(database, "audit.chain.broken")
    assert (told["severity"], told["resource_id"]) == ("CRITICAL", "sallyport/admin_service/global/4/witness")
    assert len(await rows_of(database, "audit.checkpoint.witnessed")) == 1


async def test_a_break_is_told_once(database: Database, clock: FrozenClock, metrics: AuditMetrics) -> None:
    """Every verification finds it again; the log tells it one time, the metrics go on showing it."""
    alarm = Alarm(database, AUDIT, recorder(clock), metrics)
    found = Break("org_1", 3, "aud_1", Differs.CONTENT)

    assert [await alarm.tell([found]), await alarm.tell([found])] == [1, 0]
    assert await alarm.tell([found, Break("z\udcff\x00", 4, "", Differs.PLACE)]) == 1

    told = await rows_of(database, "audit.chain.broken")
    assert [row["resource_id"] for row in told] == ["org_1/3/hash", "z\\udcff\\0/4/chain_seq"]
    assert told[0]["details"]["row_id"] == "aud_1"
    assert value(metrics.broken) == 1
    assert (await ChainVerifier(database, AUDIT).verify()).ok


async def test_an_alarm_that_cannot_be_written_stops_nothing(
    database: Database, clock: FrozenClock, metrics: AuditMetrics
) -> None:
    """A head that is gone: no row can follow, so the metric and the line have to do."""
    await record(database, clock, entry(PACK_MADE, org=None))
    await unlock(database)
    await attack(database, "DELETE FROM audit_chain_heads")

    assert await Alarm(database, AUDIT, recorder(clock), metrics).tell([Break("x", 1, "", Differs.LINK)]) == 0
    assert value(metrics.broken) == 1


async def test_the_patrol_walks_the_whole_log_in_pieces(
    database: Database,
    clock: FrozenClock,
    metrics: AuditMetrics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unasked, a bounded piece at a time, over the ends of chains; a break is told, a good round clears."""
    monkeypatch.setattr(patrols, "PIECE", 4)
    monkeypatch.setattr(patrols, "NEWEST", 2)
    await filled(database, clock, pairs=6)
    prover = AuditKeeping("a", "b", tmp_path / "key.pem").prover(database, AUDIT)
    alarm = Alarm(database, AUDIT, recorder(clock), metrics)
    patrol = Patrol(ChainVerifier(database, AUDIT), prover, alarm, clock)

    async def turns_of_a_round() -> int:
        before = value(metrics.verified)
        for turn in range(1, 30):
            await patrol.turn()
            if value(metrics.verified) > before:
                return turn
        return 0

    assert await turns_of_a_round() >= 3
    assert value(metrics.verified) == 12
    assert value(metrics.broken) == 0
    await unlock(database)
    await attack(database, "UPDATE audit_events SET reason = 'x' WHERE chain = 'org_1' AND chain_seq = 2")
    await turns_of_a_round()
    await turns_of_a_round()

    told = [row["resource_id"] for row in await rows_of(database, "audit.chain.broken")]
    assert sorted(told) == ["global/2/pair_id", "org_1/2/hash"]  # the twin contradicts it, too
    assert value(metrics.broken) == 1
    await attack(database, "UPDATE audit_events SET reason = 'why' WHERE chain = 'org_1' AND chain_seq = 2")
    await turns_of_a_round()
    assert value(metrics.broken) == 0
