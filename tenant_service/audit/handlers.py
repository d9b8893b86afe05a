"""The HTTP face of the audit log, for the admin service in an operator's name."""

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint
from tenant_service.audit.schemas import (
    ActivityQuery,
    AuditActivity,
    AuditDetail,
    AuditProof,
    AuditQuery,
    AuditRows,
    VerifyQuery,
)
from tenant_service.audit.service import AuditService
from tenant_service.calls import asker_of

AUDIT = web.AppKey("audit", AuditService)


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            "/internal/v1/audit-events",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _rows,
            "Rows of this service's audit log",
            query=AuditQuery,
            returns=AuditRows,
            errors=("QUERY_INVALID",),
        ),
        Endpoint(
            "GET",
            "/internal/v1/audit-events/verify",
            Permission.EXPORT_AUDIT,
            _verify,
            "Whether this service's audit log is as it was written",
            query=VerifyQuery,
            returns=AuditProof,
            errors=("QUERY_INVALID",),
        ),
        Endpoint(
            "GET",
            "/internal/v1/audit-events/{id}",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _detail,
            "One audit row and its twin",
            returns=AuditDetail,
            errors=("AUDIT_EVENT_NOT_FOUND",),
        ),
        Endpoint(
            "GET",
            "/internal/v1/audit-activity",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _activity,
            "Actions per day",
            query=ActivityQuery,
            returns=AuditActivity,
            errors=("QUERY_INVALID",),
        ),
    )


async def _rows(call: Call) -> AuditRows:
    return await call.request.app[AUDIT].rows(asker_of(call), call.query)


async def _verify(call: Call) -> AuditProof:
    return await call.request.app[AUDIT].verify(call.query)


async def _detail(call: Call) -> AuditDetail:
    return await call.request.app[AUDIT].detail(asker_of(call), call.path("id"))


async def _activity(call: Call) -> AuditActivity:
    return await call.request.app[AUDIT].activity(asker_of(call), days=call.query.days)
