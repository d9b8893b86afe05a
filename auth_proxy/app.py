"""The sidecar's composition root: settings in, a running sidecar out.

Its parameters are the test seams: settings, clock, metrics registry. Nothing else in the package
builds one part out of another but `composition`, which it asks in order.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from auth_proxy.composition.data_path import connections_of, forwarder_of, websockets_of
from auth_proxy.composition.decision import pipeline_of, signer_of
from auth_proxy.composition.keys import access_keys, signing_ring
from auth_proxy.composition.operators import operators_of
from auth_proxy.composition.parts import begin
from auth_proxy.decision_log import DecisionLog, ProxyMetrics
from auth_proxy.gate import Gate, Plan
from auth_proxy.ops import access_keys_check, build_ops_app, signing_check
from auth_proxy.pipeline.authorize import Standing
from auth_proxy.settings import ProxySettings
from auth_proxy.transport.listener import GateServer, require_c_parser
from auth_proxy.transport.standing import Watch
from service_kit.clock import Clock, SystemClock
from service_kit.telemetry.logging import get_logger
from service_kit.web.serving import Site, serving

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar that runs: what its two listeners answer with, and its metrics."""

    gate: GateServer
    ops: web.Application
    metrics: ProxyMetrics
    looks: tuple[Callable[[], None], ...] = ()

    def reload(self) -> None:
        """Read the signing keys and the roster file now, if they changed; a broken one changes nothing."""
        _log.info("reload_requested")
        for look in self.looks:
            look()


async def run(settings: ProxySettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain. Raises PortInUseError or KeyFileError before serving.

    SIGHUP, which would end the process, reads keys and roster anew instead.
    """
    async with running(settings) as sidecar:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, sidecar.reload)
        sites = [
            Site("ops", settings.ops_listen, sidecar.ops),
            Site("gate", settings.listen, sidecar.gate),
        ]
        async with serving(sites, drain_seconds=settings.drain_seconds):
            await stop.wait()


@asynccontextmanager
async def running(
    settings: ProxySettings, *, clock: Clock | None = None, registry: CollectorRegistry | None = None
) -> AsyncIterator[Sidecar]:
    """A sidecar with its background work started; nothing listens yet."""
    require_c_parser()
    clock = clock or SystemClock()
    registry = registry or CollectorRegistry()
    metrics = ProxyMetrics(registry)
    async with contextlib.AsyncExitStack() as stack:
        ring = await signing_ring(settings, clock, metrics, stack)
        signer = signer_of(settings, ring.current, clock)
        keys = await access_keys(settings, clock, metrics, stack)
        operators = await operators_of(settings, signer, clock, metrics, stack)
        watch = Watch(Standing(operators.roster, clock, settings.leeway_seconds))
        await begin(watch, stack)
        websockets = await websockets_of(settings, watch, metrics, stack)
        gate = Gate(
            Plan(
                pipeline_of(settings, keys, operators, signer, clock),
                await forwarder_of(settings, watch, websockets, metrics, stack),
            ),
            DecisionLog(metrics),
            clock,
            denials=operators.denials,
            can_enroll=settings.admin_service is not None,
        )
        checks = [access_keys_check(keys), signing_check(signer), *operators.checks]
        ops = build_ops_app(registry, checks, signer)
        if settings.dev_gate_is_open:
            _log.warning("development_gate_open", meaning="everybody on this machine is an operator")
        looks = (ring.look, *operators.looks)
        server = GateServer(
            gate, gate.refuse_unparsed, connections_of(settings, metrics), leaving=websockets.leave
        )
        yield Sidecar(server, ops, metrics, looks)
