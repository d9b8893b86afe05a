"""One worker as a process: how it is started, what it inherits, and how it ended.

It decides nothing about a worker that ended: the supervisor does.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import auth_proxy
from auth_proxy.workers.inherited import ALL_LEAVE, Inherited

_LOOK_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that was started; `lifeline` ends when it ends."""

    number: int
    process: "subprocess.Popen[bytes]"
    lifeline: socket.socket

    async def started(self) -> bool:
        """Whether it serves, as soon as that is known; False when it ended before."""
        return bool(await self._told())

    async def ended(self) -> int:
        """Its exit status, when it has ended; a negative one is the signal that ended it."""
        while self.lifeline.fileno() >= 0 and await self._told():
            pass
        self.lifeline.close()
        # The line ends with the process, a moment before the system has its status.
        while True:
            status = self.process.poll()
            if status is not None:
                return status
            await asyncio.sleep(_LOOK_SECONDS)

    async def _told(self) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await asyncio.get_running_loop().sock_recv(self.lifeline, 1)
        return b""

    def tell_that_all_leave(self) -> None:
        """Let it know that nobody goes on with its sockets when it ends."""
        with contextlib.suppress(OSError):  # it has ended already
            self.lifeline.send(ALL_LEAVE)

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it has not ended."""
        self.process.send_signal(number)


def worker_command() -> tuple[str, ...]:
    """What a worker is started with: this very interpreter and package."""
    # `-m` would look into the working folder first, where anything may lie: only where the package
    # itself was found there.
    is_here = Path(auth_proxy.__path__[0]).parent == Path.cwd()
    return (sys.executable, *(() if is_here else ("-P",)), "-m", "auth_proxy", "run")


def start_worker(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    number: int,
    workers: int,
    gate: Sequence[socket.socket],
    ops: Sequence[socket.socket],
    folder: str,
) -> Worker:
    """A new process that has these sockets, the end of a line to this one, and nothing else of ours."""
    ours, theirs = socket.socketpair()
    with theirs:
        place = Inherited(
            number,
            workers,
            tuple(each.fileno() for each in gate),
            tuple(each.fileno() for each in ops),
            theirs.fileno(),
            folder,
        )
        with _held(signal.SIGHUP, signal.SIGINT):
            process = subprocess.Popen(  # noqa: S603 - our own program, and no word of it from outside
                command,
                env={**environ, **place.environment()},
                pass_fds=place.descriptors,
                stdin=subprocess.DEVNULL,
            )
    ours.setblocking(False)  # noqa: FBT003 - the method's only argument
    return Worker(number, process, ours)


@contextmanager
def _held(*numbers: signal.Signals) -> Iterator[None]:
    """A process started meanwhile gets these signals only when it lets them in: they cannot end it before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def how_it_ended(status: int) -> dict[str, str | int]:
    """The fields of a log line about an exit status."""
    if status >= 0:
        return {"exit_status": status}
    try:
        return {"signal": signal.Signals(-status).name}
    except ValueError:
        return {"signal": -status}
