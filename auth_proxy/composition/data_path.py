"""The data path of a sidecar: its relay, websockets, folders, and the limits of its listener."""

import contextlib

from auth_proxy.boot_exchange import BootExchange
from auth_proxy.composition.parts import begin
from auth_proxy.composition.routes import destinations_of, urls_of
from auth_proxy.decision_log import ProxyMetrics
from auth_proxy.destinations import StaticFolder
from auth_proxy.refusals import Reason
from auth_proxy.routes import Target
from auth_proxy.settings import ProxySettings
from auth_proxy.transport.connections import ConnectionPolicy, Connections, Shed
from auth_proxy.transport.dispatch import Dispatch
from auth_proxy.transport.relay import Relay
from auth_proxy.transport.standing import Watch
from auth_proxy.transport.static_files import StaticFiles
from auth_proxy.transport.tunnel import Cause
from auth_proxy.transport.websocket import WebSocketRelay


async def forwarder_of(
    settings: ProxySettings,
    watch: Watch,
    websockets: WebSocketRelay,
    metrics: ProxyMetrics,
    stack: contextlib.AsyncExitStack,
) -> Dispatch:
    destinations = destinations_of(settings)
    folders = {target: folder for target, folder in destinations.items() if isinstance(folder, StaticFolder)}

    def ended(reason: Reason) -> None:
        metrics.streams_ended.labels(reason.value).inc()

    relay = Relay(
        urls_of(settings),
        watch,
        most_body_bytes=settings.max_body_bytes,
        idle_seconds=settings.body_idle_seconds,
        ended=ended,
    )
    await begin(relay, stack)
    static = {target: StaticFiles(folder, watch, ended=ended) for target, folder in folders.items()}
    return Dispatch(relay, websockets, {**static, Target.SIDECAR: BootExchange()})


async def websockets_of(
    settings: ProxySettings, watch: Watch, metrics: ProxyMetrics, stack: contextlib.AsyncExitStack
) -> WebSocketRelay:
    by_cause = {cause: metrics.websockets_closed.labels(cause.value) for cause in Cause}
    relay = WebSocketRelay(
        urls_of(settings),
        watch,
        most_message_bytes=settings.websocket_max_message,
        most_per_person=settings.websockets_per_person,
        closed=lambda cause: by_cause[cause].inc(),
    )
    metrics.websockets.set_function(lambda: relay.open)
    await begin(relay, stack)
    return relay


def connections_of(settings: ProxySettings, metrics: ProxyMetrics) -> Connections:
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
