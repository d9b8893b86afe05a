"""The sidecar's composition root: settings in, a running sidecar out.

Its parameters are the test seams: settings, clock, metrics registry. Nothing else in the package
builds one part out of another.
"""

import asyncio
import contextlib
import ipaddress
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from auth_proxy.access.errors import RefreshOutcome
from auth_proxy.access.key_set import KeySet, RemoteKeySet
from auth_proxy.access.key_source import HttpKeySource
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.boot_exchange import BootExchange
from auth_proxy.decision_log import DecisionLog, ProxyMetrics
from auth_proxy.destinations import Destination, StaticFolder
from auth_proxy.gate import Gate, Pipeline
from auth_proxy.header_names import letters
from auth_proxy.key_ring import KeyRing
from auth_proxy.ops import access_keys_check, build_ops_app, roster_check, signing_check
from auth_proxy.pipeline.admit import AdmitPolicy
from auth_proxy.pipeline.authenticate import Authenticator, InsecureDevAuthenticator
from auth_proxy.pipeline.authorize import Authorizer, Standing
from auth_proxy.pipeline.screen import ScreenPolicy
from auth_proxy.pipeline.vouch import Voucher
from auth_proxy.refusals import Reason
from auth_proxy.roster.activity import BatchedActivity
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.denials import AggregatedDenials
from auth_proxy.roster.enrollment import FeedEnrollment
from auth_proxy.roster.feed import FeedRoster
from auth_proxy.roster.file import FileRoster, RosterFileError, load_operators
from auth_proxy.roster.open import NoActivity, NoDenials, NoEnrollment, OpenRoster
from auth_proxy.roster.source import Activity, Denials, Enrollment, Roster
from auth_proxy.routes import (
    BUILT_IN,
    ON_EVERY_HOST,
    Route,
    RouteTable,
    Target,
    boot_exchange_route,
    frontend_route,
    welcome_route,
)
from auth_proxy.settings import ProxySettings
from auth_proxy.transport.connections import ConnectionPolicy, Connections, Shed
from auth_proxy.transport.dispatch import Dispatch
from auth_proxy.transport.listener import GateServer, require_c_parser
from auth_proxy.transport.relay import Relay
from auth_proxy.transport.standing import Watch
from auth_proxy.transport.static_files import StaticFiles
from auth_proxy.transport.tunnel import Cause
from auth_proxy.transport.websocket import WebSocketRelay
from auth_proxy.watched import Watched
from service_kit.clock import Clock, SystemClock
from service_kit.identity.keys import SigningKey
from service_kit.identity.model import Role
from service_kit.identity.signing import IdentitySigner
from service_kit.settings import Listen
from service_kit.telemetry.logging import get_logger
from service_kit.web.ops import ReadinessCheck
from service_kit.web.service_url import ServiceUrl
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


