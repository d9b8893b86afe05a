"""The HTTP face of the audit log, for the admin service in an operator's name."""

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Audience, Call, Endpoint
from service_kit.web.streaming import send_stream
from tenant_service.audit.lines import EXPORT_HEADERS, EXPORT_PATIENCE, exported_lines
from tenant_service.audit.schemas import (
    ActivityQuery,
    AuditActivity,
    AuditCountsModel,
    AuditDetail,
    AuditProof,
    AuditQuery,
    AuditRows,
    CountsQuery,
    EventCatalogue,
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
            "/internal/v1/audit-events/export",
            Permission.EXPORT_AUDIT,
            _export,
            "Every row of this service's audit log that fits the filter, as NDJSON",
            query=AuditQuery,
            errors=("QUERY_INVALID",),
            files=("application/x-ndjson",),
        ),
        Endpoint(
            "GET",
            "/internal/v1/audit-counts",
            Permission.EXPORT_AUDIT,
            _counts,
            "How much was recorded in a period, by event and by actor",
            query=CountsQuery,
            returns=AuditCountsModel,
            errors=("QUERY_INVALID",),
        ),
        Endpoint(
            "GET",
            "/internal/v1/events",
            Audience.OPERATOR,
            _catalogue,
            "Every kind of event that this service records",
            returns=EventCatalogue,
        ),
        Endpoint(
            "GET",
            "/internal/v1/audit-events/{id}",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _detail,
            "One audit row, its twin, and its place in the chain",
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


async def _export(call: Call) -> web.StreamResponse:
    walk = call.request.app[AUDIT].export(asker_of(call), call.query)
    return await send_stream(call.request, EXPORT_HEADERS, exported_lines(walk), patience=EXPORT_PATIENCE)


async def _counts(call: Call) -> AuditCountsModel:
    return await call.request.app[AUDIT].counts(asker_of(call), call.query)


async def _catalogue(call: Call) -> EventCatalogue:
    return call.request.app[AUDIT].catalogue()


async def _detail(call: Call) -> AuditDetail:
    return await call.request.app[AUDIT].detail(asker_of(call), call.path("id"))


async def _activity(call: Call) -> AuditActivity:
    return await call.request.app[AUDIT].activity(asker_of(call), days=call.query.days)
