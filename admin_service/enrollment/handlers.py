"""The sidecar's claim on behalf of a person whom it has just verified."""

from admin_service.enrollment.schemas import ClaimBody, EnrolledModel
from admin_service.enrollment.service import EnrollmentService
from service_kit.identity.model import Scope
from service_kit.web.api import Call, Endpoint


def endpoints(enrollment: EnrollmentService) -> tuple[Endpoint, ...]:
    """The internal endpoint; people use the panel's page."""

    async def claim(call: Call) -> EnrolledModel:
        body: ClaimBody = call.body
        return EnrolledModel.of(await enrollment.claim(body.claimant, body.token, call.origin))

    return (
        Endpoint(
            "POST",
            "/internal/v1/enrollments/claim",
            Scope.ROSTER,
            claim,
            "Claim an operator row for a verified person; every failure has one answer.",
            body=ClaimBody,
            returns=EnrolledModel,
            errors=("ENROLLMENT_REQUIRED", "ENROLLMENT_LIMITED", "VALIDATION_FAILED"),
        ),
    )
