"""The roster feed through the running sidecar: milliseconds to a deactivation, refusal when it is silent."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.feed import FeedRoster
from deploy.demo.issuer import SigningKey
from service_kit.clock import SystemClock
from service_kit.identity.model import Role
from service_kit.identity.signing import IdentitySigner
from service_kit.web.service_url import ServiceUrl
from tests.fakes.admin_service import operator
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import new_key
from tests.fixtures.sidecar import STRANGER, SidecarUnderTest, person, sidecar_under_test
from tests.fixtures.stopwatch import Stopwatch
from tests.integration.auth_proxy.scripted_upstream import Script, scripted

TENANTS = "/api/admin/tenants"
ADA = operator("sub-ada", "ada@example.com", Role.SUPPORT)
EVE = operator("sub-eve", "eve@example.com", Role.SECURITY)


async def until(sidecar: SidecarUnderTest, status: int, *, token: str, within: float = 20) -> float:
    """Seconds until the sidecar answers so."""
    started = Stopwatch()
    async with asyncio.timeout(within):
        while (await sidecar.get(TENANTS, token=token)).status != status:
            await asyncio.sleep(0.005)
    return started.awake


def entry(role: Role, *, active: bool = True, sub: str | None = None) -> dict[str, object]:
    who = person(role)
    return {**operator(who.sub, who.email, role, active=active), "sub": sub or who.sub}


async def test_a_deactivation_is_seen_within_a_tenth_of_a_second(sidecar: SidecarUnderTest) -> None:
    """R-064, R-130: the change reaches the sidecar as it commits, not at the next heartbeat."""
    token = sidecar.token(person(Role.SUPPORT))
    assert (await sidecar.get(TENANTS, token=token)).status == 200
    sidecar.admin.put(entry(Role.SUPPORT, active=False))

    assert await until(sidecar, 403, token=token) < 0.1
    sidecar.admin.put(entry(Role.SUPPORT))
    assert await until(sidecar, 200, token=token) < 0.1


async def test_a_role_change_decides_the_next_request(sidecar: SidecarUnderTest) -> None:
    """R-131: what the row says now, also while a signed identity of the old role could be reused."""
    token = sidecar.token(person(Role.SUPPORT))
    assert (await sidecar.get(TENANTS, token=token)).status == 200
    sidecar.admin.put({**entry(Role.SUPPORT), "role": "security"})

    assert await until(sidecar, 403, token=token) < 0.1


async def test_a_removed_operator_and_an_unbound_one_vanish(sidecar: SidecarUnderTest) -> None:
    """Removal by id, and a row that was bound to another subject: the old subject is a stranger."""
    removed, rebound = person(Role.SUPPORT), person(Role.READ_ONLY)
    sidecar.admin.version += 1
    gone = {"version": sidecar.admin.version, "removed": [f"adm_{removed.sub}"], "upserts": []}
    sidecar.admin.say({"type": "change", **gone})
    sidecar.admin.operators.pop(f"adm_{removed.sub}")
    sidecar.admin.put(entry(Role.READ_ONLY, sub="another-subject"))

    for who, reason in ((removed, "enrollment_required"), (rebound, "subject_changed")):
        await until(sidecar, 403, token=sidecar.token(who))
        assert sidecar.refusals(reason) >= 1


async def test_a_silent_feed_refuses_everybody_and_recovers_by_itself(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-064: after ROSTER_MAX_STALENESS without a word, 503 and not ready; then it goes on alone."""
    async with sidecar_under_test(access_key, tmp_path, ROSTER_MAX_STALENESS="0.3") as sidecar:
        token = sidecar.token(person(Role.SUPPORT))
        sidecar.admin.sends_heartbeats = False
        # The silence ends by itself: the sidecar begins a new feed, with a list.
        async with asyncio.timeout(20):
            while (refused := await sidecar.get(TENANTS, token=token)).status != 503:
                await asyncio.sleep(0.005)

        assert json.loads(refused.body)["code"] == "ROSTER_UNAVAILABLE"
        assert refused.header("Retry-After") == "2"
        sidecar.admin.sends_heartbeats = True
        await until(sidecar, 200, token=token)


