"""The roster feed: a snapshot, changes as they commit, a heartbeat each second, or silence."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse

from admin_service.operators.models import NewOperator
from admin_service.roster.repository import RosterRepository
from admin_service.roster.service import RosterHub
from service_kit.errors import UnavailableError
from service_kit.identity.model import Role
from tests.fixtures.stopwatch import Stopwatch
from tests.integration.admin_service.admin_process import FEED, AdminProcess, admin_process, asker

Line = dict[str, Any]

PATIENCE = 20
"""Seconds until a line is given up. What must be fast is measured without the stalls of the machine."""


@pytest.fixture
def no_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub of a service that starts after this looks when something is announced, and not by itself."""
    defaults = RosterHub.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "beat_seconds", 3600.0)


class FeedReader:
    """A sidecar that reads lines."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def line(self, kind: str, *, within: float = PATIENCE) -> Line:
        """The next line of that kind; lines of other kinds are skipped."""
        async with asyncio.timeout(within):
            while (document := await self.next())["type"] != kind:
                pass
            return document

    async def next(self) -> Line:
        """The next line."""
        raw = await self.response.content.readline()
        if not raw:
            raise EOFError("the feed ended")
        document: Line = json.loads(raw)
        return document


@asynccontextmanager
async def feed(process: AdminProcess) -> AsyncIterator[tuple[FeedReader, Line]]:
    response = await process.ask_as_sidecar("GET", FEED)
    async with response:
        assert response.status == 200
        assert response.content_type == "application/x-ndjson"
        reader = FeedReader(response)
        yield reader, await reader.line("snapshot")


def entry(operator_id: str, role: str, *, active: bool = True) -> Line:
    named = operator_id.removeprefix("adm_")
    return {
        "id": operator_id,
        "sub": f"sub-{named}",
        "email": f"{named}@example.com",
        "name": f"Test {operator_id}",
        "role": role,
        "active": active,
    }


async def test_the_snapshot_holds_every_enrolled_operator(process: AdminProcess) -> None:
    """Enrolled rows only, deactivated ones marked: a pending person is nobody yet (architecture 5)."""
    await process.add()
    await process.add(Role.SUPPORT, deactivated_at=process.clock.now())
    await process.add_pending("adm_p", "enr_p")

    async with feed(process) as (_, snapshot):
        version = (await process.rows("roster_version"))[0]["version"]

        assert snapshot == {
            "type": "snapshot",
            "version": version,
            "operators": [
                entry("adm_super_admin", "super_admin"),
                entry("adm_support", "support", active=False),
            ],
        }


@pytest.mark.usefixtures("no_beat")
async def test_a_change_reaches_a_reader_at_once(process: AdminProcess) -> None:
    """The commit of a deactivation puts it on the wire, and no beat (R-064, issue 1 number 5)."""
    await process.add()
    await process.add(Role.SUPPORT)
    async with feed(process) as (reader, snapshot):
        await process.services.standing.deactivate(asker(), "adm_support")

        change = await reader.line("change")

        assert change == {
            "type": "change",
            "version": snapshot["version"] + 1,
            "changedAt": process.clock.now().timestamp(),
            "upserts": [entry("adm_support", "support", active=False)],
            "removed": [],
        }


@pytest.mark.usefixtures("no_beat")
async def test_a_role_and_a_binding_reach_a_reader_at_once(process: AdminProcess) -> None:
    """G-01, G-09: the commit puts a new role, an unbound row and one that came back on the wire, and no beat.

    Who is unbound, or reactivated without having enrolled, is nobody to a sidecar.
    """
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add(Role.SECURITY, deactivated_at=process.clock.now())
    standing, provisioning = process.services.standing, process.services.provisioning
    async with feed(process) as (reader, _):
        for change, upserts, removed in (
            (
                standing.change_role(asker(), "adm_support", Role.READ_ONLY, reason="x", expected={1}),
                [entry("adm_support", "read_only")],
                [],
            ),
            (
                provisioning.reissue(asker(), "adm_support", rebind=True, confirm="support@example.com"),
                [],
                ["adm_support"],
            ),
            (provisioning.reactivate(asker(), "adm_security", reason="x"), [], ["adm_security"]),
        ):
            await change

            line = await reader.line("change")

            assert (line["upserts"], line["removed"]) == (upserts, removed)


async def test_a_change_by_raw_sql_reaches_a_reader_with_the_next_heartbeat(process: AdminProcess) -> None:
    """What another process, or a person with a SQL shell, changes is told before the next heartbeat vouches
    for the roster as it is then; unbinding removes.
    """
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add(Role.SECURITY)
    async with feed(process) as (reader, _):
        await process.sql(
            "UPDATE global_admins SET role = 'read_only' WHERE id = 'adm_support'",
            "UPDATE global_admins SET cf_access_sub = NULL WHERE id = 'adm_security'",
        )

        vouched = []
        async with asyncio.timeout(PATIENCE):
            while (change := await reader.next())["type"] != "change":
                vouched.append(change["version"])

        assert all(version < change["version"] for version in vouched)
        assert change["upserts"] == [entry("adm_support", "read_only")]
        assert change["removed"] == ["adm_security"]


async def test_a_heartbeat_each_second_with_the_version_read_then(process: AdminProcess) -> None:
    """Heartbeats come about once a second and carry the database's version at that moment."""
    await process.add()
    async with feed(process) as (reader, snapshot):
        started = Stopwatch()
        await reader.line("heartbeat")

        beats = [await reader.line("heartbeat") for _ in range(2)]

        assert started.seconds > 1.7
        assert started.awake < 5
        assert {beat["version"] for beat in beats} == {snapshot["version"]}


