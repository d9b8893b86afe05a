"""The endpoints of queues and workflows (R-095, R-096): thin, and without a rule of their own."""

from dataclasses import dataclass
from typing import Final

from admin_service.delegation import delegation_of
from admin_service.system.answers import Queue, Workflow
from admin_service.system.models import Merged, Wish
from admin_service.system.service import SystemService
from service_kit.identity.model import Permission
from service_kit.system.schemas import (
    AcceptedModel,
    QueueModel,
    QueuesModel,
    ReasonBody,
    WorkflowModel,
    WorkflowsModel,
)
from service_kit.web.api import Call, Endpoint
from service_kit.web.idempotency import HEADER, read_key

_SYSTEM: Final = "/api/admin/system"
_VIEW: Final = Permission.VIEW_SYSTEM_METRICS
_MANAGE: Final = Permission.MANAGE_GLOBAL_ADMINS
_REFUSED: Final = ("PERMISSION_DENIED", "ENROLLMENT_REQUIRED", "ACCOUNT_DEACTIVATED")
_ORDER_REFUSED: Final = (
    "TENANT_SERVICE_UNAVAILABLE",
    "IDEMPOTENCY_KEY_INVALID",
    "IDEMPOTENCY_KEY_REUSED",
    "IDEMPOTENCY_IN_PROGRESS",
    *_REFUSED,
)


@dataclass(frozen=True, slots=True)
class _Handlers:
    system: SystemService

    async def queues(self, call: Call) -> QueuesModel:
        return _queues(await self.system.queues(call, delegation_of(call.request)))

    async def workflows(self, call: Call) -> WorkflowsModel:
        return _workflows(await self.system.workflows(call, delegation_of(call.request)))

    async def retry(self, call: Call) -> AcceptedModel:
        name, message_id = call.path("name"), call.path("id")
        await self.system.retry(_wish(call), delegation_of(call.request), name, message_id)
        return AcceptedModel(name=name, message_id=message_id)

    async def run(self, call: Call) -> AcceptedModel:
        name = call.path("name")
        await self.system.run(_wish(call), delegation_of(call.request), name)
        return AcceptedModel(name=name)


def endpoints(system: SystemService) -> tuple[Endpoint, ...]:
    """What can be seen of queues and workflows, and done to them."""
    handle = _Handlers(system)
    return (
        Endpoint(
            "GET",
            f"{_SYSTEM}/queues",
            _VIEW,
            handle.queues,
            "The outboxes of both services, with what was given up; never a body.",
            returns=QueuesModel,
            errors=_REFUSED,
        ),
        Endpoint(
            "GET",
            f"{_SYSTEM}/workflows",
            _VIEW,
            handle.workflows,
            "The jobs of both services, and how each ran last.",
            returns=WorkflowsModel,
            errors=_REFUSED,
        ),
        Endpoint(
            "POST",
            _SYSTEM + "/queues/{name}/messages/{id}/retry",
            _MANAGE,
            handle.retry,
            "Try a message again that was given up; `name` is that of the list, such as `tenant.mail`.",
            body=ReasonBody,
            returns=AcceptedModel,
            status=202,
            errors=("MESSAGE_NOT_FOUND", "MESSAGE_NOT_DEAD", "MESSAGE_BODY_ERASED", *_ORDER_REFUSED),
        ),
        Endpoint(
            "POST",
            _SYSTEM + "/workflows/{name}/run",
            _MANAGE,
            handle.run,
            "Let a workflow run now; `name` is that of the list, such as `tenant.deliver_mail`.",
            body=ReasonBody,
            returns=AcceptedModel,
            status=202,
            errors=("WORKFLOW_NOT_FOUND", *_ORDER_REFUSED),
        ),
    )


def _wish(call: Call) -> Wish:
    return Wish(call, call.body.reason, read_key(call.request.headers.getall(HEADER, [])))


def _queues(merged: Merged[Queue]) -> QueuesModel:
    rows = [QueueModel.model_validate(one.model_dump(), strict=False) for one in merged.rows]
    return QueuesModel(data=rows, unavailable=[owner.value for owner in merged.unavailable])


def _workflows(merged: Merged[Workflow]) -> WorkflowsModel:
    rows = [WorkflowModel.model_validate(one.model_dump(), strict=False) for one in merged.rows]
    return WorkflowsModel(data=rows, unavailable=[owner.value for owner in merged.unavailable])
