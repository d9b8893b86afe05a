"""Starts the workers of a sidecar, keeps their sockets open, and replaces a worker that dies.

It answers no client and reads no token. While a worker is replaced, the connections of its sockets wait;
none is refused. When the supervisor ends, however it ends, so do its workers.
"""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from auth_proxy.settings import ProxySettings
from auth_proxy.workers.processes import Worker, how_it_ended, start_worker, worker_command
from service_kit.clock import Clock, SystemClock
from service_kit.settings import Listen
from service_kit.telemetry.logging import get_logger
from service_kit.web.listening import Opened, open_listeners

EXIT_CONFIGURATION: Final = 2
QUICK_SECONDS: Final = 10.0
MOST_QUICK_DEATHS: Final = 5
_FIRST_WAIT: Final = 0.1
_GRACE_SECONDS: Final = 5.0
"""What a worker may need beside its drain time, before it is killed."""

_log = get_logger(__name__)


class WorkersFailedError(Exception):
    """The workers cannot run: the sidecar has stopped. `status` is what it should exit with."""

    def __init__(self, problem: str, status: int = 1) -> None:
        super().__init__(problem)
        self.status = status


@dataclass(slots=True)
class Deaths:
    """How often a worker died soon after its start, one time after the other."""

    quick: int = 0

    def count(self, lived: float) -> float:
        """Seconds to wait before the next start. Raises WorkersFailedError when no start helps."""
        self.quick = self.quick + 1 if lived < QUICK_SECONDS else 0
        if self.quick >= MOST_QUICK_DEATHS:
            raise WorkersFailedError(
                f"a worker ended {self.quick} times within {QUICK_SECONDS:.0f} s of its start; "
                "the log lines before this one say why"
            )
        # A worker that had lived is replaced at once.
        return _FIRST_WAIT * 2**self.quick if self.quick > 1 else 0.0


@dataclass(slots=True)
class Supervisor:
    """Keeps the workers of one sidecar."""

    settings: ProxySettings
    environ: Mapping[str, str]
    clock: Clock = field(default_factory=SystemClock)
    command: Sequence[str] = field(default_factory=worker_command)
    _alive: dict[int, Worker] = field(default_factory=dict)
    _has_served: bool = False
    _is_hurried: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then let all workers drain.

        Raises PortInUseError before any is started, and WorkersFailedError when they cannot be kept.
        """
        with (
            _opened("ops", self.settings, self.settings.ops_listen) as ops,
            _opened("gate", self.settings, self.settings.listen) as gate,
            tempfile.TemporaryDirectory(prefix="auth-proxy-", ignore_cleanup_errors=True) as folder,
        ):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
            keeping = asyncio.create_task(self._keep_all(gate, ops, folder))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if keeping.done():
                    await keeping
            finally:
                await _cancelled(stopping, keeping)
                # The workers alone hold the sockets now: when they close them, they are closed. One with a
                # file stays: while it is there, no successor's file can have the same inode number.
                for opened in (gate, ops):
                    if opened.file is None:
                        opened.close()
                await self._stop_all()
        if self._is_hurried:
            raise WorkersFailedError("a second signal ended the workers before they had drained")

    def hurry(self, _number: int) -> None:
        """End every worker at once, whatever it does."""
        self._is_hurried = True
        self._pass_on(signal.SIGKILL)

    def _pass_on(self, number: signal.Signals) -> None:
        _log.info("signal_passed_on", signal=number.name, workers=sorted(self._alive))
        for worker in self._alive.values():
            worker.send(number)

    async def _keep_all(self, gate: Opened, ops: Opened, folder: str) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self.settings.workers):
                    group.create_task(self._keep(number, gate, ops, folder))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # the first one to fail cancels the others

    async def _keep(self, number: int, gate: Opened, ops: Opened, folder: str) -> None:
        """Start one worker again and again."""
        deaths = Deaths()
        while True:
            started = self.clock.monotonic()
            worker = start_worker(
                self.command,
                self.environ,
                number=number,
                workers=self.settings.workers,
                gate=gate.sets[number],
                ops=ops.sets[number],
                folder=folder,
            )
            self._alive[number] = worker
            _log.info("worker_started", worker=number, pid=worker.process.pid)
            self._has_served |= await worker.started()
            status = await worker.ended()
            del self._alive[number]
            lived = self.clock.monotonic() - started
            how = how_it_ended(status)
            _log.error("worker_died", worker=number, pid=worker.process.pid, lived=round(lived, 1), **how)
            if status == EXIT_CONFIGURATION and not self._has_served:
                raise WorkersFailedError("the configuration is refused", EXIT_CONFIGURATION)
            await asyncio.sleep(deaths.count(lived))

    async def _stop_all(self) -> None:
        """Ask every worker to drain, and kill those that cannot end."""
        for worker in self._alive.values():
            worker.tell_that_all_leave()
        self._pass_on(signal.SIGTERM)
        patience = self.settings.lame_duck_seconds + self.settings.drain_seconds + _GRACE_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asyncio.gather(*(worker.ended() for worker in self._alive.values()))
        late = [worker for worker in self._alive.values() if worker.process.poll() is None]
        for worker in late:
            _log.error("worker_killed", worker=worker.number, pid=worker.process.pid, after=patience)
            worker.send(signal.SIGKILL)
            worker.process.wait()
        for worker in self._alive.values():
            worker.lifeline.close()


@contextmanager
def _opened(name: str, settings: ProxySettings, listen: Listen) -> Iterator[Opened]:
    opened = open_listeners(name, listen, acceptors=settings.workers)
    try:
        yield opened
    finally:
        if opened.file is not None:
            opened.file.remove()
        opened.close()


async def _cancelled(*tasks: "asyncio.Task[object]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