@pytest.mark.parametrize(
    "line",
    [
        "garbage\n",
        "\n",
        "{}\n",
        '{"type": "heartbeat"}\n',
        '{"type": "heartbeat", "version": 999999}\n',
        '{"type": "change", "version": 5, "upserts": [{"id": 1}], "removed": []}\n',
        '{"type": "snapshot", "version": "x", "operators": []}\n',
        json.dumps({"type": "snapshot", "version": 1, "operators": [{**ADA, "role": "root"}]}) + "\n",
        "\u00ff\u0000\n",
    ],
    ids=lambda line: line[:40].strip() or "empty",
)
async def test_a_line_that_cannot_be_believed_begins_a_new_feed(sidecar: SidecarUnderTest, line: str) -> None:
    """A missed change or a broken line: reconnect and begin with a snapshot."""
    feeds = sidecar.admin.feeds
    sidecar.admin.say(line)
    async with asyncio.timeout(20):
        while sidecar.admin.feeds == feeds:
            await asyncio.sleep(0.005)

    await until(sidecar, 200, token=sidecar.token(person(Role.SUPPORT)))


async def test_an_unknown_kind_of_line_is_skipped(sidecar: SidecarUnderTest) -> None:
    """A newer service may say more: what comes behind it on the same feed is still heard."""
    feeds = sidecar.admin.feeds
    sidecar.admin.say({"type": "greeting", "version": 1})
    sidecar.admin.put(entry(Role.SUPPORT, active=False))

    await until(sidecar, 403, token=sidecar.token(person(Role.SUPPORT)))
    assert sidecar.admin.feeds == feeds
    assert (await sidecar.get(TENANTS)).status == 200


async def test_the_metrics_tell_of_the_list(sidecar: SidecarUnderTest) -> None:
    """R-008: version, size, age and connection of the roster, for the SRE at night."""
    value = sidecar.registry.get_sample_value

    assert value("auth_proxy_roster_connected") == 1
    assert value("auth_proxy_roster_operators") == len(sidecar.admin.operators)
    assert value("auth_proxy_roster_version") == sidecar.admin.version
    assert 0 <= (value("auth_proxy_roster_age_seconds") or 0) < 5


class Watching:
    """Keeps what a feed tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connected(self) -> None:
        self.told.append("connected")

    def disconnected(self) -> None:
        self.told.append("disconnected")

    def changed(self, version: int, operators: int) -> None:
        self.told.append(f"{version}:{operators}")


@asynccontextmanager
async def following(script: Script) -> AsyncIterator[tuple[FeedRoster, Watching]]:
    """A roster that follows an admin service of one script; none of these tests waits for it to be stale."""
    clock, key, watching = SystemClock(), new_key(), Watching()
    async with scripted(script) as url:
        link = AdminLink(ServiceUrl.parse(url), IdentitySigner(lambda: (key,), clock, issuer="auth_proxy"))
        roster = FeedRoster(link, clock, watching, max_staleness=20.0)
        await link.start()
        await roster.start()
        try:
            yield roster, watching
        finally:
            await roster.close()
            await link.close()


def feed(*chunks: bytes | float, status: str = "200 OK") -> Script:
    """A feed of these bytes, with pauses where a number stands; then it stays open."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        for chunk in chunks:
            if isinstance(chunk, bytes):
                writer.write(chunk)
            else:
                await asyncio.sleep(chunk)
        await reader.read()

    return script


def snapshot(version: int, *operators: dict[str, object]) -> bytes:
    return json.dumps({"type": "snapshot", "version": version, "operators": operators}).encode() + b"\n"


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


def knows(roster: FeedRoster, sub: str) -> bool:
    with contextlib.suppress(Refusal):
        return roster.find(sub, "x") is not None
    return False


async def test_before_the_first_snapshot_nobody_is_known_and_nobody_let_in() -> None:
    """An open connection is no list: the refusal is `unavailable`, not `enroll`."""
    async with following(feed()) as (roster, watching):
        await eventually(lambda: "connected" in watching.told)
        with pytest.raises(Refusal) as caught:
            roster.find("sub-ada", "ada@example.com")

    assert caught.value.reason is Reason.ROSTER_UNAVAILABLE
    assert roster.age_seconds == float("inf")


