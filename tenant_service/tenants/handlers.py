"""The HTTP face of tenants: it reads the call, asks the service and names the status; no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.idempotency import HEADER, REPLAYED, read_key
from service_kit.web.replaying import CODES as KEY_CODES
from service_kit.web.replaying import once_of, replaying
from service_kit.web.versions import etag, expected_versions, versions_if_given
from tenant_service.calls import asker_of
from tenant_service.tenants.answers import as_shown, linked
from tenant_service.tenants.audit_log import TenantAuditLog, TenantAuditPage, TenantAuditQuery
from tenant_service.tenants.creation import TenantCreation
from tenant_service.tenants.errors import TenantChangedError
from tenant_service.tenants.life import TenantLife
from tenant_service.tenants.membership import TenantMembership
from tenant_service.tenants.schemas import (
    CreatedTenant,
    DeletedTenant,
    DeleteTenant,
    MemberPage,
    NewTenant,
    PageInfo,
    PagingQuery,
    ReplayedTenant,
    RestoredTenant,
    RestoreTenant,
    RevokedSessions,
    RevokeSessions,
    SuspendedTenant,
    SuspendTenant,
    TenantCounts,
    TenantDetail,
    TenantPage,
    TenantPatch,
    TenantQuery,
)
from tenant_service.tenants.service import TenantService

TENANTS = web.AppKey("tenants", TenantService)
CREATION = web.AppKey("tenant_creation", TenantCreation)
LIFE = web.AppKey("tenant_life", TenantLife)
MEMBERSHIP = web.AppKey("tenant_membership", TenantMembership)
AUDIT_LOG = web.AppKey("tenant_audit_log", TenantAuditLog)

_TENANT: Final = "/api/admin/tenants/{id}"
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
        *_life(),
        *_people(),
    )


def _life() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "PATCH",
            _TENANT,
            Permission.TENANT_UPDATE,
            _update,
            "Change name, plan, address or currency; If-Match is the tenant's version",
            body=TenantPatch,
            returns=TenantDetail,
            errors=(
                "TENANT_NOT_FOUND",
                "TENANT_DELETED",
                "PRECONDITION_REQUIRED",
                "VERSION_CONFLICT",
                "VALIDATION_FAILED",
            ),
        ),
        Endpoint(
            "POST",
            f"{_TENANT}/suspend",
            Permission.TENANT_SUSPEND,
            replaying(_suspend),
            "Suspend a tenant and end its sessions; a repeat changes nothing",
            body=SuspendTenant,
            returns=SuspendedTenant,
            errors=("TENANT_NOT_FOUND", "TENANT_DELETED", "VALIDATION_FAILED", *KEY_CODES),
        ),
        Endpoint(
            "POST",
            f"{_TENANT}/restore",
            Permission.TENANT_SUSPEND,
            replaying(_restore),
            "Lift a suspension, or bring a deleted tenant back (needs tenant.delete too)",
            body=RestoreTenant,
            returns=RestoredTenant,
            errors=("TENANT_NOT_FOUND", "PURGED", "PERMISSION_DENIED", "VALIDATION_FAILED", *KEY_CODES),
        ),
        Endpoint(
            "DELETE",
            _TENANT,
            Permission.TENANT_DELETE,
            _delete,
            "Delete a tenant; it can be restored until purgeAfter",
            body=DeleteTenant,
            returns=DeletedTenant,
            errors=("TENANT_NOT_FOUND", "CONFIRMATION_MISMATCH", "VERSION_CONFLICT", "VALIDATION_FAILED"),
        ),
    )


def _people() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            f"{_TENANT}/members",
            Permission.TENANT_VIEW,
            _members,
            "Members of a tenant, newest first",
            query=PagingQuery,
            returns=MemberPage,
            errors=("TENANT_NOT_FOUND", "QUERY_INVALID", "INVALID_CURSOR"),
        ),
        Endpoint(
            "POST",
            f"{_TENANT}/sessions/revoke",
            Permission.TENANT_SUSPEND,
            replaying(_revoke),
            "End the sessions of a tenant, or of one person there",
            body=RevokeSessions,
            returns=RevokedSessions,
            errors=("TENANT_NOT_FOUND", "VALIDATION_FAILED", *KEY_CODES),
        ),
        Endpoint(
            "GET",
            f"{_TENANT}/audit-logs",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _audit_log,
            "The audit log as the tenant itself may read it, newest first",
            query=TenantAuditQuery,
            returns=TenantAuditPage,
            errors=("TENANT_NOT_FOUND", "QUERY_INVALID", "INVALID_CURSOR"),
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
    return Reply(tenant, headers=etag(tenant.version))


async def _update(call: Call) -> Reply:
    asker, reference = asker_of(call), call.path("id")
    expected = expected_versions(call.request)
    try:
        await call.request.app[LIFE].update(asker, reference, call.body, expected=expected)
    except TenantChangedError:
        raise await _with_current(call) from None
    return await _view(call)


async def _suspend(call: Call) -> SuspendedTenant:
    once = once_of(call, as_shown)
    return await call.request.app[LIFE].suspend(asker_of(call), call.path("id"), call.body, once=once)


async def _restore(call: Call) -> RestoredTenant:
    once = once_of(call, as_shown)
    return await call.request.app[LIFE].restore(asker_of(call), call.path("id"), call.body, once=once)


async def _delete(call: Call) -> DeletedTenant:
    # A bare DELETE is the agreed form; who sends If-Match is held to it.
    expected = versions_if_given(call.request)
    try:
        return await call.request.app[LIFE].delete(
            asker_of(call), call.path("id"), call.body, expected=expected
        )
    except TenantChangedError:
        raise await _with_current(call) from None


async def _members(call: Call) -> Reply:
    page = await call.request.app[MEMBERSHIP].page(call.path("id"), call.query)
    return linked(call, page, page.page)


async def _revoke(call: Call) -> RevokedSessions:
    once = once_of(call, as_shown)
    return await call.request.app[MEMBERSHIP].revoke(asker_of(call), call.path("id"), call.body, once=once)


async def _audit_log(call: Call) -> Reply:
    page = await call.request.app[AUDIT_LOG].page(call.path("id"), call.query)
    return linked(call, page, page.page)


async def _with_current(call: Call) -> TenantChangedError:
    """The refusal with the tenant as it is, so that the caller can decide anew (http-api 3.0)."""
    current = await call.request.app[TENANTS].detail(asker_of(call), call.path("id"))
    return TenantChangedError(current=as_shown(current), headers=etag(current.version))


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
