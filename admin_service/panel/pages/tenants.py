"""The list of tenants (P-02, R-020): filters, dates and the order come from the URL."""

from dataclasses import replace
from datetime import UTC, date
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page
from admin_service.panel.pages.list_files import Chunk, ListFile, filters_refused, send_list, wants_file
from admin_service.panel.pages.list_tools import canonical, list_tools, looks_of
from admin_service.panel.pages.listings import TENANTS
from admin_service.panel.pages.trouble import TENANTS_AWAY
from admin_service.panel.views.parts import Notice, Pager, page_url
from admin_service.panel.views.tenants import (
    STATUS_OPTIONS,
    TENANTS_PATH,
    TenantListView,
    TenantRow,
)
from admin_service.tenant_answers import TenantCounts, TenantPage
from admin_service.tenant_answers import TenantRow as FoundRow
from admin_service.tenant_api import OnBehalf, TenantListQuery
from service_kit.errors import BadRequestError, UnavailableError
from service_kit.identity.model import Permission
from service_kit.web.api import Call

PLANS: Final = ("free", "starter", "pro", "enterprise")
SORTS: Final = ("newest", "oldest")

_IN_A_FILE: Final = 100
_HEAD: Final = (
    "id",
    "slug",
    "name",
    "email",
    "plan",
    "status",
    "owner",
    "credits_remaining",
    "created_at",
)
_STATUSES: Final = frozenset(value for value, _label in STATUS_OPTIONS if value)
# The tenant service's words for an owner's progress, and the panel's labels for the same.
_OWNER_STATES: Final = {"joined": "accepted", "invited": "pending", "invitation_expired": "expired"}


async def list_tenants(services: PanelServices, call: Call) -> web.StreamResponse:
    """Filters come from the URL; one that makes no sense is named, never answered with a blank page."""
    if wants_file(call):
        return await send_list(services, call, _file(services, call))
    if (chosen := canonical(call, TENANTS)) is not None:
        return chosen
    frame, ((view, status), tools) = await both(
        operator_frame(services, call), both(_list_view(services, call), list_tools(services, call, TENANTS))
    )
    return page(services, frame, replace(view, tools=tools), status=status)


def _file(services: PanelServices, call: Call) -> ListFile[FoundRow]:
    """The list of this address as a file. Raises BadRequestError, UnavailableError."""
    query, notice = _read_query(call)
    if notice is not None:
        raise filters_refused(notice.text)
    behalf = behalf_of(call)

    async def fetch(cursor: str) -> Chunk[FoundRow]:
        found = await services.tenants.list(behalf, replace(query, cursor=cursor, limit=_IN_A_FILE))
        return Chunk(found.data, found.page.next_cursor or "")

    return ListFile("tenants", _HEAD, _cells, fetch, _kept(query))


def _cells(row: FoundRow) -> tuple[object, ...]:
    owner = _OWNER_STATES.get(row.owner_state, row.owner_state)
    created = row.created_at.astimezone(UTC).isoformat()
    return row.id, row.slug, row.name, row.email, row.plan, row.status, owner, row.credits_remaining, created


async def _list_view(services: PanelServices, call: Call) -> tuple[TenantListView, int]:
    query, notice = _read_query(call)
    may_create = call.actor.may(Permission.TENANT_CREATE)
    try:
        behalf = behalf_of(call)
        (found, refused), counts = await both(
            _found(services, behalf, query), services.tenants.counts(behalf)
        )
    except UnavailableError:
        return _view(call, query, may_create=may_create, notice=TENANTS_AWAY), UnavailableError.status
    if refused is not None:
        query, notice = TenantListQuery(), refused
    return _view(call, query, found, counts, may_create=may_create, notice=notice), 200


