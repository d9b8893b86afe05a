"""The servers behind the sidecar: which one gets a request, and over which connection.

An upstream is one server or several equal ones. The one with the fewest requests in flight is asked; one
that could not be reached, or broke off, is passed by for a while (passive health), and asked again
when no other is left. Nothing here sends a request or reads an answer.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from auth_proxy.transport.upstream_connection import UpstreamConnection
from service_kit.web.service_url import ServiceUrl

CONNECT_SECONDS: Final = 5.0
RESTS_SECONDS: Final = 30.0
"""How long a connection may wait for its next request before it is closed."""
FRESH_SECONDS: Final = 1.0
"""A request that must not be sent twice goes only over a connection that rested no longer than this:
a server closes a resting connection when it likes, and then nobody knows whether it was asked."""
_SWEEP_SECONDS: Final = 5.0
_MOST_RESTING: Final = 1024
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Connecting(StrEnum):
    """How an attempt to connect ended: the label of the metric."""

    OK = "ok"
    REFUSED = "refused"
    TIMEOUT = "timeout"


class UpstreamUnreachableError(Exception):
    """No server of the upstream could be connected to. `timed_out`: the last one did not even refuse."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("timeout" if timed_out else "refused")
        self.timed_out = timed_out


class Server:
    """One address of an upstream, and the connections to it."""

    def __init__(self, url: ServiceUrl, bases: tuple[str, ...]) -> None:
        self.url = url
        self.bases = bases
        self.resting: list[UpstreamConnection] = []
        self.shunned_until = 0.0
        self._open = 0
        self._occupied = 0
        self._tls: ssl.SSLContext | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._is_retired = False

    @property
    def in_flight(self) -> int:
        return self._open + self._occupied - len(self.resting)

    def take(self, *, youngest: float) -> UpstreamConnection | None:
        """The connection that rested shortest, if it came to rest at `youngest` or later."""
        resting = self.resting
        while resting:
            if resting[-1].rested_at < youngest:
                return None
            connection = resting.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                return connection
        return None

    def rest(self, connection: UpstreamConnection) -> None:
        """A whole answer came over it."""
        self.shunned_until, self._pause = 0.0, _FIRST_PAUSE_SECONDS
        if self._is_retired or len(self.resting) >= _MOST_RESTING:
            connection.abort()
            return
        connection.rested_at = asyncio.get_running_loop().time()
        self.resting.append(connection)

    def joined(self) -> None:
        self._open += 1

    def left(self, connection: UpstreamConnection) -> None:
        self._open -= 1
        if connection in self.resting:
            self.resting.remove(connection)

    def shun(self) -> None:
        """It failed: others are asked for a while, longer each time."""
        self.shunned_until = asyncio.get_running_loop().time() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)

    async def connect(self, seconds: float) -> UpstreamConnection:
        """A new connection. Raises OSError or TimeoutError."""
        loop = asyncio.get_running_loop()
        # Counted from now on: many requests at once must not all choose the server that connects slowest.
        connection = UpstreamConnection(self)
        with self.occupied():
            try:
                async with asyncio.timeout(seconds):
                    if self.url.socket_path:
                        await loop.create_unix_connection(lambda: connection, self.url.socket_path)
                    else:
                        host, port = _address(self.url)
                        await loop.create_connection(lambda: connection, host, port, ssl=self._secure())
            except BaseException:
                connection.call_off()
                raise
        return connection

    @contextlib.contextmanager
    def occupied(self) -> Iterator[None]:
        """Count something that is open at the server and not a connection of this pool: a websocket."""
        self._occupied += 1
        try:
            yield
        finally:
            self._occupied -= 1

    def _secure(self) -> ssl.SSLContext | None:
        if self._tls is None and self.url.base.startswith("https:"):
            self._tls = ssl.create_default_context()
        return self._tls

    def sweep(self, oldest: float) -> None:
        """Close what rests since before `oldest`."""
        for connection in [item for item in self.resting if item.rested_at < oldest]:
            self.resting.remove(connection)
            connection.abort()

    def retire(self) -> None:
        """Use no connection a second time from now on, and close those that rest."""
        self._is_retired = True
        self.sweep(float("inf"))


