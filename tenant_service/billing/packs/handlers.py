"""The HTTP face of packs: it reads the call, asks the service and names the status; no rule lives here."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.replaying import CODES, once_of, replaying
from service_kit.web.versions import etag, expected_versions
from tenant_service.billing.packs.schemas import (
    NewPack,
    PackChange,
    PackDeletion,
    PackList,
    PackModel,
    PackOrder,
    PackQuery,
)
from tenant_service.billing.packs.service import PackService
from tenant_service.calls import asker_of

PACKS = web.AppKey("credit_packs", PackService)
_PATH: Final = "/api/admin/credit-packs"
_VERSIONED: Final = ("PACK_NOT_FOUND", "PRECONDITION_REQUIRED", "VERSION_CONFLICT")


def endpoints() -> tuple[Endpoint, ...]:
    manage = Permission.BILLING_MANAGE_PACKS
    return (
        Endpoint(
            "GET",
            _PATH,
            Permission.BILLING_VIEW,
            _list,
            "Every credit pack, by sort order",
            query=PackQuery,
            returns=PackList,
            errors=("QUERY_INVALID",),
        ),
        Endpoint(
            "POST",
            _PATH,
            manage,
            replaying(_create),
            "Create a credit pack; prices are minor units of both currencies",
            body=NewPack,
            returns=PackModel,
            status=201,
            errors=("PACK_NAME_TAKEN", "VALIDATION_FAILED", *CODES),
        ),
        Endpoint(
            "POST",
            f"{_PATH}/reorder",
            manage,
            replaying(_reorder),
            "Put every credit pack in a new order",
            body=PackOrder,
            returns=PackList,
            errors=("PACK_LIST_CHANGED", "VALIDATION_FAILED", *CODES),
        ),
        Endpoint(
            "PATCH",
            f"{_PATH}/{{id}}",
            manage,
            _update,
            "Change a credit pack; If-Match names the version that was seen",
            body=PackChange,
            returns=PackModel,
            errors=("PACK_NAME_TAKEN", "VALIDATION_FAILED", *_VERSIONED),
        ),
        Endpoint(
            "DELETE",
            f"{_PATH}/{{id}}",
            manage,
            _delete,
            "Delete a credit pack; history keeps what it was",
            query=PackDeletion,
            status=204,
            errors=("CONFIRMATION_MISMATCH", *_VERSIONED),
        ),
        Endpoint(
            "POST",
            f"{_PATH}/{{id}}/activate",
            manage,
            replaying(_activate),
            "Offer a credit pack to tenants",
            returns=PackModel,
            errors=("PACK_NOT_FOUND", *CODES),
        ),
        Endpoint(
            "POST",
            f"{_PATH}/{{id}}/deactivate",
            manage,
            replaying(_deactivate),
            "Take a credit pack off the offer",
            returns=PackModel,
            errors=("PACK_NOT_FOUND", *CODES),
        ),
    )


async def _list(call: Call) -> PackList:
    return await call.request.app[PACKS].list(inactive=call.query.include_inactive)


async def _create(call: Call) -> Reply:
    pack = await call.request.app[PACKS].create(
        asker_of(call), call.body, once=once_of(call, _shown, status=201)
    )
    return Reply(pack, 201, {"Location": f"{_PATH}/{pack.id}", **etag(pack.version)})


async def _update(call: Call) -> Reply:
    expected = expected_versions(call.request)
    pack = await call.request.app[PACKS].update(asker_of(call), call.path("id"), call.body, expected=expected)
    return Reply(pack, headers=etag(pack.version))


async def _activate(call: Call) -> Reply:
    return await _offer(call, active=True)


async def _deactivate(call: Call) -> Reply:
    return await _offer(call, active=False)


async def _offer(call: Call, *, active: bool) -> Reply:
    pack = await call.request.app[PACKS].offer(
        asker_of(call), call.path("id"), active=active, once=once_of(call, _shown)
    )
    return Reply(pack, headers=etag(pack.version))


async def _reorder(call: Call) -> PackList:
    return await call.request.app[PACKS].reorder(asker_of(call), call.body, once=once_of(call, _shown))


async def _delete(call: Call) -> Reply:
    expected = expected_versions(call.request)
    await call.request.app[PACKS].delete(
        asker_of(call), call.path("id"), confirm=call.query.confirm, expected=expected
    )
    return Reply(None, 204)


def _shown(answer: Any) -> Mapping[str, Any]:
    shown: Mapping[str, Any] = answer.model_dump(mode="json", by_alias=True)
    return shown
