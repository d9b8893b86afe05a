"""Listeners: bound where a setting says, one clear line when that fails, and a graceful end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from service_kit.settings import Listen
from service_kit.web.serving import PortInUseError, Site, serving
from tests.fixtures.ports import free_port


def app(answered: asyncio.Event | None = None) -> web.Application:
    """Answers slowly on /slow and at once elsewhere."""

    async def slow(_request: web.Request) -> web.Response:
        if answered is not None:
            answered.set()
        await asyncio.sleep(0.3)
        return web.Response(text="whole")

    async def quick(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    application = web.Application()
    application.router.add_get("/slow", slow)
    application.router.add_get("/", quick)
    return application


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a unix socket's path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        yield Path(path)


async def get(port: int, path: str = "/") -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return await response.text()


async def start(*sites: Site) -> None:
    async with serving(sites):
        pass


async def test_a_taken_port_is_one_clear_error_and_frees_the_others(port: int) -> None:
    """The name of the listener, the address and the reason; what was bound before is released."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = Listen("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(
            PortInUseError, match=rf"^gate: cannot listen on {other}: Address already in use$"
        ):
            await start(Site("ops", Listen("127.0.0.1", port), app()), Site("gate", other, app()))

    await start(Site("ops", Listen("127.0.0.1", port), app()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_service_well(number: signal.Signals) -> None:
    """`run_service` sets its event, and the process ends with what `main` does then."""
    code = """
from service_kit.web.serving import run_service

async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("down", flush=True)

run_service(main)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=10)

    assert (out, process.returncode) == ("down\n", 0)
