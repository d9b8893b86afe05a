"""Reading the tenant service's rows for an export: a part is never taken for the whole (R-030)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from admin_service.tenant_api import TenantApi
from service_kit.audit.export_formats import ndjson_line
from service_kit.audit.export_places import ChainPlace
from service_kit.audit.export_rows import row_columns
from service_kit.audit.queries import AuditFilter
from service_kit.errors import ForbiddenError, UnavailableError

ROW = ndjson_line({"row": dict.fromkeys(row_columns(), "x") | {"chain_seq": 1}, "person": None})
END = ndjson_line({"chains": [{"chain": "x", "head_seq": 1, "head_hash": "h", "checkpoint": None}]})
PROBLEM = b'{"status":403,"code":"PERMISSION_DENIED","error":"no"}'


@asynccontextmanager
async def answering(
    *pieces: bytes, status: int = 200, cut: bool = False
) -> AsyncIterator[tuple[TenantApi, list[web.Request]]]:
    """A tenant service that sends these bytes, and may cut the connection after them."""
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if cut and request.transport is not None:
            request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/internal/v1/audit-events/export", answer)
    async with TestServer(app) as server:
        api = TenantApi(str(server.make_url("")).rstrip("/"))
        await api.start()
        try:
            yield api, asked
        finally:
            await api.close()


async def read(api: TenantApi) -> tuple[int, Sequence[ChainPlace]]:
    async with api.audit_export("leave", AuditFilter(scope="")) as rows:
        count = len([one async for one in rows.rows()])
        return count, rows.places


async def test_every_row_and_then_the_places() -> None:
    """Lines may arrive in any pieces; the last one says where the chains stand."""
    data = ROW * 3 + END
    async with answering(*(data[at : at + 7] for at in range(0, len(data), 7))) as (api, asked):
        assert await read(api) == (3, (ChainPlace("x", 1, "h"),))
    assert asked[0].headers["X-Internal-Delegation"] == "leave"
    assert asked[0].query["scope"] == "all"


@pytest.mark.parametrize(
    "pieces",
    [
        (ROW, ROW),
        (ROW, END[:-5]),
        (ROW, END, ROW),
        (ROW, b"not json\n"),
        (b'{"row":{"id":"x"},"person":null}\n', END),
        (ROW.replace(b'"person":null', b'"person":"x"'), END),
        (ROW, b'{"chains":[{"chain":"x"}]}\n'),
        (b"x" * (5 * 1024 * 1024),),
        (),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_outage(pieces: tuple[bytes, ...]) -> None:
    """Without its last line, with more behind it, or with what is no row: unavailable, never shorter."""
    async with answering(*pieces) as (api, _):
        with pytest.raises(UnavailableError):
            await read(api)


async def test_a_connection_that_is_cut_is_an_outage() -> None:
    """Also when whole rows had come."""
    async with answering(ROW, ROW, cut=True) as (api, _):
        with pytest.raises(UnavailableError):
            await read(api)


async def test_a_refusal_is_told_before_the_first_row() -> None:
    """The tenant service's own 403 is ours; nobody there is unavailable."""
    async with answering(PROBLEM, status=403) as (api, _):
        with pytest.raises(ForbiddenError):
            await read(api)
    for address in (None, "http://127.0.0.1:1"):
        nobody = TenantApi(address)
        await nobody.start()
        with pytest.raises(UnavailableError):
            await read(nobody)
        await nobody.close()