@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "heartbeat", "version": 0}\n',
        b'{"type": "greeting"}\n',
        json.dumps({"type": "change", "version": 1, "upserts": [ADA], "removed": []}).encode() + b"\n",
    ],
)
async def test_a_feed_that_does_not_begin_with_a_snapshot_is_no_feed(line: bytes) -> None:
    """A heartbeat alone would confirm a list that was never sent."""
    async with following(feed(line)) as (roster, watching):
        await eventually(lambda: "disconnected" in watching.told)

        assert not roster.is_fresh
        assert not knows(roster, "sub-ada")


async def test_lines_may_come_in_any_pieces() -> None:
    """A message is a line, whatever the packets."""
    whole = snapshot(3, ADA, EVE)
    async with following(feed(whole[:10], 0.02, whole[10:-1], 0.02, whole[-1:])) as (roster, watching):
        await eventually(lambda: knows(roster, "sub-ada"))

        assert (roster.version, watching.told) == (3, ["connected", "3:2"])
        assert roster.binds_email("eve@example.com")
        assert not roster.binds_email("nobody@example.com")


async def test_a_later_snapshot_replaces_the_whole_list() -> None:
    """Who is not in it is gone."""
    async with following(feed(snapshot(1, ADA), snapshot(2, EVE))) as (roster, _):
        await eventually(lambda: knows(roster, "sub-eve"))

        assert not knows(roster, "sub-ada")
        assert not roster.binds_email("ada@example.com")


async def test_one_row_bound_to_a_new_subject_leaves_no_old_one() -> None:
    """G-09: a rebinding moves the operator; the subject before it finds nothing."""
    moved = {**ADA, "sub": "sub-new"}
    change = json.dumps({"type": "change", "version": 2, "upserts": [moved], "removed": []}).encode() + b"\n"
    async with following(feed(snapshot(1, ADA), change)) as (roster, _):
        await eventually(lambda: knows(roster, "sub-new"))

        assert not knows(roster, "sub-ada")


async def test_an_endless_line_is_cut() -> None:
    """16 MiB without a line break are no message, and memory has an end."""
    async with following(feed(b"x" * (17 * 1024 * 1024))) as (_, watching):
        await eventually(lambda: "disconnected" in watching.told)


@pytest.mark.parametrize(
    "status", ["401 Unauthorized", "404 Not Found", "302 Found", "503 Service Unavailable"]
)
async def test_any_other_status_is_no_feed(status: str) -> None:
    """Not even with a snapshot behind it."""
    async with following(feed(snapshot(1, ADA), status=status)) as (roster, watching):
        await eventually(lambda: "disconnected" in watching.told)

        assert not knows(roster, "sub-ada")
        assert "connected" not in watching.told


async def test_tries_come_often_and_not_without_end() -> None:
    """With nobody there it tries again by itself, with growing pauses."""
    tries = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with following(hang_up):
        await asyncio.sleep(0.7)
        assert tries <= 12
        async with asyncio.timeout(20):
            while tries < 3:
                await asyncio.sleep(0.01)


async def test_an_enrolled_operator_is_known_before_the_feed_tells(sidecar: SidecarUnderTest) -> None:
    """R-066: the request after the claim does not run into the old list."""
    sidecar.admin.tokens["enr_1"] = {**operator("x", STRANGER.email, Role.SUPPORT), "id": "adm_new"}
    token = sidecar.token(STRANGER)
    first = await sidecar.get(TENANTS, token=token, headers=(("x-admin-enrollment-token", "enr_1"),))
    others = [await sidecar.get(TENANTS, token=token) for _ in range(5)]

    assert {first.status, *(other.status for other in others)} == {200}


@pytest.mark.parametrize("ago, took", [(0.25, [0.25]), (-5.0, [0.0]), (None, [])])
def test_the_way_of_a_change_is_timed(ago: float | None, took: list[float]) -> None:
    """R-064: from the row's write until it decides; a clock ahead makes it 0, an older service nothing."""
    clock, times = FrozenClock(), list[float]()
    link = AdminLink(
        ServiceUrl.parse("http://127.0.0.1:1"), IdentitySigner(tuple, clock, issuer="auth_proxy")
    )
    roster = FeedRoster(link, clock, Watching(), took=times.append)
    roster._hear(snapshot(1))
    written = {} if ago is None else {"changedAt": clock.now().timestamp() - ago}
    change = {"type": "change", "version": 2, "upserts": [], "removed": [], **written}

    roster._hear(json.dumps(change).encode())

    assert times == pytest.approx(took)
    assert roster.version == 2
