"""The audit endpoints: thin, and without a rule of their own (R-098)."""

from typing import Final

from admin_service.audit.schemas import (
    AuditDetailModel,
    AuditListModel,
    AuditQuery,
    VerificationModel,
    VerifyQuery,
)
from admin_service.audit.service import AuditReader, Reader
from admin_service.audit.verification import AuditVerification
from admin_service.delegation import delegation_of
from admin_service.paging import link_header
from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply

_LOG: Final = "/api/admin/audit-logs"


def endpoints(audit: AuditReader, verification: AuditVerification) -> tuple[Endpoint, ...]:
    """The merged log, one row of it, and the proof that nobody touched it."""

    async def page(call: Call) -> Reply:
        query: AuditQuery = call.query
        found = await audit.page(
            _reader(call),
            query.wanted,
            limit=query.limit,
            cursor=query.cursor,
            allow_partial=query.allow_partial,
        )
        return Reply(AuditListModel.of(found), headers=link_header(call.request.rel_url, found.page))

    async def by_id(call: Call) -> AuditDetailModel:
        return AuditDetailModel.of(await audit.by_id(_reader(call), call.path("id")))

    async def verify(call: Call) -> VerificationModel:
        return VerificationModel.of(await verification.verify(_reader(call), call.query.stretch))

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
            _LOG + "/{id}",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            by_id,
            "One audit row and its twin.",
            returns=AuditDetailModel,
            errors=("PERMISSION_DENIED", "AUDIT_EVENT_NOT_FOUND", "AUDIT_SOURCE_UNAVAILABLE"),
        ),
    )


def _reader(call: Call) -> Reader:
    return Reader(call.actor, delegation_of(call.request))
