"""Counting requests by route pattern.

Labels come from closed sets, the patterns of the route table and the methods of HTTP: a stranger's
path or method never becomes a time series.
"""

import asyncio
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from service_kit.clock import Clock
from service_kit.telemetry.metrics import RequestMetrics
from service_kit.web.problems import Handler

_OTHER: Final = "other"
_CLIENT_LEFT: Final = 499
"""Not a failure of the service: the client left before it had an answer."""


def measuring_middleware(metrics: RequestMetrics, clock: Clock) -> Middleware:
    """The outermost middleware: it sees every answer, also refusals."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        route, method = _route(request), request.method if request.method in hdrs.METH_ALL else _OTHER
        started, status = clock.monotonic(), 500
        try:
            with metrics.in_flight.track_inprogress():
                response = await handler(request)
            status = response.status
        except asyncio.CancelledError:
            status = _CLIENT_LEFT
            raise
        finally:
            metrics.seconds.labels(route).observe(clock.monotonic() - started)
            metrics.requests.labels(route, method, str(status)).inc()
        return response

    return middleware


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else _OTHER
