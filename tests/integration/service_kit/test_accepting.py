"""Many new connections at once, on the loop that services run on."""

import asyncio
import socket

import pytest
import uvloop
from aiohttp import web

from service_kit.settings import Listen
from service_kit.web.serving import Site, serving
from tests.fixtures.ports import free_port

CLIENTS = 32


class Counted(web.Server):
    """Counts the connections that it was given."""

    taken = 0

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override] # it speaks no HTTP
        self.taken += 1
        return asyncio.Protocol()


async def _refused(_request: web.BaseRequest) -> web.StreamResponse:
    raise web.HTTPForbidden


async def taken_in_a_turn(accepts: int, port: int) -> int:
    """How many of many that wait are taken in one turn of the loop."""
    server = Counted(_refused)
    site = Site("gate", Listen("127.0.0.1", port), server, accepts_per_turn=accepts)
    clients = []
    async with serving([site], drain_seconds=0.1):
        for _ in range(CLIENTS):
            clients.append(socket.create_connection(("127.0.0.1", port)))  # noqa: PERF401 - the loop must stand still
        at_most, before = 0, 0
        async with asyncio.timeout(20):
            while server.taken < CLIENTS:
                await asyncio.sleep(0)
                at_most, before = max(at_most, server.taken - before), server.taken
        assert server.taken == CLIENTS
        for client in clients:
            client.close()
    with pytest.raises(ConnectionRefusedError):  # each of the doors is closed
        socket.create_connection(("127.0.0.1", port))
    return at_most


@pytest.mark.parametrize(("accepts", "least", "most"), [(1, 1, 2), (16, 8, 32)])
def test_a_turn_takes_as_many_as_it_may(accepts: int, least: int, most: int) -> None:
    """Beside busy connections a new one waits for turns, not for as many turns as there are new ones."""
    assert least <= uvloop.run(taken_in_a_turn(accepts, free_port())) <= most