class _Part(Protocol):
    """Something with background work of its own."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Operators:
    """Everything that knows about operators, from one source."""

    roster: Roster
    enrollment: Enrollment
    activity: Activity
    denials: Denials
    checks: tuple[ReadinessCheck, ...] = ()
    looks: tuple[Callable[[], None], ...] = ()


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
        ring = await _ring(settings, clock, metrics, stack)
        signer = signer_of(settings, ring.current, clock)
        keys = await _keys(settings, clock, metrics, stack)
        operators = await _operators(settings, signer, clock, metrics, stack)
        watch = Watch(Standing(operators.roster, clock, settings.leeway_seconds))
        await _begin(watch, stack)
        websockets = await _websockets(settings, watch, metrics, stack)
        gate = Gate(
            pipeline_of(settings, keys, operators, signer, clock),
            await _forwarder(settings, watch, websockets, metrics, stack),
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
            gate, gate.refuse_unparsed, _connections(settings, metrics), leaving=websockets.leave
        )
        yield Sidecar(server, ops, metrics, looks)


async def _ring(
    settings: ProxySettings, clock: Clock, metrics: ProxyMetrics, stack: contextlib.AsyncExitStack
) -> KeyRing:
    refused = metrics.reloads_refused.labels("signing_keys").inc
    ring = KeyRing(settings.signing_key_file, clock, refused=refused)
    await _begin(ring, stack)
    metrics.signing_keys.set_function(lambda: len(ring.current()))
    return ring


def signer_of(
    settings: ProxySettings, keys: Callable[[], tuple[SigningKey, ...]], clock: Clock
) -> IdentitySigner:
    """The signer of the internal identity."""
    lead = timedelta(seconds=settings.signing_lead_seconds)
    return IdentitySigner(keys, clock, issuer=settings.issuer, lead=lead)


async def _forwarder(
    settings: ProxySettings,
    watch: Watch,
    websockets: WebSocketRelay,
    metrics: ProxyMetrics,
    stack: contextlib.AsyncExitStack,
) -> Dispatch:
    destinations = _destinations(settings)
    folders = {target: folder for target, folder in destinations.items() if isinstance(folder, StaticFolder)}

    def ended(reason: Reason) -> None:
        metrics.streams_ended.labels(reason.value).inc()

    relay = Relay(
        _urls(settings),
        watch,
        most_body_bytes=settings.max_body_bytes,
        idle_seconds=settings.body_idle_seconds,
        ended=ended,
    )
    await _begin(relay, stack)
    static = {target: StaticFiles(folder, watch, ended=ended) for target, folder in folders.items()}
    return Dispatch(relay, websockets, {**static, Target.SIDECAR: BootExchange()})


async def _websockets(
    settings: ProxySettings, watch: Watch, metrics: ProxyMetrics, stack: contextlib.AsyncExitStack
) -> WebSocketRelay:
    by_cause = {cause: metrics.websockets_closed.labels(cause.value) for cause in Cause}
    relay = WebSocketRelay(
        _urls(settings),
        watch,
        most_message_bytes=settings.websocket_max_message,
        most_per_person=settings.websockets_per_person,
        closed=lambda cause: by_cause[cause].inc(),
    )
    metrics.websockets.set_function(lambda: relay.open)
    await _begin(relay, stack)
    return relay


def _connections(settings: ProxySettings, metrics: ProxyMetrics) -> Connections:
    policy = ConnectionPolicy(
        header_seconds=settings.header_seconds,
        write_seconds=settings.write_seconds,
        most=settings.max_connections,
        most_per_peer=settings.max_connections_per_peer,
    )
    by_cause = {cause: metrics.connections_shed.labels(cause.value) for cause in Shed}
    connections = Connections(policy, lambda cause: by_cause[cause].inc())
    metrics.connections.set_function(lambda: connections.open)
    return connections


async def _keys(
    settings: ProxySettings, clock: Clock, metrics: ProxyMetrics, stack: contextlib.AsyncExitStack
) -> RemoteKeySet:
    source = HttpKeySource(
        settings.certs_url, clock=clock, insecure_allow_loopback_http=settings.is_development
    )
    keys = RemoteKeySet(source, clock=clock, observer=_KeyMetrics(metrics))
    metrics.keys.set_function(lambda: keys.key_count)
    metrics.key_age.set_function(lambda: keys.age_seconds or 0)
    await keys.start()
    stack.push_async_callback(keys.close)
    return keys


async def _operators(
    settings: ProxySettings,
    signer: IdentitySigner,
    clock: Clock,
    metrics: ProxyMetrics,
    stack: contextlib.AsyncExitStack,
) -> Operators:
    kind, _, detail = settings.roster_source.partition(":")
    if kind == "open":
        return Operators(OpenRoster(Role(detail)), NoEnrollment(), NoActivity(), NoDenials())
    if kind == "file":
        refused = metrics.reloads_refused.labels("roster").inc
        watched = Watched(Path(detail), load_operators, expected=RosterFileError, refused=refused)
        await _begin(watched, stack)
        looks = (watched.look,)
        return Operators(FileRoster(watched), NoEnrollment(), NoActivity(), NoDenials(), looks=looks)
    link = AdminLink(_required(settings.admin_service), signer)
    roster = FeedRoster(link, clock, _FeedMetrics(metrics), max_staleness=settings.roster_max_staleness)
    activity, denials = BatchedActivity(link, clock), AggregatedDenials(link, clock)
    metrics.roster_age.set_function(lambda: roster.age_seconds)
    # Closed in reverse: the last reports still need the link.
    for part in (link, roster, activity, denials):
        await _begin(part, stack)
    return Operators(roster, FeedEnrollment(link, roster), activity, denials, (roster_check(roster),))


async def _begin(part: _Part, stack: contextlib.AsyncExitStack) -> None:
    await part.start()
    stack.push_async_callback(part.close)


def pipeline_of(
    settings: ProxySettings, keys: KeySet, operators: Operators, signer: IdentitySigner, clock: Clock
) -> Pipeline:
    """Every step of a decision; `explain` decides with the same ones."""
    routes = effective_routes(settings)
    return Pipeline(
        admit_policy=AdmitPolicy(
            hosts=frozenset(settings.admin_hosts),
            most_body_bytes=settings.max_body_bytes,
            encoded_slashes=any(route.encoded_slashes for route in routes),
        ),
        screen_policy=ScreenPolicy(
            reserved=frozenset(letters(name) for route in routes for name, _ in route.identity_headers),
            allow_cookie=settings.allow_cookie,
            scheme=_scheme(settings),
            trusted=_trusted(settings),
        ),
        authenticator=_authenticator(settings, keys, clock),
        accepted_types=frozenset(settings.token_types),
        authorizer=Authorizer(
            routes=RouteTable(routes),
            roster=operators.roster,
            enrollment=operators.enrollment,
            activity=operators.activity,
            origins=settings.origins_by_host,
        ),
        voucher=Voucher(signer, clock, binding=settings.identity_binding),
        is_misconfigured=settings.is_misconfigured,
    )


def _authenticator(
    settings: ProxySettings, keys: KeySet, clock: Clock
) -> Authenticator | InsecureDevAuthenticator:
    if settings.dev_gate_is_open:
        return InsecureDevAuthenticator(settings.dev_email, clock)
    policy = VerifierPolicy(issuer=settings.issuer_url, leeway_seconds=settings.leeway_seconds)
    return Authenticator(AccessVerifier(policy, keys, clock), settings.audiences_by_host)


def effective_routes(settings: ProxySettings) -> tuple[Route, ...]:
    """Every route that this sidecar serves."""
    own = settings.config.routes
    has_own_root = any(route.pattern == "/" and route.host is None for route in own)
    if settings.upstream is not None:
        own = (*own, frontend_route())
    elif settings.admin_service is not None and not has_own_root:
        own = (*own, welcome_route())
    if settings.admin_service is None:
        return (*own, boot_exchange_route())
    owned = settings.config.owned_hosts
    if not owned:
        return (*BUILT_IN, *own)
    panel_hosts = [host for host in settings.admin_hosts if host not in owned]
    panel = (replace(route, host=host) for host in panel_hosts for route in BUILT_IN)
    return (*panel, *(replace(route, host=host) for host in owned for route in ON_EVERY_HOST), *own)


def _destinations(settings: ProxySettings) -> dict[str, Destination]:
    named = {
        Target.ADMIN: settings.admin_service,
        Target.TENANT: settings.tenant_service,
        Target.FRONTEND: settings.upstream,
    }
    set_ones = {target.value: destination for target, destination in named.items() if destination is not None}
    return {**settings.config.destinations, **set_ones}


def _urls(settings: ProxySettings) -> dict[str, ServiceUrl]:
    return {target: url for target, url in _destinations(settings).items() if isinstance(url, ServiceUrl)}


def _trusted(settings: ProxySettings) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in settings.trusted_proxies)


def _scheme(settings: ProxySettings) -> str:
    origins = next(iter(settings.origins_by_host.values()))
    return next(iter(origins), "https").partition("://")[0]


def _required(url: ServiceUrl | None) -> ServiceUrl:
    if url is None:
        raise ValueError("ADMIN_SERVICE_URL is not set")
    return url


class _KeyMetrics:
    def __init__(self, metrics: ProxyMetrics) -> None:
        self._metrics = metrics

    def refresh(self, outcome: RefreshOutcome) -> None:
        self._metrics.key_refreshes.labels(outcome.value).inc()

    def unknown_kid(self) -> None:
        self._metrics.unknown_keys.inc()


class _FeedMetrics:
    def __init__(self, metrics: ProxyMetrics) -> None:
        self._metrics = metrics

    def connected(self) -> None:
        self._metrics.roster_connected.set(1)

    def disconnected(self) -> None:
        self._metrics.roster_connected.set(0)

    def changed(self, version: int, operators: int) -> None:
        self._metrics.roster_version.set(version)
        self._metrics.roster_operators.set(operators)


__all__ = ["Listen", "Sidecar", "run", "running"]