async def test_without_a_database_there_is_no_heartbeat(process: AdminProcess, monkeypatch: Any) -> None:
    """Silence is the signal: a failed read writes nothing, and the feed goes on when it works again."""
    await process.add()
    async with feed(process) as (reader, _):
        await reader.line("heartbeat")

        async def away(*_arguments: object) -> int:
            raise UnavailableError("DATABASE_UNAVAILABLE", "away")

        with monkeypatch.context() as patched:
            patched.setattr(RosterRepository, "version", away)
            try:
                line = await reader.line("heartbeat", within=2.2)
            except TimeoutError:
                line = {}
            refused = await process.ask_as_sidecar("GET", FEED)

        assert line == {}
        assert refused.status == 503
        assert (await reader.line("heartbeat"))["type"] == "heartbeat"


async def test_many_changes_arrive_complete_and_in_order(process: AdminProcess) -> None:
    """A reader that applies the changes holds the roster, whatever changes were merged on the way."""
    await process.add()
    async with feed(process) as (reader, snapshot):
        held = {one["id"]: one for one in snapshot["operators"]}
        versions = [snapshot["version"]]
        for number in range(20):
            await process.add(Role.SUPPORT, operator_id=f"adm_n{number}")
            if number % 3 == 0:
                await process.services.standing.deactivate(asker(), f"adm_n{number}")
        final = (await process.rows("roster_version"))[0]["version"]

        while versions[-1] < final:
            change = await reader.line("change")
            held |= {one["id"]: one for one in change["upserts"]}
            versions.append(change["version"])

        assert versions == sorted(set(versions))
        assert len(held) == 21
        assert sum(not one["active"] for one in held.values()) == 7


@pytest.mark.usefixtures("no_beat")
async def test_a_claim_is_pushed_too(process: AdminProcess) -> None:
    """Whoever has just enrolled is known to every sidecar at once."""
    await process.add()
    issued = await process.services.provisioning.create(
        asker(), NewOperator("new@example.com", "New", Role.SUPPORT)
    )
    async with feed(process) as (reader, _):
        claim = {"sub": "sub-new", "email": "new@example.com", "token": issued.token}
        answer = await (await process.ask_as_sidecar("POST", "/internal/v1/enrollments/claim", claim)).json()

        change = await reader.line("change")

        assert [one["sub"] for one in change["upserts"]] == ["sub-new"]
        assert change["version"] == answer["version"]


async def test_a_stop_ends_the_streams_at_once(database_url: str) -> None:
    """A graceful stop does not wait for streams that never end by themselves."""
    async with admin_process(database_url) as process:
        await process.add()
        async with feed(process) as (reader, _):
            started = Stopwatch()
            await process.client.server.close()

            try:
                await reader.line("nothing")
            except (EOFError, ConnectionError):
                ended = True
            else:
                ended = False

            assert ended
            assert started.awake < 1


async def test_only_the_sidecar_reads_the_feed(sqlite_process: AdminProcess) -> None:
    """The whole roster is for our own processes: an operator's identity is refused (R-005)."""
    await sqlite_process.add()

    response = await sqlite_process.ask("GET", FEED)

    assert response.status == 403
