"""Answers that are written while they are made.

A stream that fails is cut off before its end, so that no client takes a part for the whole.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from aiohttp import web

from service_kit.errors import ProblemError
from service_kit.telemetry.logging import get_logger

WRITE_SECONDS: Final = 30.0
"""How long a client may take no byte."""

_log = get_logger(__name__)


async def send_stream(
    request: web.Request,
    headers: Mapping[str, str],
    pieces: AsyncGenerator[bytes],
    *,
    patience: float = WRITE_SECONDS,
) -> web.StreamResponse:
    """Send the pieces as they come, and close them whatever happens.

    `patience` is how long the client may take no byte.
    """
    given = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **headers}
    response = web.StreamResponse(headers=given)
    ended = False
    try:
        async with contextlib.aclosing(pieces):
            await response.prepare(request)
            async for piece in pieces:
                async with asyncio.timeout(patience):
                    await response.write(piece)
            await response.write_eof()
            ended = True
    except (ConnectionError, TimeoutError, ProblemError) as error:
        _log.warning("stream_cut", path=request.path, cause=type(error).__name__)
    finally:
        if not ended and request.transport is not None:
            request.transport.abort()
    return response
