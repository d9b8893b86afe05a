"""A service that stops: it says so, takes in who has begun to connect, and answers them for the last time."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from service_kit.settings import Listen
from service_kit.web.listening import turn_newcomers_away, waiting_connections
from service_kit.web.ops import Departure, ops_app
from service_kit.web.serving import Site, serving
from tests.fixtures.ports import free_port
from tests.fixtures.standalone import LOCAL

pytestmark = pytest.mark.drill


@asynccontextmanager
async def service(leaves: asyncio.Event) -> AsyncIterator[tuple[int, int]]:
    """An application and its operations listener, stopped as the services are; their ports."""
    port, ops_port, departure = free_port(), free_port(), Departure()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application()
    app.router.add_get("/", answer)
    ops = ops_app(CollectorRegistry(), [departure.check])
    sites = [
        Site("internal", Listen(LOCAL, port), app),
        Site("operations", Listen(LOCAL, ops_port), ops, outlasts=True),
    ]

    async def run() -> None:
        async with serving(sites):
            started.set()
            await leaves.wait()
            departure.has_begun = True

    started = asyncio.Event()
    running = asyncio.create_task(run())
    await started.wait()
    yield port, ops_port
    await running


async def test_the_last_answers_close_their_connections() -> None:
    """Architecture 9: on the way out a kept-alive connection is answered and closed; readiness fails.

    So a client that sends a change over it has the answer, and sends the next one elsewhere.
    """
    leaves = asyncio.Event()
    async with AsyncExitStack() as stack:
        port, ops_port = await stack.enter_async_context(service(leaves))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        url, ready = f"http://{LOCAL}:{port}/", f"http://{LOCAL}:{ops_port}/readyz"
        async with session.get(url) as first, session.get(ready) as before:
            kept = first.headers.get("Connection", "")
            await first.read()
            assert before.status == 200
        leaves.set()
        await asyncio.sleep(0.2)
        async with session.get(url) as last, session.get(ready) as after:
            assert (last.status, await last.text()) == (200, "here")
            assert last.headers["Connection"] == "close"
            assert (after.status, (await after.json())["checks"][0]["name"]) == (503, "staying")
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)
    assert kept != "close"


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's; elsewhere nothing is turned away")
@pytest.mark.parametrize("family, address", [(socket.AF_INET, LOCAL), (socket.AF_INET6, "::1")])
def test_who_has_begun_to_connect_is_taken_in_and_nobody_after(
    family: socket.AddressFamily, address: str
) -> None:
    """Between the last accept and the close nobody can come who would be reset with a request on the way."""
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        at = listener.getsockname()[:2]
        with socket.create_connection(at, timeout=5) as early:
            turn_newcomers_away(listener)
            with pytest.raises(TimeoutError), socket.create_connection(at, timeout=0.4):
                pass
            early.sendall(b"a change")
            (taken,) = waiting_connections(listener)
            with taken:
                taken.settimeout(5)
                assert taken.recv(100) == b"a change"
                taken.sendall(b"done")
                assert early.recv(100) == b"done"
