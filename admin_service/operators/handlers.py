"""The operators' endpoints: thin, and without a rule of their own (R-098)."""

from dataclasses import dataclass
from typing import Final

from admin_service.operators.errors import VersionConflictError
from admin_service.operators.models import Operator
from admin_service.operators.named import named_operator
from admin_service.operators.provisioning import ProvisioningService
from admin_service.operators.schemas import (
    ActivityBody,
    DeactivateBody,
    IssuedEnrollmentModel,
    NewOperatorBody,
    OperatorListModel,
    OperatorModel,
    OperatorQuery,
    ReactivateBody,
    ReissueBody,
    RoleBody,
    as_shown,
    without_token,
)
from admin_service.operators.service import OperatorService
from admin_service.operators.standing import StandingService
from service_kit.errors import PreconditionFailedError
from service_kit.identity.model import Permission, Scope
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.pages import link_header
from service_kit.web.replaying import CODES as KEY_CODES
from service_kit.web.replaying import once_of, replaying
from service_kit.web.versions import etag, expected_versions

_OPERATORS: Final = "/api/admin/global-admins"
_REFUSED: Final = ("PERMISSION_DENIED", "ENROLLMENT_REQUIRED", "ACCOUNT_DEACTIVATED")
_CHANGES_REFUSED: Final = (*KEY_CODES, *_REFUSED)
_MANAGE: Final = Permission.MANAGE_GLOBAL_ADMINS


@dataclass(frozen=True, slots=True)
class _Handlers:
    operators: OperatorService
    provisioning: ProvisioningService
    standing: StandingService

    async def page(self, call: Call) -> Reply:
        query: OperatorQuery = call.query
        page = await self.operators.page(query.wanted, limit=query.limit, cursor=query.cursor)
        return Reply(OperatorListModel.of(page), headers=link_header(call.request.rel_url, page))

    async def create(self, call: Call) -> IssuedEnrollmentModel:
        body: NewOperatorBody = call.body
        once = once_of(call, without_token, status=201)
        return IssuedEnrollmentModel.of(await self.provisioning.create(call, body.wanted, once=once))

    async def reissue(self, call: Call) -> IssuedEnrollmentModel:
        body: ReissueBody = call.body
        issued = await self.provisioning.reissue(
            call,
            named_operator(call),
            rebind=body.rebind,
            confirm=body.confirm,
            once=once_of(call, without_token),
        )
        return IssuedEnrollmentModel.of(issued)

    async def reactivate(self, call: Call) -> IssuedEnrollmentModel:
        body: ReactivateBody = call.body
        issued = await self.provisioning.reactivate(
            call, named_operator(call), reason=body.reason, once=once_of(call, without_token)
        )
        return IssuedEnrollmentModel.of(issued)

    async def deactivate(self, call: Call) -> Reply:
        body: DeactivateBody = call.body
        return _shown(
            await self.standing.deactivate(
                call, named_operator(call), reason=body.reason, once=once_of(call, as_shown)
            )
        )

    async def change_role(self, call: Call) -> Reply:
        body: RoleBody = call.body
        expected, once = expected_versions(call.request), once_of(call, as_shown)
        try:
            return _shown(
                await self.standing.change_role(
                    call, named_operator(call), body.role, reason=body.reason, expected=expected, once=once
                )
            )
        except VersionConflictError as conflict:
            raise _with_current(conflict) from None

    async def seen(self, call: Call) -> Reply:
        body: ActivityBody = call.body
        await self.operators.seen(body.sightings)
        return Reply(None, status=204)


def endpoints(
    operators: OperatorService, provisioning: ProvisioningService, standing: StandingService
) -> tuple[Endpoint, ...]:
    """What can be asked about operators."""
    handle = _Handlers(operators, provisioning, standing)
    return (
        Endpoint(
            "GET",
            _OPERATORS,
            _MANAGE,
            handle.page,
            "Operators, newest first; never a token.",
            query=OperatorQuery,
            returns=OperatorListModel,
            errors=("QUERY_INVALID", "INVALID_CURSOR", *_REFUSED),
        ),
        *_ways_in(handle),
        *_standing(handle),
        Endpoint(
            "POST",
            "/internal/v1/operators/activity",
            Scope.ROSTER,
            handle.seen,
            "When operators were last at work; sent in batches by the sidecar.",
            body=ActivityBody,
            status=204,
            errors=("PERMISSION_DENIED", "VALIDATION_FAILED"),
        ),
    )


