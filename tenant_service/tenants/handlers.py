"""The HTTP face of tenants: it reads the call, asks the service and names the status; no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.idempotency import HEADER, REPLAYED, read_key
from tenant_service.calls import asker_of
from tenant_service.tenants.creation import TenantCreation
from tenant_service.tenants.schemas import (
    CreatedTenant,
    NewTenant,
    PageInfo,
    ReplayedTenant,
    TenantCounts,
    TenantDetail,
    TenantPage,
    TenantQuery,
)
from tenant_service.tenants.service import TenantService

TENANTS = web.AppKey("tenants", TenantService)
CREATION = web.AppKey("tenant_creation", TenantCreation)

_CREATION_ERRORS: Final = (
    "SLUG_INVALID",
    "SLUG_RESERVED",
    "SLUG_TOMBSTONED",
    "SLUG_TAKEN",
    "VALIDATION_FAILED",
    "IDEMPOTENCY_KEY_INVALID",
    "IDEMPOTENCY_KEY_REUSED",
    "IDEMPOTENCY_IN_PROGRESS",
)


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "POST",
            "/api/admin/tenants",
            Permission.TENANT_CREATE,
            _create,
            "Create a tenant and invite its owner",
            body=NewTenant,
            returns=CreatedTenant,
            status=201,
            errors=_CREATION_ERRORS,
        ),
        Endpoint(
            "GET",
            "/api/admin/tenants",
            Permission.TENANT_LIST,
            _list,
            "List tenants",
            query=TenantQuery,
            returns=TenantPage,
            errors=("QUERY_INVALID", "INVALID_CURSOR"),
        ),
        Endpoint(
            "GET",
            "/api/admin/tenants/{id}",
            Permission.TENANT_VIEW,
            _view,
            "One tenant, by id or slug",
            returns=TenantDetail,
            errors=("TENANT_NOT_FOUND",),
        ),
        Endpoint(
            "GET",
            "/internal/v1/tenant-counts",
            Permission.TENANT_LIST,
            _counts,
            "How many tenants there are",
            returns=TenantCounts,
        ),
    )


async def _create(call: Call) -> Reply:
    key = read_key(call.request.headers.getall(HEADER, []))
    made = await call.request.app[CREATION].create(asker_of(call), call.body, key=key)
    headers = {"Location": f"/api/admin/tenants/{made.org_id}"}
    replayed = {REPLAYED: "true"} if isinstance(made, ReplayedTenant) else {}
    return Reply(made, 201, {**headers, **replayed})


async def _list(call: Call) -> Reply:
    page = await call.request.app[TENANTS].page(call.query)
    return Reply(page, headers=_links(call.request, page.page))


async def _view(call: Call) -> Reply:
    tenant = await call.request.app[TENANTS].detail(asker_of(call), call.path("id"))
    return Reply(tenant, headers={"ETag": f'"{tenant.version}"'})


async def _counts(call: Call) -> TenantCounts:
    return await call.request.app[TENANTS].counts()


def _links(request: web.Request, page: PageInfo) -> dict[str, str]:
    """RFC 8288, with relative references: this service does not know its own public name."""
    given = (("next", page.next_cursor), ("prev", page.prev_cursor))
    links = [
        f'<{request.rel_url.update_query(cursor=cursor)}>; rel="{relation}"'
        for relation, cursor in given
        if cursor is not None
    ]
    return {"Link": ", ".join(links)} if links else {}
