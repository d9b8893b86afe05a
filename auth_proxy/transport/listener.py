"""The HTTP server of the sidecar: aiohttp's C parser, and our answer to what it cannot parse.

There is no second request parser: two readings of one request would be a smuggling gap. The
pure-Python fallback of aiohttp reads some requests differently, so the sidecar does not start on it.
"""

from collections.abc import Callable

from aiohttp import http_parser, web
from aiohttp.web_protocol import RequestHandler

from auth_proxy.transport.client_connection import ClientConnection, GateHandler, UnparsedHandler
from auth_proxy.transport.connections import ConnectionPolicy, Connections
from auth_proxy.transport.quick_path import AtOnce, QuickConnection, quick_path_fits
from service_kit.telemetry.logging import get_logger

_log = get_logger(__name__)


class PureParserError(RuntimeError):
    """aiohttp runs without its C parser."""


def require_c_parser() -> None:
    """Raises PureParserError where aiohttp would parse requests in Python."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise PureParserError(
            "aiohttp runs without its C parser (AIOHTTP_NO_EXTENSIONS, or a broken install): "
            "the sidecar does not start on the pure-Python one"
        )


class GateServer(web.Server):
    """A server whose every answer comes from the gate, also the answer to bytes that are no request.

    `leaving` is called once when the server shuts down, before running requests are waited for.
    """

    def __init__(
        self,
        gate: GateHandler,
        unparsed: UnparsedHandler,
        connections: Connections | None = None,
        leaving: Callable[[], None] = lambda: None,
        at_once: AtOnce | None = None,
    ) -> None:
        super().__init__(gate, handler_cancellation=True)  # a client that leaves cancels its upstream
        self._unparsed = unparsed
        self._leaving = leaving
        self.at_once = at_once if quick_path_fits() else None
        if self.at_once is not at_once:
            _log.error(
                "quick_path_unfit", meaning="this aiohttp is unknown: every request takes the long way"
            )
        self.clients = connections or Connections(ConnectionPolicy())

    def __call__(self) -> RequestHandler:
        if self.at_once is None:
            return ClientConnection(self, self._unparsed, self.clients)
        return QuickConnection(self, self._unparsed, self.clients, self.at_once)

    def pre_shutdown(self) -> None:
        super().pre_shutdown()
        self._leaving()
