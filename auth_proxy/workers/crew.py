"""The workers of one sidecar, as one of them sees them: what they measure, and whether all are ready.

They know each other by unix sockets in a folder that only their user may enter, and wait one second
for each other at most. No request of a client depends on another worker.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from auth_proxy.workers.inherited import ALL_LEAVE, STARTED, Inherited, listening_sockets
from auth_proxy.workers.metrics_page import render, snapshot
from service_kit.settings import Listen
from service_kit.web.ops import Readiness, ReadinessCheck, ReadinessGauge, ops_app
from service_kit.web.service_url import ServiceUrl, open_session

ASK_SECONDS: Final = 1.0
ORPHAN_SECONDS: Final = 1.5
_OK: Final = 200
_UNAVAILABLE: Final = 503


class Crew:
    """All workers of a sidecar, from the place of one."""

    def __init__(self, inherited: Inherited) -> None:
        self.number = inherited.number
        self.gate = listening_sockets(inherited.gate)
        self.ops = listening_sockets(inherited.ops)
        self._lifeline = socket.socket(fileno=inherited.lifeline)
        self._lifeline.setblocking(False)  # noqa: FBT003 - the method's only argument
        self._folder = Path(inherited.folder)
        self.is_orphan = False
        self._all_leave = False
        self._others = tuple(number for number in range(inherited.workers) if number != inherited.number)

    @property
    def listen(self) -> Listen:
        """Where this worker answers the others."""
        return Listen(path=str(self._socket(self.number)))

    def own_pages(
        self,
        registry: CollectorRegistry,
        checks: Sequence[ReadinessCheck],
        *,
        ready: ReadinessGauge | None = None,
    ) -> web.Application:
        """What this worker tells the others of itself alone."""

        async def measured(_request: web.Request) -> web.Response:
            if ready is not None:
                await ready.look()
            return web.Response(body=snapshot(registry), content_type="application/json")

        app = ops_app(registry, checks)
        app.router.add_get("/snapshot", measured)
        return app

    async def metrics_page(self, registry: CollectorRegistry) -> tuple[bytes, str]:
        """The page of all workers; `auth_proxy_worker_up` tells who did not answer."""
        told = await asyncio.gather(*(self._ask(number, "/snapshot", _OK) for number in self._others))
        snapshots = {self.number: snapshot(registry), **dict(zip(self._others, told, strict=True))}
        # A thread: many workers make a long page, and the requests of clients go on meanwhile.
        return await asyncio.to_thread(render, snapshots)

    async def readiness(self) -> Readiness:
        """Ready when every other worker is."""
        told = await asyncio.gather(*(self._unready(number) for number in self._others))
        waiting = [text for text in told if text]
        return Readiness("workers", ready=not waiting, detail="; ".join(waiting))

    async def _unready(self, number: int) -> str:
        answer = await self._ask(number, "/readyz", _OK, _UNAVAILABLE)
        if answer is None:
            return f"worker {number} does not answer"
        checks = json.loads(answer)["checks"]
        waiting = [f"{check['name']} {check['detail']}".strip() for check in checks if not check["ready"]]
        return f"worker {number}: {', '.join(waiting)}" if waiting else ""

    async def _ask(self, number: int, path: str, *expected: int) -> bytes | None:
        url = ServiceUrl("http://localhost", str(self._socket(number)))
        try:
            async with (
                asyncio.timeout(ASK_SECONDS),
                open_session(url, limit=1) as session,
                session.get(f"{url.base}{path}") as answer,
            ):
                return await answer.read() if answer.status in expected else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def _socket(self, number: int) -> Path:
        return self._folder / f"{number}.sock"

    def tell_started(self) -> None:
        """Let the supervisor know that this worker serves."""
        with contextlib.suppress(OSError):
            self._lifeline.send(STARTED)

    def has_successor(self) -> bool:
        """Whether the supervisor starts another worker with these sockets when this one ends."""
        return self._has_supervisor() and not self._all_leave

    def _has_supervisor(self) -> bool:
        """Hear what it has said until now; its end of the line closes with it."""
        try:
            while told := self._lifeline.recv(64):
                self._all_leave |= ALL_LEAVE in told
        except BlockingIOError:
            return True
        except ConnectionError:  # as good as closed
            pass
        return False

    @contextmanager
    def bound_to_supervisor(self, stop: asyncio.Event) -> Iterator[None]:
        """When the supervisor goes, however it goes, set `stop`; after a second and a half end anyhow."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            if self._has_supervisor():
                return
            loop.remove_reader(self._lifeline)
            self.is_orphan = True
            stop.set()
            loop.call_later(ORPHAN_SECONDS, self._end_at_once)

        loop.add_reader(self._lifeline, look)
        try:
            yield
        finally:
            loop.remove_reader(self._lifeline)
            self._clear_away()

    def _end_at_once(self) -> None:
        """Whatever is still running: a worker nobody keeps must not hold its part of the port."""
        self._clear_away()
        os._exit(1)

    def _clear_away(self) -> None:
        """The last of an orphaned crew takes the folder with it, as nobody else will."""
        if self.is_orphan:
            with contextlib.suppress(OSError):
                self._socket(self.number).unlink(missing_ok=True)
                self._folder.rmdir()
