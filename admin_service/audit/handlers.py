"""The audit endpoints: thin, and without a rule of their own (R-098)."""

from typing import Final

from aiohttp import web

from admin_service.audit.export import AuditExporter
from admin_service.audit.schemas import (
    AuditDetailModel,
    AuditListModel,
    AuditQuery,
    CatalogueModel,
    ExportQuery,
    VerificationModel,
    VerifyQuery,
)
from admin_service.audit.sending import send_export
from admin_service.audit.service import AuditReader, Reader
from admin_service.audit.verification import AuditVerification
from admin_service.delegation import delegation_of
from service_kit.identity.model import Permission
from service_kit.web.api import Audience, Call, Endpoint, Reply
from service_kit.web.pages import link_header

_LOG: Final = "/api/admin/audit-logs"


def endpoints(
    audit: AuditReader, verification: AuditVerification, exporter: AuditExporter
) -> tuple[Endpoint, ...]:
    """The merged log, one row of it, all of it as a file, and the proof that nobody touched it."""

    async def page(call: Call) -> Reply:
        query: AuditQuery = call.query
        found = await audit.page(
            _reader(call),
            query.wanted,
            limit=query.limit,
            cursor=query.cursor,
            allow_partial=query.allow_partial,
            noted_from=call.origin,
        )
        return Reply(AuditListModel.of(found), headers=link_header(call.request.rel_url, found.page))

    async def by_id(call: Call) -> AuditDetailModel:
        return AuditDetailModel.of(await audit.by_id(_reader(call), call.path("id")))

    async def verify(call: Call) -> VerificationModel:
        return VerificationModel.of(await verification.verify(_reader(call), call.query.stretch))

    async def export(call: Call) -> web.StreamResponse:
        return await send_export(call, _reader(call), exporter)

    async def catalogue(call: Call) -> CatalogueModel:
        return CatalogueModel.of(await audit.catalogue(_reader(call)))

    return (
        Endpoint(
            "GET",
            _LOG,
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            page,
            "Every management action of both services, newest first.",
            query=AuditQuery,
            returns=AuditListModel,
            errors=(
                "PERMISSION_DENIED",
                "QUERY_INVALID",
                "INVALID_CURSOR",
                "ADMIN_EVENTS_FORBIDDEN",
                "AUDIT_SOURCE_UNAVAILABLE",
            ),
        ),
        Endpoint(
            "GET",
            _LOG + "/verify",
            Permission.EXPORT_AUDIT,
            verify,
            "Whether the audit log of both services is as it was written.",
            query=VerifyQuery,
            returns=VerificationModel,
            errors=("PERMISSION_DENIED", "QUERY_INVALID", "AUDIT_SOURCE_UNAVAILABLE"),
        ),
        Endpoint(
            "GET",
            _LOG + "/export",
            Permission.EXPORT_AUDIT,
            export,
            "The audit log of both services as a file, with a signed manifest at its end.",
            query=ExportQuery,
            errors=(
                "PERMISSION_DENIED",
                "QUERY_INVALID",
                "EXPORT_RANGE_TOO_WIDE",
                "EXPORT_RANGE_EMPTY",
                "EXPORT_BUSY",
                "AUDIT_SOURCE_UNAVAILABLE",
                "AUDIT_KEY_UNAVAILABLE",
                "AUDIT_WRITE_FAILED",
                "DATABASE_UNAVAILABLE",
            ),
            files=("text/csv", "application/x-ndjson", "text/plain"),
        ),
        Endpoint(
            "GET",
            "/api/admin/events/catalogue",
            Audience.OPERATOR,
            catalogue,
            "Every kind of event that the two services record.",
            returns=CatalogueModel,
            errors=("PERMISSION_DENIED", "AUDIT_SOURCE_UNAVAILABLE"),
        ),
        Endpoint(
            "GET",
            _LOG + "/{id}",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            by_id,
            "One audit row, its twin, and its place in the chain.",
            returns=AuditDetailModel,
            errors=("PERMISSION_DENIED", "AUDIT_EVENT_NOT_FOUND", "AUDIT_SOURCE_UNAVAILABLE"),
        ),
    )


def _reader(call: Call) -> Reader:
    return Reader(call.actor, delegation_of(call.request))
