"""The HTTP face of credit for the product's runtime (http-api 3.3, G-13); no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Scope
from service_kit.ids import is_id
from service_kit.web.api import Call, Endpoint, Reply
from tenant_service.billing.credits.errors import tenant_not_found
from tenant_service.billing.credits.handlers import booked_reply, optional_key, required_key
from tenant_service.billing.credits.runtime import RuntimeCredits
from tenant_service.billing.credits.runtime_schemas import Hold, Moved, Remark, Reserved, Use

RUNTIME = web.AppKey("runtime_credits", RuntimeCredits)
_CREDITS: Final = "/internal/v1/tenants/{id}/credits"
_SPENDING: Final = (
    "TENANT_NOT_FOUND",
    "INSUFFICIENT_CREDITS",
    "TENANT_SUSPENDED",
    "TENANT_DELETED",
    "VALIDATION_FAILED",
    "IDEMPOTENCY_KEY_REQUIRED",
    "IDEMPOTENCY_KEY_INVALID",
    "IDEMPOTENCY_KEY_REUSED",
)
_SETTLING: Final = ("TENANT_NOT_FOUND", "IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_KEY_REUSED")


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "POST",
            f"{_CREDITS}/consume",
            Scope.CREDITS,
            _consume,
            "Use credit now; needs an Idempotency-Key",
            body=Use,
            returns=Moved,
            status=201,
            errors=_SPENDING,
        ),
        Endpoint(
            "POST",
            f"{_CREDITS}/reserve",
            Scope.CREDITS,
            _reserve,
            "Hold credit for work that may fail; needs an Idempotency-Key",
            body=Hold,
            returns=Reserved,
            status=201,
            errors=_SPENDING,
        ),
        Endpoint(
            "POST",
            f"{_CREDITS}/reservations/{{reservation}}/commit",
            Scope.CREDITS,
            _commit,
            "Use what was held",
            body=Remark,
            returns=Moved,
            errors=(*_SETTLING, "RESERVATION_NOT_FOUND", "RESERVATION_NOT_HELD", "RESERVATION_EXPIRED"),
        ),
        Endpoint(
            "POST",
            f"{_CREDITS}/reservations/{{reservation}}/release",
            Scope.CREDITS,
            _release,
            "Give back what was held",
            body=Remark,
            returns=Moved,
            errors=(*_SETTLING, "RESERVATION_NOT_FOUND", "RESERVATION_NOT_HELD"),
        ),
        Endpoint(
            "POST",
            f"{_CREDITS}/txns/{{txn}}/restore",
            Scope.CREDITS,
            _restore,
            "Undo a use, once, to the grants that paid for it",
            body=Remark,
            returns=Moved,
            status=201,
            errors=(*_SETTLING, "TXN_NOT_FOUND", "TXN_NOT_RESTORABLE", "TXN_ALREADY_RESTORED"),
        ),
    )


async def _consume(call: Call) -> Reply:
    runtime = call.request.app[RUNTIME]
    used = await runtime.consume(call.actor.subject, _tenant(call), call.body, key=required_key(call))
    return booked_reply(used, 201)


async def _reserve(call: Call) -> Reply:
    runtime = call.request.app[RUNTIME]
    held = await runtime.reserve(call.actor.subject, _tenant(call), call.body, key=required_key(call))
    return booked_reply(held, 201)


async def _commit(call: Call) -> Reply:
    runtime, key = call.request.app[RUNTIME], optional_key(call)
    subject, reservation = call.actor.subject, call.path("reservation")
    return booked_reply(
        await runtime.commit_reservation(subject, _tenant(call), reservation, call.body, key=key), 200
    )


async def _release(call: Call) -> Reply:
    runtime, key = call.request.app[RUNTIME], optional_key(call)
    subject, reservation = call.actor.subject, call.path("reservation")
    return booked_reply(await runtime.release(subject, _tenant(call), reservation, call.body, key=key), 200)


async def _restore(call: Call) -> Reply:
    runtime, key = call.request.app[RUNTIME], optional_key(call)
    subject, txn = call.actor.subject, call.path("txn")
    return booked_reply(await runtime.restore(subject, _tenant(call), txn, call.body, key=key), 201)


def _tenant(call: Call) -> str:
    """The id of the path; a slug may change its owner, so no credit is moved by one."""
    organization_id = call.path("id")
    if not is_id(organization_id, "org"):
        raise tenant_not_found()
    return organization_id
