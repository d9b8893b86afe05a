"""The list of tenants (P-02, R-020) and one tenant (P-04, R-021, R-022)."""

from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page
from admin_service.panel.pages.audit_rows import shown_row
from admin_service.panel.pages.trouble import TENANTS_AWAY
from admin_service.panel.views.parts import Notice, Pager, page_url
from admin_service.panel.views.tenants import (
    STATUS_OPTIONS,
    TENANTS_PATH,
    BillingSummary,
    ConnectedAccount,
    PendingInvitation,
    TenantDetailView,
    TenantListView,
    TenantOwner,
    TenantRow,
)
from admin_service.tenant_answers import TenantCounts, TenantDetail, TenantPage
from admin_service.tenant_answers import TenantRow as FoundRow
from admin_service.tenant_api import OnBehalf, TenantListQuery
from service_kit.errors import BadRequestError, UnavailableError
from service_kit.identity.model import Permission
from service_kit.web.api import Call

PLANS: Final = ("free", "starter", "pro", "enterprise")
SENT_TWICE: Final = "sent-twice"
NOTICE_PARAMETER: Final = "notice"

_STATUSES: Final = frozenset(value for value, _label in STATUS_OPTIONS if value)
# The tenant service's words for an owner's progress, and the panel's labels for the same.
_OWNER_STATES: Final = {"joined": "accepted", "invited": "pending", "invitation_expired": "expired"}
_ALREADY_THERE: Final = Notice(
    "info",
    "This tenant was created already",
    "The form arrived twice and counted once. The invitation link was shown the first time and cannot be "
    "shown again; the owner also gets it by email.",
)


async def list_tenants(services: PanelServices, call: Call) -> web.Response:
    """Filters come from the URL; one that makes no sense is named, never answered with a blank page."""
    frame, (view, status) = await both(operator_frame(services, call), _list_view(services, call))
    return page(services, frame, view, status=status)


async def _list_view(services: PanelServices, call: Call) -> tuple[TenantListView, int]:
    query, notice = _read_query(call)
    may_create = call.actor.may(Permission.TENANT_CREATE)
    try:
        behalf = behalf_of(call)
        (found, refused), counts = await both(
            _found(services, behalf, query), services.tenants.counts(behalf)
        )
    except UnavailableError:
        return _view(query, may_create=may_create, notice=TENANTS_AWAY), UnavailableError.status
    if refused is not None:
        query, notice = TenantListQuery(), refused
    return _view(query, found, counts, may_create=may_create, notice=notice), 200


async def _found(
    services: PanelServices, behalf: OnBehalf, query: TenantListQuery
) -> tuple[TenantPage, Notice | None]:
    """The page asked for; the first page and the reason when the tenant service cannot read the query."""
    try:
        return await services.tenants.list(behalf, query), None
    except BadRequestError as error:
        return await services.tenants.list(behalf, TenantListQuery()), _not_applied(error.message)


def _read_query(call: Call) -> tuple[TenantListQuery, Notice | None]:
    given = {name: value.strip() for name, value in call.request.query.items()}
    status = given.get("status", "")
    known = status in _STATUSES or not status
    query = TenantListQuery(
        q=given.get("q", ""),
        status=status if known else "",
        plan=given.get("plan", ""),
        cursor=given.get("cursor", ""),
    )
    return query, None if known else _not_applied("There is no such status.")


def _not_applied(why: str) -> Notice:
    return Notice("warning", "These filters were not applied", why)


def _view(
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
        plans=PLANS,
        total=_total(query, counts),
        pager=_pager(query, found),
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
    if counts is None or query.q or query.plan:
        return None
    by_status = {"": counts.total, "active": counts.active, "suspended": counts.suspended}
    return by_status.get(query.status)


def _pager(query: TenantListQuery, found: TenantPage | None) -> Pager:
    if found is None:
        return Pager()
    kept = {"q": query.q, "status": query.status, "plan": query.plan}

    def link(cursor: str | None) -> str | None:
        return page_url(TENANTS_PATH, {**kept, "cursor": cursor}) if cursor else None

    return Pager(newer=link(found.page.prev_cursor), older=link(found.page.next_cursor))


async def show_tenant(services: PanelServices, call: Call) -> web.Response:
    """One tenant, by id or slug. Raises TenantApi's NotFoundError, UnavailableError."""
    frame, tenant = await both(
        operator_frame(services, call), services.tenants.get(behalf_of(call), call.path("id"))
    )
    told = call.request.query.get(NOTICE_PARAMETER) == SENT_TWICE
    return page(services, frame, _detail_view(tenant, _ALREADY_THERE if told else None))


def _detail_view(tenant: TenantDetail, notice: Notice | None) -> TenantDetailView:
    return TenantDetailView(
        id=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        email=tenant.email,
        plan=tenant.plan,
        currency=tenant.currency,
        status=tenant.status,
        hosted_at=tenant.hosted_at,
        created_at=tenant.created_at,
        created_by=tenant.created_by or None,
        status_since=tenant.status_since,
        status_reason=tenant.status_reason or None,
        owner=_owner(tenant),
        invitations=_invitations(tenant),
        member_count=tenant.counts.members,
        accounts=_accounts(tenant),
        billing=_billing(tenant),
        recent=None if tenant.recent_audit is None else tuple(map(shown_row, tenant.recent_audit)),
        notice=notice,
    )


def _owner(tenant: TenantDetail) -> TenantOwner | None:
    owner = tenant.owner
    return TenantOwner(owner.name, owner.email, owner.since, owner.last_sign_in_at) if owner else None


def _invitations(tenant: TenantDetail) -> tuple[PendingInvitation, ...]:
    return tuple(
        PendingInvitation(found.id, found.email, found.role, found.created_at, found.expires_at)
        for found in tenant.pending_invitations
    )


def _accounts(tenant: TenantDetail) -> tuple[ConnectedAccount, ...]:
    return tuple(
        ConnectedAccount(
            found.provider, found.display_name, found.external_id, found.status, found.connected_at
        )
        for found in tenant.connected_accounts
    )


def _billing(tenant: TenantDetail) -> BillingSummary | None:
    found = tenant.billing
    if found is None:
        return None
    return BillingSummary(found.remaining, found.used, found.granted, found.reserved, found.expires_next)