class Upstream:
    """Equal servers; `take` and `connect` choose one of them."""

    def __init__(self, addresses: tuple[ServiceUrl, ...], connected: Callable[[Connecting], None]) -> None:
        # Behind a unix socket stands no origin that a redirect could name.
        self.bases = tuple(url.base for url in addresses if not url.socket_path)
        self.servers = tuple(Server(url, self.bases) for url in addresses)
        self._connected = connected
        self._turn = 0

    def take(self, *, must_be_fresh: bool) -> UpstreamConnection | None:
        """A connection that rests, to the server whose turn it is; None if it has none."""
        server = self.servers[0] if len(self.servers) == 1 else self.choose()
        age = FRESH_SECONDS if must_be_fresh else RESTS_SECONDS
        return server.take(youngest=asyncio.get_running_loop().time() - age)

    def choose(self, without: Iterable[Server] = ()) -> Server:
        """The healthy server with the fewest requests in flight; the one shunned longest ago if none is."""
        left = [server for server in self.servers if server not in without] or list(self.servers)
        now = asyncio.get_running_loop().time()
        healthy = [server for server in left if server.shunned_until <= now]
        if not healthy:
            return min(left, key=lambda server: server.shunned_until)
        self._turn += 1  # equal ones take turns
        first = self._turn % len(healthy)
        return min(healthy[first:] + healthy[:first], key=lambda server: server.in_flight)

    async def connect(self, seconds: float) -> UpstreamConnection:
        """A new connection to the first server that can be reached. Raises UpstreamUnreachableError."""
        tried: list[Server] = []
        timed_out = False
        while len(tried) < len(self.servers):
            server = self.choose(tried)
            tried.append(server)
            try:
                connection = await server.connect(seconds)
            except (OSError, TimeoutError) as error:
                timed_out = isinstance(error, TimeoutError)
                self._connected(Connecting.TIMEOUT if timed_out else Connecting.REFUSED)
                server.shun()
                continue
            self._connected(Connecting.OK)
            return connection
        raise UpstreamUnreachableError(timed_out=timed_out)


class UpstreamPool:
    """Every upstream of a sidecar; the same addresses are the same upstream, also after a reload."""

    def __init__(self, connected: Callable[[Connecting], None] = lambda _outcome: None) -> None:
        self._connected = connected
        self._upstreams: dict[tuple[ServiceUrl, ...], Upstream] = {}
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def resting(self) -> int:
        """Connections that wait for a request."""
        return sum(len(server.resting) for server in self._servers())

    @property
    def busy(self) -> int:
        """Connections with a request under way, or being made."""
        return sum(server.in_flight for server in self._servers())

    def upstream(self, addresses: tuple[ServiceUrl, ...]) -> Upstream:
        """The upstream behind these addresses."""
        found = self._upstreams.get(addresses)
        if found is None:
            found = self._upstreams[addresses] = Upstream(addresses, self._connected)
        return found

    def keep_only(self, used: Iterable[tuple[ServiceUrl, ...]]) -> None:
        """Let go of every other upstream: what is in flight there ends, nothing new begins."""
        for addresses in self._upstreams.keys() - set(used):
            for server in self._upstreams.pop(addresses).servers:
                server.retire()

    async def start(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep_now)

    async def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        self.keep_only(())

    def _sweep_now(self) -> None:
        loop = asyncio.get_running_loop()
        for server in self._servers():
            server.sweep(loop.time() - RESTS_SECONDS)
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._sweep_now)

    def _servers(self) -> Iterable[Server]:
        return (server for upstream in self._upstreams.values() for server in upstream.servers)


def _address(url: ServiceUrl) -> tuple[str, int]:
    parts = urlsplit(url.base)
    return parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
