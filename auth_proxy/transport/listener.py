"""The HTTP server of the sidecar: aiohttp's C parser, and our answer to what it cannot parse.

There is no second request parser: two readings of one request would be a smuggling gap. The
pure-Python fallback of aiohttp reads some requests differently, so the sidecar does not start on it.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import StreamReader, http_parser, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

from auth_proxy.transport.client_connection import ClientConnection, GateHandler, UnparsedHandler
from auth_proxy.transport.connections import ConnectionPolicy, Connections
from auth_proxy.transport.parked import Parking, parking_fits
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

    `leaving` is called once when the server shuts down, before running requests are waited for. While
    `departs` says so, every answer ends its connection: the client's next one goes to another process.
    """

    def __init__(
        self,
        gate: GateHandler,
        unparsed: UnparsedHandler,
        connections: Connections | None = None,
        leaving: Callable[[], None] = lambda: None,
        at_once: AtOnce | None = None,
        *,
        departs: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(gate, handler_cancellation=True)  # a client that leaves cancels its upstream
        self._unparsed = unparsed
        self._leaving = leaving
        self._departs = departs
        self.at_once = at_once if quick_path_fits() else None
        if self.at_once is not at_once:
            _log.error(
                "quick_path_unfit", meaning="this aiohttp is unknown: every request takes the long way"
            )
        self.clients = connections or Connections(ConnectionPolicy())
        self.parking = Parking(self.clients, self._new_handler) if parking_fits() else None
        if self.parking is None:
            _log.error("parking_unfit", meaning="this aiohttp is unknown: whoever rests takes the whole room")

    def __call__(self) -> RequestHandler:
        if self.parking is None:
            return self._new_handler()
        # Whoever serves asks only for a protocol; aiohttp's own type names its handler.
        return cast("RequestHandler", self.parking.arrival())

    def _new_handler(self) -> ClientConnection:
        if self.at_once is None:
            return ClientConnection(self, self._unparsed, self.clients, self._departs)
        return QuickConnection(self, self._unparsed, self.clients, self.at_once, self._departs)

    def _make_request(
        self,
        message: http_parser.RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        if self._departs():  # whoever makes the answer says that the connection ends with it
            message = message._replace(should_close=True)
        return super()._make_request(message, payload, protocol, writer, task)

    @property
    def connections(self) -> list[RequestHandler]:
        """Who is connected; the parked ones too, who have a transport like all others."""
        parked = cast("list[RequestHandler]", list(self.parking or ()))
        return [*super().connections, *parked]

    def pre_shutdown(self) -> None:
        super().pre_shutdown()
        if self.parking is not None:
            self.parking.close()
        self._leaving()
