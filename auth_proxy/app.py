"""The sidecar's composition root: settings in, a running sidecar out.

Its parameters are the test seams: settings, clock, metrics registry. Nothing else in the package
builds one part out of another but `composition`, which it asks in order.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from auth_proxy.composition.data_path import connections_of, data_path_of
from auth_proxy.composition.decision import signer_of
from auth_proxy.composition.forward_auth import answer_proxies
from auth_proxy.composition.keys import access_keys, signing_ring
from auth_proxy.composition.measured import measured_lasting
from auth_proxy.composition.operators import operators_of
from auth_proxy.composition.parts import begin
from auth_proxy.composition.plan import PlanMaker, RoutesInForce
from auth_proxy.composition.reload import follow_routes
from auth_proxy.decision_log import DecisionLog, ProxyMetrics
from auth_proxy.gate import Gate
from auth_proxy.ops import access_keys_check, build_ops_app, signing_check
from auth_proxy.pipeline.authorize import Standing
from auth_proxy.settings import ProxySettings
from auth_proxy.transport.listener import GateServer, require_c_parser
from auth_proxy.transport.standing import Watch
from auth_proxy.workers.crew import Crew
from service_kit.clock import Clock, SystemClock
from service_kit.identity.signing import IdentitySigner
from service_kit.telemetry.logging import get_logger
from service_kit.web.ops import Departure, Opening, ReadinessCheck, ReadinessGauge
from service_kit.web.serving import Site, serving

_log = get_logger(__name__)


_ACCEPTS_PER_TURN: Final = 16
"""An idle turn that wakes for one connection asks fifteen times in vain, which costs 10 µs."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar that runs: what its two listeners answer with, and its metrics."""

    gate: GateServer
    ops: web.Application
    metrics: ProxyMetrics
    looks: tuple[Callable[[], None], ...] = ()
    departure: Departure = field(default_factory=Departure)
    opening: Opening = field(default_factory=Opening)
    opens_when: tuple[ReadinessCheck, ...] = ()
    """What the gate is opened for: before that, everybody would be refused."""
    own_pages: web.Application | None = None
    """Of a worker: what it tells the other workers of itself."""

    def reload(self) -> None:
        """Read signing keys, roster file and route file now; a broken one changes nothing."""
        _log.info("reload_requested")
        for look in self.looks:
            look()


async def run(settings: ProxySettings, stop: asyncio.Event, crew: Crew | None = None) -> None:
    """Serve until `stop` is set, then drain. Raises PortInUseError or KeyFileError before serving.

    A worker is told its `crew`: it serves on the sockets that it was given, and ends with its supervisor.

    SIGHUP, which would end the process, reads keys, roster and routes anew instead.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    async with contextlib.AsyncExitStack() as stack:
        if crew is not None:
            stack.enter_context(crew.bound_to_supervisor(stop))
        sidecar = await stack.enter_async_context(running(settings, registry=registry, crew=crew))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, sidecar.reload)
        sites = _sites(settings, sidecar, crew)
        sidecar.opening.is_awaited = True
        await stack.enter_async_context(serving(sites, drain_seconds=settings.drain_seconds))
        sidecar.opening.is_awaited = False
        if crew is not None:
            crew.tell_started()
        _settle()
        await stop.wait()
        await _be_a_lame_duck(settings, sidecar, crew)


def _settle() -> None:
    """What was made until now stays: the collector looks at what comes, and less often (8 % of a request)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _be_a_lame_duck(settings: ProxySettings, sidecar: Sidecar, crew: Crew | None) -> None:
    """Not ready any more, but still taking connections, until a load balancer has seen it."""
    sidecar.departure.has_begun = True
    is_orphan = crew is not None and crew.is_orphan
    _log.info("leaving", orphan=is_orphan)
    await asyncio.sleep(0 if is_orphan else settings.lame_duck_seconds)


def _sites(settings: ProxySettings, sidecar: Sidecar, crew: Crew | None) -> list[Site]:
    ops = Site("ops", settings.ops_listen, sidecar.ops, outlasts=True)
    gate = Site(
        "gate",
        settings.listen,
        sidecar.gate,
        accepts_per_turn=_ACCEPTS_PER_TURN,
        opens_when=sidecar.opens_when,
    )
    if crew is None or sidecar.own_pages is None:
        return [ops, gate]
    return [
        Site("crew", crew.listen, sidecar.own_pages, outlasts=True),
        replace(ops, inherited=crew.ops, has_successor=crew.has_successor),
        replace(gate, inherited=crew.gate, has_successor=crew.has_successor),
    ]


@asynccontextmanager
async def running(
    settings: ProxySettings,
    *,
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
    crew: Crew | None = None,
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
        in_force = RoutesInForce()
        watch = Watch(Standing(operators.roster, clock, settings.leeway_seconds, in_force))
        await begin(watch, stack)
        path = await data_path_of(settings, watch, metrics, stack)
        lasting = measured_lasting(settings, keys, operators, signer, clock, metrics=metrics)
        plans = PlanMaker(lasting, path, in_force)
        log = DecisionLog(metrics, clock)
        stack.callback(log.flush)
        gate = Gate(
            plans.make(settings),
            log,
            clock,
            denials=operators.denials,
            can_enroll=settings.admin_service is not None,
        )
        routes = await follow_routes(settings, plans, gate, metrics, stack)
        proves = access_keys_check(keys)
        serves = (signing_check(signer), *operators.checks, *routes.checks)
        departure, opening = Departure(), Opening()
        checks = [proves, *serves, opening.check, departure.check]
        ops, own_pages = _ops_pages(registry, checks, signer, crew)
        answer_proxies(ops, settings, gate, operators, log=log, clock=clock)
        if settings.dev_gate_is_open:
            _log.warning("development_gate_open", meaning="everybody on this machine is an operator")
        looks = (ring.look, *operators.looks, *routes.looks)
        metrics.in_flight.set_function(lambda: gate.in_flight)
        server = GateServer(
            gate,
            gate.refuse_unparsed,
            connections_of(settings, metrics),
            leaving=path.websockets.leave,
            at_once=gate.answer_at_once,
            departs=lambda: departure.has_begun,
        )
        # The development gate lets in without a token: it waits for no keys to prove one.
        opens_when = serves if settings.dev_gate_is_open else (proves, *serves)
        yield Sidecar(server, ops, metrics, looks, departure, opening, opens_when, own_pages)


def _ops_pages(
    registry: CollectorRegistry, checks: list[ReadinessCheck], signer: IdentitySigner, crew: Crew | None
) -> tuple[web.Application, web.Application | None]:
    """What the operations listener answers; of a worker also what it answers to the others."""
    ready = ReadinessGauge(registry, "auth_proxy", checks)
    if crew is None:
        return build_ops_app(registry, checks, signer, ready=ready), None
    everyone = [*checks, crew.readiness]
    ops = build_ops_app(registry, everyone, signer, page=lambda: crew.metrics_page(registry), ready=ready)
    return ops, crew.own_pages(registry, checks, ready=ready)
