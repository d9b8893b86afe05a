"""The live parts that `doctor` and `explain` share: the team's keys, and the roster, for one moment.

It serves nobody and writes nothing: no activity, no denial, and no enrollment is ever claimed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from auth_proxy.access.jwk_set import parse_jwk_set
from auth_proxy.access.key_set import KeySet, RemoteKeySet, StaticKeySet
from auth_proxy.access.key_source import HttpKeySource
from auth_proxy.composition.decision import signer_of
from auth_proxy.composition.operators import Operators
from auth_proxy.forwarding import Headers
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.feed import FeedRoster
from auth_proxy.roster.file import FileRoster, RosterFileError, load_operators
from auth_proxy.roster.open import NoActivity, NoDenials, OpenRoster
from auth_proxy.roster.source import OperatorEntry, Roster
from auth_proxy.settings import ProxySettings
from auth_proxy.watched import Watched
from service_kit.clock import Clock
from service_kit.identity.keys import load_signing_keys
from service_kit.identity.model import Role
from service_kit.identity.signing import IdentitySigner

SNAPSHOT_SECONDS: Final = 3.0
"""How long a feed may take to tell who is an operator: what ROSTER_MAX_STALENESS is by default."""


@dataclass(slots=True)
class FeedWatch:
    """What a feed has told so far."""

    operators: int = 0
    has_answered: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def connected(self) -> None:
        self.has_answered = True

    def disconnected(self) -> None:
        """The roster itself knows."""

    def changed(self, version: int, operators: int) -> None:  # noqa: ARG002 - the FeedObserver protocol
        self.operators = operators
        self.told.set()


class ClaimsNothing:
    """Refuses as if there were no enrollment token: to explain a request must not use one up."""

    async def claim(self, sub: str, email: str, token: str, origin: Headers) -> OperatorEntry:  # noqa: ARG002 - the protocol
        raise Refusal(Reason.ENROLLMENT_REQUIRED, "an enrollment token was sent; it is not tried here")


def fresh_signer(settings: ProxySettings, clock: Clock) -> IdentitySigner:
    """A signer with the keys as the files are now. Raises KeyFileError."""
    keys = load_signing_keys(settings.signing_key_file)
    return signer_of(settings, lambda: keys, clock)


@asynccontextmanager
async def team_keys(settings: ProxySettings, clock: Clock, jwks: bytes | None) -> AsyncIterator[KeySet]:
    """The team's keys: those of a document, or fetched now. Raises KeyRefreshError for a bad document."""
    if jwks is not None:
        yield StaticKeySet(parse_jwk_set(jwks))
        return
    source = HttpKeySource(
        settings.certs_url, clock=clock, insecure_allow_loopback_http=settings.is_development
    )
    keys = RemoteKeySet(source, clock=clock)
    await keys.start()
    try:
        yield keys
    finally:
        await keys.close()


@asynccontextmanager
async def operators_now(
    settings: ProxySettings, signer: IdentitySigner, clock: Clock
) -> AsyncIterator[Operators]:
    """The roster as it is now. Raises RosterFileError; a feed that tells nothing makes a stale roster."""
    kind, _, detail = settings.roster_source.partition(":")
    if kind == "open":
        yield _reading(OpenRoster(Role(detail)))
    elif kind == "file":
        yield _reading(FileRoster(Watched(Path(detail), load_operators, expected=RosterFileError)))
    else:
        async with feed_now(settings, signer, clock, FeedWatch()) as roster:
            yield _reading(roster)


@asynccontextmanager
async def feed_now(
    settings: ProxySettings, signer: IdentitySigner, clock: Clock, watch: FeedWatch
) -> AsyncIterator[FeedRoster]:
    """The roster feed, after its first snapshot or after three seconds without one.

    Raises ValueError without ADMIN_SERVICE_URL, which the settings do not allow for a feed.
    """
    if settings.admin_service is None:
        raise ValueError("ADMIN_SERVICE_URL is not set")
    link = AdminLink(settings.admin_service, signer)
    roster = FeedRoster(link, clock, watch, max_staleness=settings.roster_max_staleness)
    async with contextlib.AsyncExitStack() as stack:
        for part in (link, roster):
            await part.start()
            stack.push_async_callback(part.close)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SNAPSHOT_SECONDS):
                await watch.told.wait()
        yield roster


def _reading(roster: Roster) -> Operators:
    return Operators(roster, ClaimsNothing(), NoActivity(), NoDenials())
