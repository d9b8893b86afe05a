"""The data path of a sidecar: its relay, websockets, folders, and the limits of its listener."""

import contextlib

from auth_proxy.boot_exchange import BootExchange
from auth_proxy.composition.parts import begin
from auth_proxy.composition.routes import destinations_of, servers_of
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
from auth_proxy.transport.upstream_pool import Connecting, Upstream, UpstreamPool
from auth_proxy.transport.websocket import WebSocketRelay


class DataPath:
    """What carries requests. It outlives every plan: connections and websockets are not a plan's.

    `forwarder` may be asked again at any time: what an older one has begun ends on its own way.
    """

    def __init__(self, settings: ProxySettings, watch: Watch, metrics: ProxyMetrics) -> None:
        self._watch = watch
        self._metrics = metrics
        by_outcome = {outcome: metrics.upstream_connects.labels(outcome.value) for outcome in Connecting}
        self.pool = UpstreamPool(lambda outcome: by_outcome[outcome].inc())
        metrics.upstream_connections.labels("resting").set_function(lambda: self.pool.resting)
        metrics.upstream_connections.labels("busy").set_function(lambda: self.pool.busy)
        # A target is named by its addresses, so that one name never comes to mean another server: what an
        # older plan has under way finds its own.
        self._upstreams: dict[str, Upstream] = {}
        by_cause = {cause: metrics.websockets_closed.labels(cause.value) for cause in Cause}
        self.websockets = WebSocketRelay(
            self._upstreams,
            watch,
            most_message_bytes=settings.websocket_max_message,
            most_per_person=settings.websockets_per_person,
            closed=lambda cause: by_cause[cause].inc(),
        )
        metrics.websockets.set_function(lambda: self.websockets.open)

    def forwarder(self, settings: ProxySettings) -> Dispatch:
        """The way to every destination that these settings name."""
        named = {target: found.addresses for target, found in servers_of(settings).items()}
        upstreams = {target: self.pool.upstream(addresses) for target, addresses in named.items()}
        self._upstreams.update(upstreams)
        self.pool.keep_only(named.values())
        relay = Relay(
            upstreams,
            self._watch,
            most_body_bytes=settings.max_body_bytes,
            idle_seconds=settings.body_idle_seconds,
            ended=self._ended,
        )
        folders = {
            target: StaticFiles(found, self._watch, ended=self._ended)
            for target, found in destinations_of(settings).items()
            if isinstance(found, StaticFolder)
        }
        return Dispatch(relay, self.websockets, {**folders, Target.SIDECAR: BootExchange()})

    def _ended(self, reason: Reason) -> None:
        self._metrics.streams_ended.labels(reason.value).inc()


async def data_path_of(
    settings: ProxySettings, watch: Watch, metrics: ProxyMetrics, stack: contextlib.AsyncExitStack
) -> DataPath:
    """The data path, with its pool and its websockets begun."""
    path = DataPath(settings, watch, metrics)
    await begin(path.pool, stack)
    await begin(path.websockets, stack)
    return path


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
