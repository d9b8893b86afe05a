"""A CSV answer, written as it is read: the ledger of a large tenant never stands in memory as a whole."""

from collections.abc import AsyncIterator

from aiohttp import hdrs, web


async def csv_answer(request: web.Request, parts: AsyncIterator[str], *, name: str) -> web.StreamResponse:
    """A download. A failure on the way breaks the connection, so that a part is not taken for the whole."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        async for part in parts:
            await response.write(part.encode())
    await response.write_eof()
    return response
