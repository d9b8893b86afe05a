"""What `make run` starts, as a person meets it: first start, second start, a taken port, Ctrl-C."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from deploy.demo.processes import DemoError
from deploy.demo.run import refuse_half_made_data
from tests.fixtures.stack import are_free, free_ports

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


class Demo:
    """One `python -m deploy.demo.run`, and what it said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    async def until(self, text: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            while text not in self.said:
                line = await self._process.stdout.readline()
                assert line, f"ended before it said {text!r}:\n{self.said}"
                self.said += line.decode()

    async def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        rest, _ = await self._process.communicate()
        self.said += rest.decode()
        return self._process.returncode or 0

    async def end(self) -> int:
        rest, _ = await self._process.communicate()
        self.said += rest.decode()
        return self._process.returncode or 0


@asynccontextmanager
async def demo(offset: int, data: Path) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.demo.run"),
        env={**os.environ, "DEMO_PORT_OFFSET": str(offset), "DEMO_DATA": str(data)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Demo(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def tenants_page(host: str, port: int) -> str:
    """The sign-in of a tenant at its own host, which browsers look for on this machine."""
    url, headers = f"http://127.0.0.1:{port}/login", {"Host": host}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return await answer.text()


async def test_it_starts_says_where_refuses_a_second_one_and_ends_everything(tmp_path: Path) -> None:
    """R-008: clear lines, one demo per set of ports, and Ctrl-C leaves no process behind."""
    data = tmp_path / "demo"
    ports = free_ports(data)
    offset = ports.offset
    async with demo(offset, data) as first:
        await first.until("Ctrl-C ends it all")
        tenants = await tenants_page(f"acme.localhost:{ports.at(8003)}", ports.at(8003))
        async with demo(offset, tmp_path / "other") as second:
            refused = await second.end()
        async with demo(offset, data) as third:
            refused_too = await third.end()
        ended = await first.interrupt()
    async with demo(offset, data) as again:
        await again.until("Ctrl-C ends it all")
        await again.interrupt()

    assert ports.origin in first.said
    assert "Acme Logistics" in tenants
    assert "Making sample data" in first.said
    assert (refused, f"port {ports.at(8080)} (auth_proxy)" in second.said) == (1, True)
    assert (refused_too, "another demo runs" in third.said) == (1, True)
    assert (ended, "All processes have ended." in first.said) == (0, True)
    assert are_free(ports, data)
    assert "Making sample data" not in again.said


def test_half_made_data_is_told_not_served(tmp_path: Path) -> None:
    """R-068: the first token is shown once, so an interrupted first start cannot be mended by a second."""
    with pytest.raises(DemoError, match="interrupted"):
        refuse_half_made_data(tmp_path, None)

    refuse_half_made_data(tmp_path, "enr_first")
    (tmp_path / "sample-data-complete").touch()
    refuse_half_made_data(tmp_path, None)
