"""The HTTP face of connected accounts; no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply
from tenant_service.accounts.schemas import AccountPage, RemoveAccount
from tenant_service.accounts.service import AccountService
from tenant_service.calls import asker_of
from tenant_service.tenants.answers import linked
from tenant_service.tenants.schemas import PagingQuery

ACCOUNTS = web.AppKey("accounts", AccountService)

_ACCOUNTS: Final = "/api/admin/tenants/{id}/connected-accounts"


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            _ACCOUNTS,
            Permission.TENANT_VIEW,
            _page,
            "Connected accounts of a tenant, newest first",
            query=PagingQuery,
            returns=AccountPage,
            errors=("TENANT_NOT_FOUND", "QUERY_INVALID", "INVALID_CURSOR"),
        ),
        Endpoint(
            "DELETE",
            f"{_ACCOUNTS}/{{account}}",
            Permission.TENANT_UPDATE,
            _remove,
            "Remove a connected account, for a reason",
            body=RemoveAccount,
            status=204,
            errors=(
                "TENANT_NOT_FOUND",
                "CONNECTED_ACCOUNT_NOT_FOUND",
                "TENANT_DELETED",
                "VALIDATION_FAILED",
            ),
        ),
    )


async def _page(call: Call) -> Reply:
    page = await call.request.app[ACCOUNTS].page(call.path("id"), call.query)
    return linked(call, page, page.page)


async def _remove(call: Call) -> Reply:
    await call.request.app[ACCOUNTS].remove(asker_of(call), call.path("id"), call.path("account"), call.body)
    return Reply(None, 204)
