"""The gate of the tenants' hosts: which tenant a request is for, and which requests are for nobody.

The host decides the tenant, and nothing else does: no header, no member of a body. An unknown host and the
host of a deleted tenant get the same bytes on every path. Two doors are closed for everybody before
anything is looked at: signing oneself up (R-036), and making a tenant (R-113, R-114).
"""

import secrets
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from service_kit.errors import ForbiddenError, UnavailableError
from service_kit.web.guard import origin_of
from service_kit.web.problems import REQUEST_ID, Handler
from tenant_service.people.errors import TenantIsSuspendedError
from tenant_service.people.visitor import Visitor
from tenant_service.public.plane import PLANE, VISITOR, Plane
from tenant_service.tenants.models import TenantStatus
from tenant_service.tenants.slugs import broken_rule

ORGANIZATION_CREATE: Final = "/api/auth/organization/create"
SIGN_UP: Final = "/api/auth/sign-up"
OPEN_WHILE_SUSPENDED: Final = ("/accept-invite/", "/api/invitations/", "/assets/")
"""An invitation waits for its tenant and says so itself; a page keeps its looks."""

REFUSALS: Final = (
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "BAD_REQUEST",
    "ORIGIN_REJECTED",
    "TENANT_SUSPENDED",
    "RATE_LIMITED",
    "NOT_READY",
    "AUDIT_WRITE_FAILED",
    "DATABASE_UNAVAILABLE",
    "INTERNAL_ERROR",
)
"""What any operation may be refused with, whatever its handler; for the OpenAPI document."""

_OPERATOR_LED: Final = '{"code":"FORBIDDEN","message":"Tenant creation is operator-led"}'
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def gate_middleware() -> Middleware:
    """Stands before every handler; inside the middleware that turns errors into answers."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = f"req_{secrets.token_hex(13)}"
        if (closed := _closed_door(request.path)) is not None:
            return closed
        plane = request.app.get(PLANE)
        if plane is None:
            raise UnavailableError("NOT_READY", "The service is starting")
        ip = plane.proxies.client(request.remote or "", request.headers.getall("X-Forwarded-For", []))
        plane.limit.take(ip)
        visitor = await _visitor(request, plane, ip)
        if visitor is None:
            headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
            return web.Response(status=404, text="Not Found", headers=headers)
        request[VISITOR] = visitor
        if visitor.tenant.status is TenantStatus.SUSPENDED and not _waits(request.path):
            raise TenantIsSuspendedError
        _require_own_page(request, plane.origin(visitor), has_cookie=bool(plane.cookie.read(request)))
        return await handler(request)

    return middleware


def _closed_door(path: str) -> web.Response | None:
    """R-113 in the seed's bytes, and R-036: for every caller, method, header and host."""
    bare = path.rstrip("/").lower()
    if bare == ORGANIZATION_CREATE:
        return web.Response(status=403, text=_OPERATOR_LED, content_type="application/json")
    if bare == SIGN_UP or bare.startswith(f"{SIGN_UP}/"):
        raise ForbiddenError("SIGN_UP_DISABLED", "Accounts are made by invitation only")
    return None


def _waits(path: str) -> bool:
    return path.startswith(OPEN_WHILE_SUSPENDED)


async def _visitor(request: web.Request, plane: Plane, ip: str) -> Visitor | None:
    slug = slug_of(request.headers.getall("Host", []), plane.hosts.base)
    tenant = await plane.database.tenant_of(slug) if slug else None
    if tenant is None:
        return None
    return Visitor(tenant, request[REQUEST_ID], ip, origin_of(request)[1])


def slug_of(hosts: list[str], base: str) -> str:
    """The slug that the one Host header names below the base domain; empty when it names none."""
    if len(hosts) != 1:
        return ""
    slug, dot, rest = hosts[0].lower().partition(".")
    fits = dot == "." and rest == base and broken_rule(slug, frozenset()) is None
    return slug if fits else ""


def _require_own_page(request: web.Request, origin: str, *, has_cookie: bool) -> None:
    """Raise ForbiddenError `ORIGIN_REJECTED` when another site had a browser send this.

    A program that carries no cookie has nothing that could be abused, and may leave the header out.
    """
    if request.method in _SAFE:
        return
    given = request.headers.getall("Origin", [])
    if given != [origin] and (given or has_cookie):
        raise _foreign()
    if request.headers.getall("Sec-Fetch-Site", ["same-origin"]) != ["same-origin"]:
        raise _foreign()


def _foreign() -> ForbiddenError:
    return ForbiddenError("ORIGIN_REJECTED", "The request did not come from this site")
