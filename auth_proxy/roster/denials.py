"""Denials for the audit log, told to the admin service so that no attacker can fill it (R-130).

The first denial of a person for a reason is told within seconds; those that follow are counted and
told as one row when the quiet time is over. Nothing here can slow or fail a request.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

import aiohttp

from auth_proxy.refusals import Reason
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.source import Denied
from service_kit.clock import Clock
from service_kit.identity.signing import SigningError
from service_kit.telemetry.logging import get_logger

DENIALS_TARGET: Final = "/internal/v1/access-denials"
EVERY_SECONDS: Final = 5.0
QUIET_SECONDS: Final = 900.0
MOST_KEPT: Final = 1000
_MOST_IN_A_BATCH: Final = 10
"""Fits the 64 KiB that the service reads, also when every character is escaped."""
_MOST_USER_AGENT: Final = 200

_log = get_logger(__name__)
_Key = tuple[Reason, str]


@dataclass(slots=True)
class _Pending:
    """What was denied to one person for one reason and is not told yet."""

    sample: Denied
    first_at: datetime
    last_at: datetime
    count: int = 0
    quiet_until: float = float("-inf")

    def as_dict(self) -> dict[str, object]:
        sample = self.sample
        return {
            "reason": sample.reason.value,
            "sub": sample.sub,
            "email": sample.email,
            "operatorId": sample.operator_id or None,
            "route": sample.route,
            "count": self.count,
            "firstAt": self.first_at.isoformat(),
            "lastAt": self.last_at.isoformat(),
            "ip": sample.ip,
            "userAgent": _printable(sample.user_agent)[:_MOST_USER_AGENT],
            "requestId": sample.request_id,
        }


class AggregatedDenials:
    """Collects denials by reason and subject and reports them in batches."""

    def __init__(self, link: AdminLink, clock: Clock, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._link = link
        self._clock = clock
        self._every_seconds = every_seconds
        self._pending: dict[_Key, _Pending] = {}
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def note(self, denied: Denied) -> None:
        now = self._clock.now()
        known = self._pending.get((denied.reason, denied.sub))
        if known is None:
            if len(self._pending) >= MOST_KEPT:
                self._dropped += 1
                return
            known = _Pending(denied, now, now)
            self._pending[denied.reason, denied.sub] = known
        if known.count == 0:
            known.sample, known.first_at = denied, now
        known.last_at = now
        known.count += 1

    async def start(self) -> None:
        self._task = asyncio.create_task(self._report_forever())

    async def close(self) -> None:
        """Stop, with one last report of everything that was not told."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._report(self._untold())

    async def _report_forever(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            await self.report_due()

    @property
    def kept(self) -> int:
        """How many pairs of reason and person are remembered."""
        return len(self._pending)

    async def report_due(self) -> None:
        """Tell what is new, and what was quiet for long enough."""
        self._forget_quiet()
        now = self._clock.monotonic()
        await self._report([entry for entry in self._untold() if entry.quiet_until <= now])

    def _untold(self) -> list[_Pending]:
        return [entry for entry in self._pending.values() if entry.count]

    def _forget_quiet(self) -> None:
        now = self._clock.monotonic()
        over = [key for key, entry in self._pending.items() if not entry.count and entry.quiet_until <= now]
        for key in over:
            del self._pending[key]

    async def _report(self, entries: list[_Pending]) -> None:
        for first in range(0, len(entries), _MOST_IN_A_BATCH):
            await self._send(entries[first : first + _MOST_IN_A_BATCH])

    async def _send(self, batch: list[_Pending]) -> None:
        told = [(entry, entry.count) for entry in batch]
        dropped = self._dropped
        body = {"denials": [entry.as_dict() for entry in batch], "dropped": dropped}
        try:
            async with self._link.request("POST", DENIALS_TARGET, json=body) as response:
                await response.read()
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, SigningError) as error:
            _log.warning("denials_not_reported", cause=type(error).__name__, entries=len(batch))
            return
        if status != HTTPStatus.NO_CONTENT:
            _log.warning("denials_not_reported", cause=f"status {status}", entries=len(batch))
            if not _is_final(status):
                return  # told again: rather twice than never
        self._dropped -= dropped
        for entry, count in told:
            entry.count -= count
            entry.quiet_until = self._clock.monotonic() + QUIET_SECONDS


def _is_final(status: int) -> bool:
    """Whether the same report would be refused for ever; the decision log still has its lines."""
    return status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
