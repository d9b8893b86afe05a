"""The operators' endpoints: thin, and without a rule of their own (R-098)."""

from typing import Final

from admin_service.operators.schemas import (
    ActivityBody,
    DeactivateBody,
    IssuedEnrollmentModel,
    MeModel,
    NewOperatorBody,
    OperatorListModel,
    OperatorModel,
    OperatorQuery,
)
from admin_service.operators.service import OperatorService
from admin_service.paging import link_header
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Scope
from service_kit.web.api import Audience, Call, Endpoint, Reply

_OPERATORS: Final = "/api/admin/global-admins"
_OWN_ROW: Final = ("ENROLLMENT_REQUIRED", "ACCOUNT_DEACTIVATED")


class _Handlers:
    def __init__(self, operators: OperatorService) -> None:
        self._operators = operators

    async def me(self, call: Call) -> MeModel:
        operator = await self._operators.me(call.actor)
        return MeModel(
            id=operator.id,
            email=operator.email,
            name=operator.name,
            role=operator.role,
            permissions=sorted(OPERATOR_PERMISSIONS[operator.role]),
            last_active_at=operator.last_active_at,
        )

    async def page(self, call: Call) -> Reply:
        query: OperatorQuery = call.query
        page = await self._operators.page(query.wanted, limit=query.limit, cursor=query.cursor)
        return Reply(OperatorListModel.of(page), headers=link_header(call.request.rel_url, page))

    async def create(self, call: Call) -> IssuedEnrollmentModel:
        body: NewOperatorBody = call.body
        return IssuedEnrollmentModel.of(await self._operators.create(call, body.wanted))

    async def deactivate(self, call: Call) -> OperatorModel:
        body: DeactivateBody = call.body
        operator = await self._operators.deactivate(call, call.path("id"), reason=body.reason)
        return OperatorModel.of(operator)

    async def seen(self, call: Call) -> Reply:
        body: ActivityBody = call.body
        await self._operators.seen(body.sightings)
        return Reply(None, status=204)


def endpoints(operators: OperatorService) -> tuple[Endpoint, ...]:
    """What can be asked about operators."""
    handle = _Handlers(operators)
    return (
        Endpoint(
            "GET",
            "/api/admin/me",
            Audience.OPERATOR,
            handle.me,
            "The operator who asks, and what they may do.",
            returns=MeModel,
            errors=_OWN_ROW,
        ),
        *_managed(handle),
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


def _managed(handle: _Handlers) -> tuple[Endpoint, ...]:
    """What only who manages operators may ask (R-091…R-093)."""
    manage = Permission.MANAGE_GLOBAL_ADMINS
    return (
        Endpoint(
            "GET",
            _OPERATORS,
            manage,
            handle.page,
            "Operators, newest first; never a token.",
            query=OperatorQuery,
            returns=OperatorListModel,
            errors=("PERMISSION_DENIED", "QUERY_INVALID", "INVALID_CURSOR", *_OWN_ROW),
        ),
        Endpoint(
            "POST",
            _OPERATORS,
            manage,
            handle.create,
            "Provision an operator; the enrollment token is shown once.",
            body=NewOperatorBody,
            returns=IssuedEnrollmentModel,
            status=201,
            errors=(
                "PERMISSION_DENIED",
                "OPERATOR_EXISTS",
                "SUPER_ADMIN_GRANT_FORBIDDEN",
                "VALIDATION_FAILED",
                *_OWN_ROW,
            ),
        ),
        Endpoint(
            "POST",
            _OPERATORS + "/{id}/deactivate",
            manage,
            handle.deactivate,
            "Deactivate an operator at once; a repeat changes nothing.",
            body=DeactivateBody,
            returns=OperatorModel,
            errors=(
                "PERMISSION_DENIED",
                "OPERATOR_NOT_FOUND",
                "SELF_DEACTIVATION_FORBIDDEN",
                "LAST_SUPER_ADMIN",
                *_OWN_ROW,
            ),
        ),
    )