def _ways_in(handle: _Handlers) -> tuple[Endpoint, ...]:
    """R-092, R-094, G-04: each answer shows a token, this once."""
    return (
        Endpoint(
            "POST",
            _OPERATORS,
            _MANAGE,
            replaying(handle.create),
            "Provision an operator; the enrollment token is shown once.",
            body=NewOperatorBody,
            returns=IssuedEnrollmentModel,
            status=201,
            errors=("OPERATOR_EXISTS", "SUPER_ADMIN_GRANT_FORBIDDEN", "VALIDATION_FAILED", *_CHANGES_REFUSED),
        ),
        Endpoint(
            "POST",
            _OPERATORS + "/{id}/reissue-enrollment",
            _MANAGE,
            replaying(handle.reissue),
            "Issue a new enrollment token, shown once; with rebind, for an operator who is enrolled.",
            body=ReissueBody,
            returns=IssuedEnrollmentModel,
            errors=(
                "OPERATOR_NOT_FOUND",
                "OPERATOR_DEACTIVATED",
                "SUPER_ADMIN_GRANT_FORBIDDEN",
                "ALREADY_ENROLLED",
                "CONFIRMATION_MISMATCH",
                "LAST_SUPER_ADMIN",
                "VALIDATION_FAILED",
                *_CHANGES_REFUSED,
            ),
        ),
        Endpoint(
            "POST",
            _OPERATORS + "/{id}/reactivate",
            _MANAGE,
            replaying(handle.reactivate),
            "Let a deactivated operator enroll again; the token is shown once.",
            body=ReactivateBody,
            returns=IssuedEnrollmentModel,
            errors=(
                "OPERATOR_NOT_FOUND",
                "OPERATOR_NOT_DEACTIVATED",
                "OPERATOR_EXISTS",
                "SUPER_ADMIN_GRANT_FORBIDDEN",
                "VALIDATION_FAILED",
                *_CHANGES_REFUSED,
            ),
        ),
    )


def _standing(handle: _Handlers) -> tuple[Endpoint, ...]:
    """R-093, G-01."""
    return (
        Endpoint(
            "POST",
            _OPERATORS + "/{id}/deactivate",
            _MANAGE,
            replaying(handle.deactivate),
            "Deactivate an operator at once; a repeat changes nothing.",
            body=DeactivateBody,
            returns=OperatorModel,
            errors=(
                "OPERATOR_NOT_FOUND",
                "SELF_DEACTIVATION_FORBIDDEN",
                "LAST_SUPER_ADMIN",
                *_CHANGES_REFUSED,
            ),
        ),
        Endpoint(
            "POST",
            _OPERATORS + "/{id}/role",
            _MANAGE,
            replaying(handle.change_role),
            "Give an operator another role; If-Match names the version that was seen.",
            body=RoleBody,
            returns=OperatorModel,
            errors=(
                "PRECONDITION_REQUIRED",
                "VERSION_CONFLICT",
                "OPERATOR_NOT_FOUND",
                "OPERATOR_DEACTIVATED",
                "SELF_ROLE_CHANGE_FORBIDDEN",
                "SUPER_ADMIN_GRANT_FORBIDDEN",
                "LAST_SUPER_ADMIN",
                "VALIDATION_FAILED",
                *_CHANGES_REFUSED,
            ),
        ),
    )


def _shown(operator: Operator) -> Reply:
    return Reply(OperatorModel.of(operator), headers=etag(operator.version))


def _with_current(conflict: VersionConflictError) -> PreconditionFailedError:
    """The refusal with the row as it is, so that the caller can decide anew."""
    return PreconditionFailedError(
        conflict.code,
        conflict.message,
        headers=etag(conflict.current.version),
        extra={"current": as_shown(conflict.current)},
    )
