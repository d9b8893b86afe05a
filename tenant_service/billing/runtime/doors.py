"""Two kinds of callers, two kinds of keys: which proof counts is decided by the endpoint alone.

The runtime's key opens the runtime's endpoints and nothing else; the sidecar's key opens everything else
and not these. The endpoint that the router chose decides, never the spelling of a path, so no detour in a
URL brings one caller's proof to the other's door (ADR 0024).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Middleware

from service_kit.clock import Clock
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityVerifier, PublicKeys, VerifierPolicy
from service_kit.web.api import Endpoint
from service_kit.web.guard import GuardMetrics, guard_middleware
from service_kit.web.jwks_source import JwksSource, open_jwks_source
from service_kit.web.ops import Readiness, ReadinessCheck
from service_kit.web.problems import Handler


class NoKeys:
    """The keys where no runtime is registered: none is ever found, so nobody is let in."""

    async def key(self, _kid: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class RuntimeDoor:
    """The registered keys of the runtime, and the guard that believes them."""

    policy: VerifierPolicy
    source: JwksSource | None

    @classmethod
    def of(cls, keys_file: Path | None, issuer: str, audience: str, clock: Clock) -> Self:
        """Without a key file there is a door, but no key that fits it."""
        source = open_jwks_source(url=None, file=keys_file, clock=clock) if keys_file is not None else None
        return cls(VerifierPolicy(issuer=issuer, audience=audience), source)

    def guard(self, metrics: GuardMetrics, clock: Clock) -> Middleware:
        keys: PublicKeys = self.source or NoKeys()
        verifier = IdentityVerifier(self.policy, keys, MemoryReplayGuard(clock), clock)
        return guard_middleware(verifier, metrics)

    @property
    def checks(self) -> list[ReadinessCheck]:
        return [self._readiness] if self.source is not None else []

    async def _readiness(self) -> Readiness:
        loaded = self.source is None or (await self.source.readiness()).ready
        return Readiness("credits_keys", loaded, "" if loaded else "CREDITS_KEYS_FILE was never loaded")


def two_doors(others: Middleware, runtime: Middleware, endpoints: Iterable[Endpoint]) -> Middleware:
    """The guard of the runtime for these endpoints, and the other one for all the rest, 404s included."""
    paths = frozenset(endpoint.path for endpoint in endpoints)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        guard = runtime if resource is not None and resource.canonical in paths else others
        return await guard(request, handler)

    return middleware
