"""Where the sidecars report what they refused."""

from admin_service.denials.schemas import DenialReportBody
from admin_service.denials.service import DenialService
from service_kit.identity.model import Scope
from service_kit.web.api import Call, Endpoint, Reply


def endpoints(denials: DenialService) -> tuple[Endpoint, ...]:
    """The one endpoint, for processes of ours only."""

    async def record(call: Call) -> Reply:
        body: DenialReportBody = call.body
        await denials.record(body.report)
        return Reply(None, status=204)

    return (
        Endpoint(
            "POST",
            "/internal/v1/access-denials",
            Scope.ROSTER,
            record,
            "What a sidecar refused since its last report; it becomes part of the audit log.",
            body=DenialReportBody,
            status=204,
            errors=("PERMISSION_DENIED", "VALIDATION_FAILED"),
        ),
    )
