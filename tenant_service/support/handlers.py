"""The HTTP face of the support search; no rule lives here."""

from typing import Final

from aiohttp import web

from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint, Reply
from service_kit.web.pages import Page, link_header
from tenant_service.calls import asker_of
from tenant_service.support.checking import PredicateChecking
from tenant_service.support.errors import limit_headers
from tenant_service.support.schemas import (
    PredicateCheck,
    PredicateVerdict,
    SearchStanding,
    SupportPage,
    SupportQuery,
)
from tenant_service.support.service import SupportSearch

SEARCH = web.AppKey("support_search", SupportSearch)
CHECKING = web.AppKey("predicate_checking", PredicateChecking)

_SEARCH_ERRORS: Final = (
    "PERMISSION_DENIED",
    "QUERY_INVALID",
    "QUERY_TOO_BROAD",
    "INVALID_CURSOR",
    "RATE_LIMITED",
    "AUDIT_WRITE_FAILED",
)


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            "/api/admin/users",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _search,
            "Search the people of all tenants; each page is recorded as CRITICAL",
            query=SupportQuery,
            returns=SupportPage,
            errors=_SEARCH_ERRORS,
        ),
        Endpoint(
            "POST",
            "/internal/v1/support-search",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _search_of_form,
            "The same search for the panel, so that what is searched for stands in no address",
            body=SupportQuery,
            returns=SupportPage,
            errors=_SEARCH_ERRORS,
        ),
        Endpoint(
            "GET",
            "/internal/v1/support-search/budget",
            Permission.VIEW_AUDIT_LOGS_GLOBAL,
            _standing,
            "How many searches the operator has left",
            returns=SearchStanding,
            errors=("PERMISSION_DENIED",),
        ),
        Endpoint(
            "POST",
            "/internal/v1/support-search/predicate-check",
            Permission.VIEW_ADMIN_AUDIT_EVENTS,
            _check,
            "Whether a recorded search was for these values",
            body=PredicateCheck,
            returns=PredicateVerdict,
            errors=(
                "AUDIT_EVENT_NOT_FOUND",
                "PREDICATE_NOT_CHECKABLE",
                "QUERY_INVALID",
                "QUERY_TOO_BROAD",
                "AUDIT_WRITE_FAILED",
            ),
        ),
    )


async def _search(call: Call) -> Reply:
    page, budget = await call.request.app[SEARCH].search(asker_of(call), call.query)
    links = link_header(call.request.rel_url, Page((), next_cursor=page.page.next_cursor))
    return Reply(page, headers={**limit_headers(budget), **links})


async def _search_of_form(call: Call) -> Reply:
    page, budget = await call.request.app[SEARCH].search(asker_of(call), call.body)
    return Reply(page, headers=limit_headers(budget))


async def _standing(call: Call) -> SearchStanding:
    return await call.request.app[SEARCH].standing(asker_of(call))


async def _check(call: Call) -> PredicateVerdict:
    return PredicateVerdict(matches=await call.request.app[CHECKING].check(asker_of(call), call.body))
