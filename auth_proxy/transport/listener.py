"""The HTTP server of the sidecar: aiohttp's C parser, and our answer to what it cannot parse.

There is no second request parser: two readings of one request would be a smuggling gap. The
pure-Python fallback of aiohttp reads some requests differently, so the sidecar does not start on it.
This file touches names that aiohttp does not document; pyproject.toml pins the range.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import http_parser, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from auth_proxy.refusals import Reason, Refusal

GateHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
UnparsedHandler = Callable[[Refusal], web.StreamResponse]

_LIMITS: Final[dict[str, Any]] = {
    # A little above what admit allows, so that admit can name the refusal.
    "max_line_size": 16 * 1024,
    "max_field_size": 32 * 1024,
    "max_headers": 256,
    "keepalive_timeout": 75,
    "lingering_time": 0,  # the gate itself reads a bounded rest of a refused body
    "auto_decompress": False,  # a proxy passes bytes on; a gzip bomb stays packed
    "access_log": None,
}


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
    """A server whose every answer comes from the gate, also the answer to bytes that are no request."""

    def __init__(self, gate: GateHandler, unparsed: UnparsedHandler) -> None:
        super().__init__(gate, handler_cancellation=True)  # a client that leaves cancels its upstream
        self._unparsed = unparsed

    def __call__(self) -> RequestHandler:
        return _GateProtocol(self, self._unparsed)


class _GateProtocol(RequestHandler):
    __slots__ = ("_unparsed",)

    def __init__(self, server: GateServer, unparsed: UnparsedHandler) -> None:
        super().__init__(server, loop=server._loop, **_LIMITS)  # noqa: SLF001 - aiohttp's own Server does the same
        self._unparsed = unparsed

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        request = self._current_request
        is_broken = bool(self._messages) and isinstance(self._messages[-1][0], _ErrInfo)
        # The parser's error is queued behind the request that waits for the rest of this very body.
        if is_broken and request is not None and not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("the body cannot be read on"))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the offending bytes, which may hold a token
    ) -> web.StreamResponse:
        """Refuse by name. aiohttp's own version logs and echoes the line it could not parse."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent; the connection must break") from exc
        response = self._unparsed(Refusal(_reason(status, exc), type(exc).__name__))
        response.force_close()
        return response


def _reason(status: int, error: BaseException | None) -> Reason:
    if isinstance(error, LineTooLong):
        return Reason.HEADERS_TOO_LARGE
    return Reason.REQUEST_MALFORMED if 400 <= status < 500 else Reason.INTERNAL_ERROR  # noqa: PLR2004 - 4xx
