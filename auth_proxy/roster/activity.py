"""Who was here, sent to the admin service in batches; losing a batch is harmless (R-065).

Nothing here can slow or fail a request: a request only writes one dictionary entry.
"""

import asyncio
import contextlib
from datetime import datetime
from typing import Final

import aiohttp

from auth_proxy.roster.admin_link import AdminLink
from service_kit.clock import Clock
from service_kit.identity.signing import SigningError
from service_kit.telemetry.logging import get_logger

ACTIVITY_TARGET: Final = "/internal/v1/operators/activity"
EVERY_SECONDS: Final = 30.0
_MOST_IN_A_BATCH: Final = 500
"""Fits the 64 KiB that the service reads, however many operators there are."""

_log = get_logger(__name__)


class BatchedActivity:
    """Collects the latest time per operator and reports it every 30 s."""

    def __init__(self, link: AdminLink, clock: Clock, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._link = link
        self._clock = clock
        self._every_seconds = every_seconds
        self._seen: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    def seen(self, operator_id: str) -> None:
        self._seen[operator_id] = self._clock.now()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._report_forever())

    async def close(self) -> None:
        """Stop, with one last report."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._report()

    async def _report_forever(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            await self._report()

    async def _report(self) -> None:
        seen, self._seen = self._seen, {}
        sightings = [{"id": operator, "at": at.isoformat()} for operator, at in seen.items()]
        for first in range(0, len(sightings), _MOST_IN_A_BATCH):
            await self._send(sightings[first : first + _MOST_IN_A_BATCH])

    async def _send(self, batch: list[dict[str, str]]) -> None:
        body = {"seen": batch}
        try:
            async with self._link.request("POST", ACTIVITY_TARGET, json=body) as response:
                await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError, SigningError) as error:
            _log.info("activity_not_reported", cause=type(error).__name__)