async def _found(
    services: PanelServices, behalf: OnBehalf, query: TenantListQuery
) -> tuple[TenantPage, Notice | None]:
    """The page asked for; the first page and the reason when the tenant service cannot read the query."""
    try:
        return await services.tenants.list(behalf, query), None
    except BadRequestError as error:
        return await services.tenants.list(behalf, TenantListQuery()), _not_applied(error.message)


def _read_query(call: Call) -> tuple[TenantListQuery, Notice | None]:
    """What the URL asks for, without what makes no sense, and the first such thing in words."""
    given = {name: value.strip() for name, value in call.request.query.items()}
    status, sort, low = (given.get(name, "") for name in ("status", "sort", "lowBalance"))
    days = {name: given.get(name, "") for name in ("createdFrom", "createdTo")}
    wrong = (
        (status and status not in _STATUSES, "There is no such status."),
        (sort and sort not in SORTS, "There is no such order."),
        (not all(map(_is_day, days.values())), "A date is a day such as 2026-11-21."),
        (low not in {"", "true"}, "The filter for low balances is on or off."),
    )
    query = TenantListQuery(
        q=given.get("q", ""),
        status=status if status in _STATUSES else "",
        plan=given.get("plan", ""),
        created_from=days["createdFrom"] if _is_day(days["createdFrom"]) else "",
        created_to=days["createdTo"] if _is_day(days["createdTo"]) else "",
        low_balance="true" if low == "true" else "",
        sort=sort if sort in SORTS else "",
        cursor=given.get("cursor", ""),
    )
    return query, next((_not_applied(why) for is_wrong, why in wrong if is_wrong), None)


def _is_day(text: str) -> bool:
    """A day of the calendar, or nothing."""
    try:
        return not text or bool(date.fromisoformat(text))
    except ValueError:
        return False


def _not_applied(why: str) -> Notice:
    return Notice("warning", "These filters were not applied", why)


def _view(
    call: Call,
    query: TenantListQuery,
    found: TenantPage | None = None,
    counts: TenantCounts | None = None,
    *,
    may_create: bool,
    notice: Notice | None,
) -> TenantListView:
    return TenantListView(
        rows=tuple(map(_row, found.data)) if found else (),
        query=query.q,
        status=query.status or None,
        plan=query.plan or None,
        created_from=query.created_from,
        created_to=query.created_to,
        low_balance=query.low_balance,
        sort=query.sort,
        plans=PLANS,
        total=_total(query, counts),
        pager=_pager(call, query, found),
        may_create=may_create,
        notice=notice,
    )


def _row(row: FoundRow) -> TenantRow:
    return TenantRow(
        id=row.id,
        slug=row.slug,
        name=row.name,
        email=row.email,
        plan=row.plan,
        status=row.status,
        created_at=row.created_at,
        owner_state=_OWNER_STATES.get(row.owner_state, row.owner_state),
        credits_remaining=row.credits_remaining,
    )


def _total(query: TenantListQuery, counts: TenantCounts | None) -> int | None:
    """Known only where the filters are ones by which the tenant service counts."""
    if counts is None or replace(query, status="", sort="", cursor="") != TenantListQuery():
        return None
    by_status = {"": counts.total, "active": counts.active, "suspended": counts.suspended}
    return by_status.get(query.status)


def _kept(query: TenantListQuery) -> dict[str, str]:
    """The state of the list, as its address says it, without the place in it."""
    return {
        "q": query.q,
        "status": query.status,
        "plan": query.plan,
        "createdFrom": query.created_from,
        "createdTo": query.created_to,
        "lowBalance": query.low_balance,
        "sort": query.sort,
    }


def _pager(call: Call, query: TenantListQuery, found: TenantPage | None) -> Pager:
    if found is None:
        return Pager()
    kept = {**_kept(query), **looks_of(call, TENANTS)}

    def link(cursor: str | None) -> str | None:
        return page_url(TENANTS_PATH, {**kept, "cursor": cursor}) if cursor else None

    return Pager(newer=link(found.page.prev_cursor), older=link(found.page.next_cursor))
