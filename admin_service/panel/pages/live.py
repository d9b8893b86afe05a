"""The live tiles of the dashboard, as server-sent events: `{"<element id>": "<text>"}` every few seconds.

A stream lives no longer than the leave it was opened with: the browser asks again, and so the sidecar decides
again. It tells nothing that the dashboard itself would not show to the same operator.
"""

import asyncio
import json
from typing import Final

from aiohttp import web

from admin_service.operators.own_row import operator_id_of
from admin_service.panel.context import PanelServices
from admin_service.panel.pulse import take_pulse, tiles_of
from service_kit.errors import ProblemError, UnavailableError
from service_kit.telemetry.logging import get_logger
from service_kit.web.api import Call

_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # A buffering proxy in between would hold the events back until the stream ends.
    "X-Accel-Buffering": "no",
}
_RETRY: Final = b"retry: 3000\n\n"
_NOTHING_NEW: Final = b":\n\n"
_WRITE_SECONDS: Final = 5.0
_SPARE_SECONDS: Final = 2.0
"""The last question is asked while the leave still counts."""

_log = get_logger(__name__)


async def stream_tiles(services: PanelServices, call: Call) -> web.StreamResponse:
    """The events, or 204 where no seat is free: a browser that gets it does not ask again."""
    if call.request.method == "HEAD":
        return web.Response(headers=_HEADERS)
    with services.live.seat(operator_id_of(call.actor)) as is_seated:
        if not is_seated:
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(call.request)
        ended = False
        try:
            await _send(services, call, response)
            ended = True
        except (ConnectionError, TimeoutError, ProblemError) as error:
            _log.info("live_stream_cut", cause=type(error).__name__)
        finally:
            # A reader that does not read holds its buffers for ever, and no page may follow the events.
            if not ended and call.request.transport is not None:
                call.request.transport.abort()
        return response


async def _send(services: PanelServices, call: Call, response: web.StreamResponse) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + call.actor.expires_at - services.clock.now().timestamp() - _SPARE_SECONDS
    told = b""
    await _write(response, _RETRY)
    while not services.live.is_over and loop.time() < ends:
        event = await _event(services, call)
        await _write(response, _NOTHING_NEW if event in {b"", told} else event)
        told = event or told
        await services.live.pause(min(services.live.tick_seconds, ends - loop.time()))


async def _event(services: PanelServices, call: Call) -> bytes:
    """Nothing while the own database is away: the next tick may know more."""
    permissions = frozenset(permission.value for permission in call.actor.permissions)
    try:
        pulse = await services.live.read(permissions, lambda: take_pulse(services, call))
    except UnavailableError:
        return b""
    texts = {tile.id: tile.value for tile in tiles_of(pulse)}
    return f"data: {json.dumps(texts)}\n\n".encode()


async def _write(response: web.StreamResponse, lines: bytes) -> None:
    async with asyncio.timeout(_WRITE_SECONDS):
        await response.write(lines)
