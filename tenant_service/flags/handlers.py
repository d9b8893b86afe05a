"""The HTTP face of feature flags; no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.versions import etag, expected_versions
from tenant_service.calls import asker_of
from tenant_service.flags.schemas import FlagList, SetFlag
from tenant_service.flags.service import FlagService
from tenant_service.tenants.schemas import FeatureFlag

FLAGS = web.AppKey("flags", FlagService)

_FLAGS: Final = "/api/admin/tenants/{id}/feature-flags"


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            _FLAGS,
            Permission.TENANT_VIEW,
            _list,
            "Feature flags of a tenant",
            returns=FlagList,
            errors=("TENANT_NOT_FOUND",),
        ),
        Endpoint(
            "PUT",
            f"{_FLAGS}/{{key}}",
            Permission.TENANT_FEATURE_FLAGS,
            _set,
            "Switch a feature flag of a tenant; If-Match is the flag's version",
            body=SetFlag,
            returns=FeatureFlag,
            errors=(
                "TENANT_NOT_FOUND",
                "UNKNOWN_FLAG",
                "TENANT_DELETED",
                "PRECONDITION_REQUIRED",
                "VERSION_CONFLICT",
                "VALIDATION_FAILED",
            ),
        ),
    )


async def _list(call: Call) -> FlagList:
    return await call.request.app[FLAGS].list(call.path("id"))


async def _set(call: Call) -> Reply:
    expected = expected_versions(call.request)
    flag = await call.request.app[FLAGS].set(
        asker_of(call), call.path("id"), call.path("key"), call.body, expected=expected
    )
    return Reply(flag, headers=etag(flag.version))
