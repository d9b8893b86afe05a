"""A service of one's own for tests of the kit: the real middlewares over endpoints that a test names."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityVerifier, PublicKeys, VerifierPolicy
from service_kit.telemetry.metrics import RequestMetrics
from service_kit.web.api import MOST_BODY_BYTES, Endpoint, mount
from service_kit.web.guard import GuardMetrics, guard_middleware
from service_kit.web.measuring import measuring_middleware
from service_kit.web.problems import problem_middleware
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import ISSUER, Vouch

AUDIENCE = "kit"
DELEGATE = "admin_service"


class KitApp:
    """The running service, and proofs that it accepts."""

    def __init__(self, client: "TestClient[Any, Any]", vouch: Vouch, registry: CollectorRegistry) -> None:
        self.client = client
        self.vouch = vouch
        self.registry = registry

    async def send(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """Bytes as they are over a socket of their own; the status and document that come back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.client.server.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length.group(1)) if length else 0)
        writer.close()
        return int(head.split()[1]), json.loads(body or b"{}")

    def refusals(self, reason: str) -> float:
        return self.registry.get_sample_value("kit_identity_refused_total", {"reason": reason}) or 0.0

    def series(self) -> int:
        """How many time series the metrics page has."""
        return sum(len(family.samples) for family in self.registry.collect())


class _ServerAsInProduction(TestServer):
    """aiohttp's test server cuts a handler off when its client leaves; ours do not."""

    async def _make_runner(self, **kwargs: Any) -> web.BaseRunner:
        return await super()._make_runner(**{**kwargs, "handler_cancellation": False})


@asynccontextmanager
async def kit_app(
    endpoints: Iterable[Endpoint] = (),
    *,
    accepts_delegation: bool = False,
    keys: PublicKeys | None = None,
) -> AsyncIterator[KitApp]:
    clock, registry = FrozenClock(), CollectorRegistry()
    vouch = Vouch(clock)
    policy = VerifierPolicy(ISSUER, AUDIENCE, delegate=DELEGATE)
    verifier = IdentityVerifier(policy, keys or vouch.public_keys, MemoryReplayGuard(clock), clock)
    guard = guard_middleware(verifier, GuardMetrics(registry, "kit"), accepts_delegation=accepts_delegation)
    measuring = measuring_middleware(RequestMetrics(registry, "kit"), clock)
    app = web.Application(
        client_max_size=MOST_BODY_BYTES, middlewares=[measuring, problem_middleware(), guard]
    )
    mount(app, endpoints)
    async with TestClient(_ServerAsInProduction(app)) as client:
        yield KitApp(client, vouch, registry)
