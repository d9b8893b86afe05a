"""Reads a bounded rest of a body that nobody wants, so that the answer is not lost in a reset connection."""

import asyncio
from typing import Final

from aiohttp import web

_MOST_UNREAD_BYTES: Final = 64 * 1024
_UNREAD_SECONDS: Final = 1.0


async def read_a_little(request: web.BaseRequest) -> None:
    """Return at the end of the body, after 64 KiB, or after a second."""
    read = 0
    try:
        async with asyncio.timeout(_UNREAD_SECONDS):
            while read < _MOST_UNREAD_BYTES and not request.content.at_eof():
                read += len(await request.content.readany())
    except (TimeoutError, OSError, web.RequestPayloadError):
        return
