"""The hub of the roster feed: bounded readers, and one line of a change."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from prometheus_client import CollectorRegistry

from admin_service.roster.models import Entry, Roster
from admin_service.roster.repository import RosterRepository
from admin_service.roster.service import RosterHub, RosterMetrics
from service_kit.db.session import Database
from service_kit.identity.model import Role


def entry(number: int, *, active: bool = True) -> Entry:
    return Entry(f"adm_{number}", f"sub-{number}", "a@b.example", "A", Role.SUPPORT, active=active)


def roster(version: int, *entries: Entry) -> Roster:
    return Roster(version, {one.id: one for one in entries})


def test_a_change_line_is_the_difference() -> None:
    """New and changed rows are upserts, vanished ones are removed, the rest is not repeated."""
    before = roster(1, entry(1), entry(2), entry(3))
    after = roster(4, entry(1), entry(2, active=False), entry(4))

    line = json.loads(after.change_line(before))

    assert line["version"] == 4
    assert [one["id"] for one in line["upserts"]] == ["adm_2", "adm_4"]
    assert line["removed"] == ["adm_3"]


class Changing:
    """A database and its roster in one: each read sees the next version."""

    def __init__(self) -> None:
        self.at = 1

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        yield None

    async def version(self, _session: object) -> int:
        return self.at

    async def roster(self, _session: object) -> Roster:
        return roster(self.at, entry(self.at))


def hub_over(source: Changing, registry: CollectorRegistry) -> RosterHub:
    metrics = RosterMetrics(registry, "t")
    return RosterHub(cast("Database", source), cast("RosterRepository", source), metrics, beat_seconds=0.001)


async def test_a_reader_that_does_not_keep_up_is_dropped() -> None:
    """A slow reader's lines are bounded: it is ended and must take a fresh snapshot; others go on."""
    registry, source = CollectorRegistry(), Changing()
    hub = hub_over(source, registry)
    async with hub.read() as slow, hub.read() as quick:
        await hub.start()
        received = 0
        async with asyncio.timeout(20):
            async for _ in quick:
                received += 1
                source.at += 1
                if registry.get_sample_value("t_roster_feed_dropped_total"):
                    break
            left = [line async for line in slow]
        await hub.close()

    assert received > 60
    assert left == []
    assert registry.get_sample_value("t_roster_feed_readers") == 0


async def test_closing_ends_every_reader_also_a_late_one() -> None:
    """After the close a reader gets nothing, whether it came before or after."""
    hub = hub_over(Changing(), CollectorRegistry())
    async with hub.read() as early:
        await hub.close()
        async with hub.read() as late:
            lines = [line async for line in early] + [line async for line in late]

    assert lines == []
