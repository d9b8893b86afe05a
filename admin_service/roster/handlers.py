"""The feed as a stream of lines; a reader that stops reading is cut off."""

import asyncio
from typing import Final

from aiohttp import web

from admin_service.roster.service import RosterHub
from service_kit.identity.model import Scope
from service_kit.telemetry.logging import get_logger
from service_kit.web.api import Call, Endpoint

_WRITE_SECONDS: Final = 5.0
_HEADERS: Final = {
    "Content-Type": "application/x-ndjson",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

_log = get_logger(__name__)


def endpoints(hub: RosterHub) -> tuple[Endpoint, ...]:
    """The one endpoint that the sidecars hold open."""

    async def feed(call: Call) -> web.StreamResponse:
        async with hub.read() as lines:
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(call.request)
            try:
                async for line in lines:
                    async with asyncio.timeout(_WRITE_SECONDS):
                        await response.write(line)
            except (ConnectionError, TimeoutError) as error:
                _log.info("roster_reader_gone", cause=type(error).__name__)
                _cut(call.request)
        return response

    return (
        Endpoint(
            "GET",
            "/internal/v1/roster/feed",
            Scope.ROSTER,
            feed,
            "The roster as NDJSON: a snapshot, then changes as they commit and a heartbeat each second.",
            errors=("PERMISSION_DENIED", "DATABASE_UNAVAILABLE"),
            files=("application/x-ndjson",),
        ),
    )


def _cut(request: web.Request) -> None:
    """Without this the server would wait for the buffers of a reader that does not read."""
    if request.transport is not None:
        request.transport.abort()
