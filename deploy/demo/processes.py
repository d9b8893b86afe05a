"""Starting the demo's processes, waiting until they are ready, and ending them; only ever its own."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

STOP_SECONDS: Final = 10.0
READY_SECONDS: Final = 40.0
_POLL_SECONDS: Final = 0.1
_TAIL_LINES: Final = 15


class DemoError(Exception):
    """The demo cannot go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the demo: what to start, and where it says that it is ready."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    ports: tuple[int, ...]
    ready_url: str
    purpose: str


class Processes:
    """The running processes of the demo."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[Program, asyncio.subprocess.Process]] = []

    async def start(self, program: Program) -> None:
        """Start one; what it writes goes to its own log file."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log_of(program.name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *program.arguments,
                env={**_inherited(), **program.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the whole terminal: the children end in order, by our hand.
                start_new_session=True,
            )
        self._running.append((program, process))

    async def until_ready(self) -> None:
        """Wait until every process answers. Raises DemoError when one ends or takes too long."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            for program, process in self._running:
                await self._until_ready(program, process, session)

    async def until_one_ends(self) -> None:
        """Wait for ever; raises DemoError when a process ends by itself."""
        waiters = [asyncio.create_task(process.wait()) for _, process in self._running]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
        for program, process in self._running:
            if process.returncode is not None:
                raise self._ended(program, process.returncode)

    async def stop_one(self, name: str) -> Program:
        """End one of them and return its program, so that it can be started again."""
        (found,) = [entry for entry in self._running if entry[0].name == name]
        self._running.remove(found)
        program, process = found
        process.terminate()
        await process.wait()
        return program

    async def stop(self) -> Sequence[str]:
        """End them, the front door first; returns the names of those that had to be killed."""
        for _, process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        return [
            program.name
            for program, process in self._running
            if not await ended_by_itself(process, STOP_SECONDS)
        ]

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    async def _until_ready(
        self, program: Program, process: asyncio.subprocess.Process, session: aiohttp.ClientSession
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while not await _answers(session, program.ready_url):
                    if process.returncode is not None:
                        raise self._ended(program, process.returncode)
                    await asyncio.sleep(_POLL_SECONDS)
                return
        raise DemoError(f"{program.name} is not ready after {READY_SECONDS:.0f} s.\n{self._tail(program)}")

    def _ended(self, program: Program, status: int) -> DemoError:
        return DemoError(f"{program.name} ended with status {status}.\n{self._tail(program)}")

    def _tail(self, program: Program) -> str:
        log = self.log_of(program.name)
        lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"The end of {log}:", *(f"  {line}" for line in lines)])


async def ended_by_itself(process: asyncio.subprocess.Process, within: float) -> bool:
    """Wait until a process that was asked to end has ended; one that does not within seconds is killed."""
    try:
        async with asyncio.timeout(within):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False
    return True


def refuse_taken_ports(programs: Sequence[Program]) -> None:
    """Raises DemoError naming every port that somebody else listens on."""
    taken = [
        f"  port {port} ({program.name})" for program in programs for port in program.ports if _is_taken(port)
    ]
    if taken:
        raise DemoError(
            "These ports are in use by another process:\n"
            + "\n".join(taken)
            + "\nIs the demo running in another terminal? End it there, or set DEMO_PORT_OFFSET=100 "
            "to move every port."
        )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, allow_redirects=False) as response:
            return response.status < 500  # noqa: PLR2004 - 503 is "not ready yet"
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _inherited() -> dict[str, str]:
    """The environment without settings of ours that a developer's shell may hold."""
    ours = (
        "ADMIN_",
        "AUDIT_",
        "AUTH_PROXY_",
        "TENANT_",
        "CF_ACCESS_",
        "CLOUDFLARE_ACCESS_",
        "INTERNAL_",
        "LOCAL_DEV_",
    )
    also = {"APP_ENV", "NODE_ENV", "ALLOW_DEV_ADMIN_AUTH", "ROSTER_MAX_STALENESS", "SMTP_URL", "MAIL_FROM"}
    also.add("OUTBOX_KEY_FILE")
    return {
        name: value for name, value in os.environ.items() if not name.startswith(ours) and name not in also
    }
