"""The HTTP face of credit for operators: it reads the call, asks the service and names the status."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply, Result
from service_kit.web.idempotency import HEADER, REPLAYED, read_key
from service_kit.web.pages import link_header
from service_kit.web.replaying import CODES, once_of, replaying
from tenant_service.billing.credits.csv_answer import csv_answer
from tenant_service.billing.credits.errors import key_required
from tenant_service.billing.credits.ledger import Booked
from tenant_service.billing.credits.reading import BillingReader
from tenant_service.billing.credits.schemas import (
    BillingQuery,
    BillingSummaryModel,
    ExpiryChanged,
    GrantMade,
    GrantVoided,
    LedgerPage,
    LedgerQuery,
    NewExpiry,
    NewGrant,
    SummaryQuery,
    TenantBilling,
    VoidGrant,
)
from tenant_service.billing.credits.service import GrantService
from tenant_service.calls import asker_of

GRANTS = web.AppKey("credit_grants", GrantService)
BILLING = web.AppKey("billing", BillingReader)
_TENANT: Final = "/api/admin/tenants/{id}"
_KEYED: Final = ("IDEMPOTENCY_KEY_REQUIRED", "IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_KEY_REUSED")
_OF_TENANT: Final = ("TENANT_NOT_FOUND", "TENANT_DELETED", "VALIDATION_FAILED")
_OF_GRANT: Final = ("GRANT_NOT_FOUND", "GRANT_ALREADY_VOIDED", "GRANT_EXPIRED")


def endpoints() -> tuple[Endpoint, ...]:
    return (*_reads(), *_changes())


def _reads() -> tuple[Endpoint, ...]:
    view = Permission.BILLING_VIEW
    return (
        Endpoint(
            "GET",
            f"{_TENANT}/billing",
            view,
            _billing,
            "A tenant's credits: totals, and grants in the order in which they are used",
            query=BillingQuery,
            returns=TenantBilling,
            errors=("TENANT_NOT_FOUND", "QUERY_INVALID"),
        ),
        Endpoint(
            "GET",
            f"{_TENANT}/credits/ledger",
            view,
            _ledger,
            "A tenant's ledger, newest first; format=csv is the whole of it as a file",
            query=LedgerQuery,
            returns=LedgerPage,
            errors=("TENANT_NOT_FOUND", "QUERY_INVALID", "INVALID_CURSOR"),
            files=("text/csv",),
        ),
        Endpoint(
            "GET",
            "/api/admin/billing/summary",
            view,
            _summary,
            "Credits of all tenants: per day, outstanding, most used, low",
            query=SummaryQuery,
            returns=BillingSummaryModel,
            errors=("QUERY_INVALID",),
        ),
    )


def _changes() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "POST",
            f"{_TENANT}/credits/grants",
            Permission.BILLING_GRANT,
            _grant,
            "Grant replies to a tenant; needs an Idempotency-Key",
            body=NewGrant,
            returns=GrantMade,
            status=201,
            errors=(*_OF_TENANT, "GRANT_ABOVE_SUPPORT_MAX", "GRANT_DAILY_CAP", *_KEYED),
        ),
        Endpoint(
            "POST",
            f"{_TENANT}/credits/grants/{{grant}}/void",
            Permission.BILLING_GRANT,
            _void,
            "Take back what is left of a grant; needs an Idempotency-Key",
            body=VoidGrant,
            returns=GrantVoided,
            errors=(*_OF_TENANT, *_OF_GRANT, "GRANT_EXHAUSTED", *_KEYED),
        ),
        Endpoint(
            "POST",
            f"{_TENANT}/credits/grants/{{grant}}/expiry",
            Permission.BILLING_MANAGE_PACKS,
            replaying(_expiry),
            "Let a grant end earlier, later or never",
            body=NewExpiry,
            returns=ExpiryChanged,
            errors=(*_OF_TENANT, *_OF_GRANT, *CODES),
        ),
    )


async def _billing(call: Call) -> TenantBilling:
    return await call.request.app[BILLING].billing(asker_of(call), call.path("id"), call.query)


async def _ledger(call: Call) -> Result:
    reader = call.request.app[BILLING]
    if call.query.format == "csv":
        parts = await reader.csv(call.path("id"), call.query)
        return await csv_answer(call.request, parts, name="credits-ledger.csv")
    page, found = await reader.ledger(call.path("id"), call.query)
    return Reply(page, headers=link_header(call.request.rel_url, found))


async def _summary(call: Call) -> BillingSummaryModel:
    return await call.request.app[BILLING].summary(call.query)


async def _grant(call: Call) -> Reply:
    key = required_key(call)
    made = await call.request.app[GRANTS].grant(asker_of(call), call.path("id"), call.body, key=key)
    return booked_reply(made, 201)


async def _void(call: Call) -> Reply:
    key = required_key(call)
    voided = await call.request.app[GRANTS].void(
        asker_of(call), call.path("id"), call.path("grant"), call.body, key=key
    )
    return booked_reply(voided, 200)


async def _expiry(call: Call) -> ExpiryChanged:
    return await call.request.app[GRANTS].change_expiry(
        asker_of(call), call.path("id"), call.path("grant"), call.body, once=once_of(call, _shown)
    )


def optional_key(call: Call) -> str | None:
    """Raises BadRequestError for text that is no key."""
    return read_key(call.request.headers.getall(HEADER, []))


def required_key(call: Call) -> str:
    """Raises BadRequestError IDEMPOTENCY_KEY_REQUIRED: a double click must not be a double grant (G-12)."""
    key = optional_key(call)
    if key is None:
        raise key_required()
    return key


def booked_reply(booked: Booked[Any], status: int) -> Reply:
    return Reply(booked.answer, status, {REPLAYED: "true"} if booked.replayed else {})


def _shown(answer: Any) -> Mapping[str, Any]:
    shown: Mapping[str, Any] = answer.model_dump(mode="json", by_alias=True)
    return shown
