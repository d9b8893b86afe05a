"""The admin service's own check of every operator, against its own row, on every request (R-039, R-064).

The sidecar's roster may be seconds old and a token half a minute; the row here is the truth.
"""

from aiohttp import web
from aiohttp.typedefs import Middleware

from admin_service.operators.service import OperatorService
from service_kit.web.guard import IDENTITY
from service_kit.web.problems import Handler


def own_check_middleware(operators: OperatorService) -> Middleware:
    """Stands right after the guard: from here on the identity says what the row says."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[IDENTITY] = await operators.confirmed(request[IDENTITY])
        return await handler(request)

    return middleware
