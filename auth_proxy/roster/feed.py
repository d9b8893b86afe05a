"""The roster as a feed from the admin service: the whole list in memory, never older than it may be.

No heartbeat for `max_staleness` seconds and the sidecar refuses everybody: a deactivation that it
did not hear of must not let anybody in (R-064). It reconnects by itself, with backoff and jitter.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.source import OperatorEntry
from service_kit.clock import Clock
from service_kit.identity.model import Role
from service_kit.identity.signing import SigningError
from service_kit.telemetry.logging import get_logger

FEED_TARGET: Final = "/internal/v1/roster/feed"
_MOST_LINE_BYTES: Final = 16 * 1024 * 1024
_LONGEST_WAIT: Final = 1.0
"""Seconds between two tries: short, because until it works nobody gets in."""

_log = get_logger(__name__)


class FeedObserver(Protocol):
    """Is told how the feed does; metrics are made of it."""

    def connected(self) -> None: ...
    def disconnected(self) -> None: ...
    def changed(self, version: int, operators: int) -> None: ...


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Operator(_Line):
    id: str
    sub: str
    email: str
    name: str
    role: Role
    active: bool

    def entry(self) -> OperatorEntry:
        return OperatorEntry(self.id, self.sub, self.email, self.name, self.role, self.active)


class _Snapshot(_Line):
    version: int
    operators: list[_Operator]


class _Change(_Line):
    version: int
    upserts: list[_Operator]
    removed: list[str]
    changed_at: float | None = Field(None, alias="changedAt")


class _Heartbeat(_Line):
    version: int


class _FeedBrokenError(Exception):
    """The feed ended, or said something that cannot be believed: begin again with a snapshot."""


_LOST: Final = (aiohttp.ClientError, OSError, TimeoutError, _FeedBrokenError, SigningError)


class FeedRoster:
    """The operators as the admin service told a moment ago.

    `took` is told how many seconds a change needed from its write until it decides here (R-064).
    """

    def __init__(
        self,
        link: AdminLink,
        clock: Clock,
        observer: FeedObserver,
        *,
        max_staleness: float = 3.0,
        took: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._took = took
        self._link = link
        self._clock = clock
        self._observer = observer
        self._max_staleness = max_staleness
        self._by_sub: Mapping[str, OperatorEntry] = {}
        self._emails: frozenset[str] = frozenset()
        self._version = 0
        self._heard_at = float("-inf")
        self._has_snapshot = False
        self._task: asyncio.Task[None] | None = None

    @property
    def version(self) -> int:
        return self._version

    @property
    def age_seconds(self) -> float:
        """Seconds since the admin service last confirmed the list; infinite before the first time."""
        return self._clock.monotonic() - self._heard_at

    @property
    def is_fresh(self) -> bool:
        return self.age_seconds <= self._max_staleness

    def find(self, sub: str, email: str) -> OperatorEntry | None:  # noqa: ARG002 - an address is no key (R-060)
        if not self.is_fresh:
            raise Refusal(Reason.ROSTER_UNAVAILABLE)
        return self._by_sub.get(sub)

    def binds_email(self, email: str) -> bool:
        return email in self._emails

    def learn(self, entry: OperatorEntry, version: int) -> OperatorEntry | None:
        """Know an operator who enrolled a moment ago, before the feed tells of it; what is known then.

        An answer that comes after the feed's own news is older than they are: it must not bring back
        an operator who was deactivated meanwhile (R-064).
        """
        if version > self._version:
            self._replace({**self._by_sub, entry.sub: entry}, self._version)
        return self._by_sub.get(entry.sub)

    async def start(self) -> None:
        """Follow the feed in the background; a service that is away does not stop the start."""
        self._task = asyncio.create_task(self._follow_forever())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow_forever(self) -> None:
        wait = 0.05
        while True:
            before = self._heard_at
            try:
                await self._follow()
            except (
                aiohttp.ClientError,
                OSError,
                TimeoutError,
                _FeedBrokenError,
                SigningError,
                ValueError,
            ) as error:
                _log.warning("roster_feed_lost", cause=type(error).__name__, version=self._version)
            self._observer.disconnected()
            wait = 0.05 if self._heard_at > before else min(wait * 2, _LONGEST_WAIT)
            # Jitter: a thousand sidecars must not come back in the same millisecond.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret

    async def _follow(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=1, sock_read=self._max_staleness)
        async with self._link.request("GET", FEED_TARGET, timeout=timeout) as response:
            if response.status != 200:  # noqa: PLR2004 - anything else is no feed
                raise _FeedBrokenError(f"status {response.status}")
            self._observer.connected()
            self._has_snapshot = False
            buffer = b""
            async for chunk in response.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    self._hear(line)
                if len(buffer) > _MOST_LINE_BYTES:
                    raise _FeedBrokenError("an endless line")

    def _hear(self, line: bytes) -> None:
        message = _parse(line)
        if not self._has_snapshot and not isinstance(message, _Snapshot):
            raise _FeedBrokenError("the feed does not begin with a snapshot")
        match message:
            case _Snapshot():
                self._has_snapshot = True
                self._replace({item.sub: item.entry() for item in message.operators}, message.version)
            case _Change():
                self._apply(message)
            case _Heartbeat() if message.version != self._version:
                raise _FeedBrokenError("a change was missed")
            case _:
                pass
        self._heard_at = self._clock.monotonic()

    def _apply(self, change: _Change) -> None:
        gone = {*change.removed, *(item.id for item in change.upserts)}
        kept = {sub: entry for sub, entry in self._by_sub.items() if entry.id not in gone}
        self._replace({**kept, **{item.sub: item.entry() for item in change.upserts}}, change.version)
        if change.changed_at:
            # Two machines' clocks: one that runs ahead of the other makes it no time, never less.
            self._took(max(self._clock.now().timestamp() - change.changed_at, 0.0))

    def _replace(self, by_sub: Mapping[str, OperatorEntry], version: int) -> None:
        self._by_sub = by_sub
        self._emails = frozenset(entry.email for entry in by_sub.values())
        self._version = version
        self._observer.changed(version, len(by_sub))


_KINDS: Final[dict[str, TypeAdapter[Any]]] = {
    "snapshot": TypeAdapter(_Snapshot),
    "change": TypeAdapter(_Change),
    "heartbeat": TypeAdapter(_Heartbeat),
}


class _Kind(_Line):
    type: str


def _parse(line: bytes) -> _Snapshot | _Change | _Heartbeat | None:
    """The message of a line; an unknown kind is skipped, so that a newer service can say more."""
    try:
        adapter = _KINDS.get(_Kind.model_validate_json(line).type)
        message: _Snapshot | _Change | _Heartbeat | None = adapter.validate_json(line) if adapter else None
    except ValidationError as error:
        raise _FeedBrokenError("a line that is no message") from error
    return message
