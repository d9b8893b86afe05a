"""Starting the processes, starting again what ends, and ending all of them: as a service manager would.

It ends only what it started.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp

from deploy.demo.processes import DemoError, ended_by_itself
from deploy.local.stack import Program

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 45.0
RESTART_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1


class Keeper:
    """The processes that run, each started again a second after it ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = False

    async def start(self, programs: Sequence[Program]) -> None:
        """Start all and wait until each is ready. Raises DemoError when one ends or takes too long."""
        for program in programs:
            await self._spawn(program)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            for program in programs:
                await self._until_ready(program, session)
        self._tasks = [asyncio.create_task(self._keep(program)) for program in programs]

    async def _until_ready(self, program: Program, session: aiohttp.ClientSession) -> None:
        log = self._folder / "logs" / f"{program.name}.log"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while not await _says_200(session, program.ready_url):
                    if self._running[program.name].returncode is not None:
                        raise DemoError(f"{program.name} ended before it was ready: see {log}")
                    await asyncio.sleep(_POLL_SECONDS)
                return
        raise DemoError(f"{program.name} is not ready after {READY_SECONDS:.0f} s: see {log}")

    async def stop(self) -> None:
        """Ask all of them to end, and wait for each as long as its drain may take."""
        self._leaving = True
        for task in self._tasks:
            task.cancel()
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for name, process in self._running.items():
            if not await ended_by_itself(process, STOP_SECONDS):
                say(f"{name} did not end within {STOP_SECONDS:.0f} s and was killed")

    async def _keep(self, program: Program) -> None:
        while not self._leaving:
            status = await self._running[program.name].wait()
            say(f"{program.name} ended with status {status}; starting it again")
            await asyncio.sleep(RESTART_SECONDS)
            await self._spawn(program)

    async def _spawn(self, program: Program) -> None:
        logs = self._folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        with (logs / f"{program.name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                env={**inherited, **program.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the keeper: it ends them in order
            )
        self._running[program.name] = process
        (self._folder / f"{program.name}.pid").write_text(f"{process.pid}\n", encoding="utf-8")


async def until_answered(urls: Sequence[str]) -> None:
    """Wait until each address gives any answer: the balancer has seen who is ready. Raises DemoError."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        try:
            async with asyncio.timeout(READY_SECONDS):
                for url in urls:
                    await _until_answered(session, url)
        except TimeoutError:
            raise DemoError("the load balancer finds nobody who is ready") from None


async def _until_answered(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        if await _answers(session, url):
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, allow_redirects=False):
            return True
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def _says_200(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, allow_redirects=False) as response:
            return response.status == 200  # noqa: PLR2004 - ready
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def say(text: str) -> None:
    """One line for the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
