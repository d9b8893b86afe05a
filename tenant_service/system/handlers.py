"""The HTTP face of this service's queues and workflows; the desk of the kit does the work."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.system.desk import SystemDesk
from service_kit.system.schemas import (
    AcceptedModel,
    QueueModel,
    QueuesModel,
    ReasonBody,
    WorkflowModel,
    WorkflowsModel,
    request_of,
)
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.idempotency import REPLAYED

DESK = web.AppKey("system_desk", SystemDesk)

SERVICE: Final = "tenant"
_SYSTEM: Final = "/internal/v1/system"
_KEY_ERRORS: Final = ("IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_KEY_REUSED", "IDEMPOTENCY_IN_PROGRESS")


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            f"{_SYSTEM}/queues",
            Permission.VIEW_SYSTEM_METRICS,
            _queues,
            "The queues of this service",
            returns=QueuesModel,
        ),
        Endpoint(
            "GET",
            f"{_SYSTEM}/workflows",
            Permission.VIEW_SYSTEM_METRICS,
            _workflows,
            "The workflows of this service",
            returns=WorkflowsModel,
        ),
        Endpoint(
            "POST",
            _SYSTEM + "/queues/{name}/messages/{id}/retry",
            Permission.MANAGE_GLOBAL_ADMINS,
            _retry,
            "Try a message again that was given up",
            body=ReasonBody,
            returns=AcceptedModel,
            status=202,
            errors=("MESSAGE_NOT_FOUND", "MESSAGE_NOT_DEAD", "MESSAGE_BODY_ERASED", *_KEY_ERRORS),
        ),
        Endpoint(
            "POST",
            _SYSTEM + "/workflows/{name}/run",
            Permission.MANAGE_GLOBAL_ADMINS,
            _run,
            "Let a workflow run now",
            body=ReasonBody,
            returns=AcceptedModel,
            status=202,
            errors=("WORKFLOW_NOT_FOUND", *_KEY_ERRORS),
        ),
    )


async def _queues(call: Call) -> QueuesModel:
    return QueuesModel(data=[QueueModel.of(one, SERVICE) for one in await call.request.app[DESK].queues()])


async def _workflows(call: Call) -> WorkflowsModel:
    jobs = await call.request.app[DESK].jobs()
    return WorkflowsModel(data=[WorkflowModel.of(one, SERVICE) for one in jobs])


async def _retry(call: Call) -> Reply:
    name, message_id = call.path("name"), call.path("id")
    was_done = await call.request.app[DESK].retry(request_of(call), name, message_id)
    return _accepted(AcceptedModel(name=name, message_id=message_id), was_done=was_done)


async def _run(call: Call) -> Reply:
    name = call.path("name")
    was_done = await call.request.app[DESK].run(request_of(call), name)
    return _accepted(AcceptedModel(name=name), was_done=was_done)


def _accepted(body: AcceptedModel, *, was_done: bool) -> Reply:
    return Reply(body, 202, {REPLAYED: "true"} if was_done else {})
