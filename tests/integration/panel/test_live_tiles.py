"""The live tiles: events with the numbers of the dashboard, few readers, one reading, and an end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import ClientPayloadError, ClientResponse

from admin_service.panel.live import LiveReadings
from admin_service.panel.routes import PANEL
from admin_service.tenant_answers import TenantCounts
from admin_service.tenant_api import OnBehalf
from service_kit.errors import ForbiddenError
from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice

LIVE: Final = "/manage/live"
PATIENCE: Final = 20.0


def live_of(office: BackOffice) -> LiveReadings[Any]:
    return office.apps.internal[PANEL].live


@asynccontextmanager
async def stream(
    office: BackOffice, role: Role = Role.SUPER_ADMIN, *, aged: float = 0
) -> AsyncIterator[ClientResponse]:
    """An open stream; `aged` seconds of its leave are over already."""
    headers = office.proof("GET", LIVE, role, delegated=True)
    office.clock.advance(aged)
    async with office.client.get(LIVE, headers={**headers, "Accept": "text/event-stream"}) as response:
        yield response


async def event_of(response: ClientResponse) -> dict[str, str]:
    """The next event that tells something."""
    async with asyncio.timeout(PATIENCE):
        while line := await response.content.readline():
            if line.startswith(b"data: "):
                told: dict[str, str] = json.loads(line.removeprefix(b"data: "))
                return told
    raise AssertionError("the stream ended")


async def test_it_tells_what_the_page_shows(office: BackOffice, tenants: FakeTenantApi) -> None:
    """P-01: each event names the elements of the tiles and their texts, and nothing beyond the page."""
    tenants.add("acme", "Acme")
    page = await office.get("/manage", Role.SUPPORT)
    async with stream(office, Role.SUPPORT) as response:
        told = await event_of(response)

        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
    for name, text in told.items():
        assert f'id="{name}">{text}</span>' in page.text
    assert told["tile-tenants"] == "1"
    assert "tile-dead" not in told


async def test_a_change_is_told(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A new tenant shows up without a reload."""
    live_of(office).tick_seconds = 0.05
    async with stream(office, Role.READ_ONLY) as response:
        before = await event_of(response)
        tenants.add("acme", "Acme")
        after = await event_of(response)

    assert (before["tile-tenants"], after["tile-tenants"]) == ("0", "1")


async def test_one_reading_serves_all_of_a_role(office: BackOffice, tenants: FakeTenantApi) -> None:
    """However many watch, a tick asks once for each set of permissions, and nobody gets another's tiles."""
    live_of(office).tick_seconds = 3600  # all of it happens within one
    async with (
        stream(office, Role.READ_ONLY) as one,
        stream(office, Role.READ_ONLY) as two,
        stream(office, Role.SECURITY) as other,
    ):
        first, second, third = await event_of(one), await event_of(two), await event_of(other)

        assert live_of(office).watching == 3
    asked = tenants.memory.delegations
    assert first == second
    assert set(third) == {"tile-chain"}
    # the counts of one, and the log of the other
    assert len(asked) == 2


async def test_a_fourth_stream_of_one_operator_is_told_to_stop(office: BackOffice) -> None:
    """Streams are bounded: 204 ends an EventSource, and a browser keeps connections for its pages."""
    async with stream(office) as one, stream(office) as two, stream(office) as three:
        for each in (one, two, three):
            await event_of(each)
        async with stream(office) as fourth, stream(office, Role.SUPPORT) as another:
            assert (fourth.status, another.status) == (204, 200)


async def test_all_seats_together_are_bounded() -> None:
    """No crowd of operators holds more streams than the service has seats; a seat that is left is free."""
    live: LiveReadings[int] = LiveReadings(most=2, most_each=1)
    with live.seat("adm_1") as one, live.seat("adm_1") as again, live.seat("adm_2") as two:
        with live.seat("adm_3") as three:
            assert (one, again, two, three) == (True, False, True, False)
        assert live.watching == 2
    with live.seat("adm_3") as three:
        assert three
    assert live.watching == 0


async def test_it_ends_with_the_leave_it_was_opened_with(office: BackOffice) -> None:
    """The delegation counts for seconds: the browser asks again, and the sidecar decides again (R-051)."""
    live_of(office).tick_seconds = 0.05
    async with stream(office, aged=27) as response:
        await event_of(response)
        async with asyncio.timeout(PATIENCE):
            rest = await response.content.read()

    assert response.status == 200
    assert b"retry: " not in rest
    assert live_of(office).watching == 0


async def test_it_ends_when_the_service_stops(office: BackOffice) -> None:
    """A graceful stop waits for no reader."""
    async with stream(office) as response:
        await event_of(response)
        await live_of(office).close()
        async with asyncio.timeout(PATIENCE):
            await response.content.read()
    async with stream(office) as late:
        assert late.status == 204


async def test_a_service_that_comes_back_is_told_again(office: BackOffice, tenants: FakeTenantApi) -> None:
    """While the tenant service is away its tiles are not told; what was told before stands on the page."""
    live_of(office).tick_seconds = 0.05
    tenants.steer.away = True
    async with stream(office, Role.SUPPORT) as response:
        before = await event_of(response)
        tenants.steer.away = False
        after = await event_of(response)

    assert before == {}
    assert after["tile-tenants"] == "0"


async def test_a_refusal_on_the_way_cuts_the_stream(
    office: BackOffice, tenants: FakeTenantApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page and no problem is written among the events; the browser asks again, and hears what is wrong."""

    async def refused(_behalf: OnBehalf) -> TenantCounts:
        raise ForbiddenError("PERMISSION_DENIED", "Not any more")

    live_of(office).tick_seconds = 0.05
    async with stream(office, Role.SUPPORT) as response:
        await event_of(response)
        monkeypatch.setattr(tenants, "counts", refused)
        with pytest.raises(ClientPayloadError):
            async with asyncio.timeout(PATIENCE):
                await response.content.read()

    assert live_of(office).watching == 0


async def test_it_is_for_operators(office: BackOffice) -> None:
    """A person who is no operator gets no number (R-081)."""
    headers = office.proof("GET", LIVE, None, delegated=False)
    response = await office.client.get(LIVE, headers=headers)

    assert response.status == 403


async def test_a_head_request_takes_no_seat(office: BackOffice) -> None:
    """HEAD answers at once with the headers of the stream."""
    headers = office.proof("HEAD", LIVE, Role.SUPPORT, delegated=True)
    response = await office.client.head(LIVE, headers=headers)

    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert live_of(office).watching == 0


async def test_a_reading_that_fails_is_tried_again() -> None:
    """A failure is remembered for nobody."""
    live: LiveReadings[int] = LiveReadings()
    failures = [OSError("away")]

    async def take() -> int:
        if failures:
            raise failures.pop()
        return 7

    with pytest.raises(OSError, match="away"):
        await live.read(frozenset(), take)
    assert [await live.read(frozenset(), take) for _ in range(2)] == [7, 7]
