"""A CSV answer, written as it is read: the ledger of a large tenant never stands in memory as a whole."""

from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import hdrs, web

from service_kit.web.streaming import send_stream


async def csv_answer(request: web.Request, parts: AsyncIterator[str], *, name: str) -> web.StreamResponse:
    """A download. A failure on the way breaks the connection, so that a part is not taken for the whole."""
    headers = {
        "Content-Type": "text/csv; charset=utf-8; header=present",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=headers)
    return await send_stream(request, headers, _encoded(parts))


async def _encoded(parts: AsyncIterator[str]) -> AsyncGenerator[bytes]:
    async for part in parts:
        if part:
            yield part.encode()
