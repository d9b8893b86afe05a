"""The endpoint of the API's description: thin, and without a rule of its own."""

from typing import Final

from aiohttp import web

from admin_service.api_document.document import ApiDocument, Told
from admin_service.api_document.schemas import OpenApiModel
from admin_service.delegation import delegation_of
from admin_service.tenant_api import OnBehalf
from service_kit.web.api import Audience, Call, Endpoint

OPENAPI_PATH: Final = "/api/admin/openapi.json"


def endpoints(api: ApiDocument) -> tuple[Endpoint, ...]:
    """`GET /api/admin/openapi.json`: any operator may know what can be asked."""

    async def tell(call: Call) -> web.StreamResponse:
        delegation = delegation_of(call.request)
        behalf = OnBehalf(delegation, call.origin) if delegation is not None else None
        return _answer(call.request, await api.read(behalf))

    return (
        Endpoint(
            "GET",
            OPENAPI_PATH,
            Audience.OPERATOR,
            tell,
            "The operators' API of both services as one OpenAPI 3.1 document; 304 for its ETag.",
            returns=OpenApiModel,
        ),
    )


def _answer(request: web.Request, told: Told) -> web.StreamResponse:
    headers = {
        "ETag": f'"{told.digest}"',
        # It holds no data, but whoever may not ask any more is not answered from a cache.
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    known = request.if_none_match or ()
    if any(tag.value in (told.digest, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    return web.Response(body=told.body, content_type="application/json", headers=headers)
