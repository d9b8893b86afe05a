"""A tenant's credits (P-08, R-022): balance, grants in burn order, and its ledger page by page.

It reads only; what changes credits stands in `grants` and `grant_steps`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page
from admin_service.panel.pages.authors import NO_NAMES, author, names_of
from admin_service.panel.pages.list_files import (
    CSV,
    FORMAT,
    Chunk,
    ListFile,
    one_chunk,
    send_list,
    wants_file,
)
from admin_service.panel.pages.tenant_asking import head_of, permissions_of
from admin_service.panel.pages.undoing import undo
from admin_service.panel.views.billing import (
    BalanceTiles,
    GrantRow,
    LedgerLine,
    TenantBillingView,
    TenantLine,
    TimeLeft,
)
from admin_service.panel.views.parts import Notice, Pager, page_url, path_segment
from admin_service.panel.views.tenant_place import tabs_for
from admin_service.tenant_answers import TenantDetail
from admin_service.tenant_api import OnBehalf
from admin_service.tenant_billing import Grant, LedgerPage, LedgerRow, TenantCredits
from service_kit.errors import BadRequestError, ProblemError
from service_kit.identity.model import Permission
from service_kit.web.api import Call

DONE: Final = "done"
GRANT: Final = "grant"
_HEAD: Final = (
    "id",
    "replies",
    "remaining",
    "state",
    "category",
    "source",
    "priority",
    "expires_at",
    "reason",
    "ticket_ref",
    "granted_by",
    "created_at",
    "void_reason",
)
_MESSAGES: Final[Mapping[str, Notice]] = {
    "granted": Notice("success", "The replies were granted", "The tenant can use them at once."),
    "granted-suspended": Notice(
        "warning",
        "The replies were granted to a suspended tenant",
        "They cannot be used until the tenant is restored.",
    ),
    "voided": Notice("success", "The grant was voided", "What was used stays used."),
    "expiry": Notice("success", "The grant ends at another time now"),
}
_NOT_READ: Final = Notice(
    "warning", "This part of the ledger cannot be shown", "Below are its newest entries, without a filter."
)
_SUSPENDED: Final = Notice(
    "warning", "The tenant is suspended", "Its credits are kept, and cannot be used until it is restored."
)
_DELETED: Final = Notice("warning", "The tenant is deleted", "Its credits cannot be changed.")


async def show_tenant_billing(services: PanelServices, call: Call) -> web.StreamResponse:
    """P-08, by id or slug; as a file its grants (the ledger has its own).

    Raises NotFoundError, UnavailableError.
    """
    behalf = behalf_of(call)
    if wants_file(call):
        account = await services.billing.credits(behalf, call.path("id"))
        return await send_list(services, call, _file(account))
    frame, ((tenant, account), (ledger, kind, notice)) = await both(
        operator_frame(services, call),
        both(tenant_and_credits(services, behalf, call.path("id")), _ledger(services, behalf, call)),
    )
    acted = [grant.granted_by for grant in account.grants] + [row.actor_id for row in ledger.data]
    names = await names_of(services, acted)
    may_change = tenant.status != "deleted"
    told = await _told(services, call, tenant, account)
    view = TenantBillingView(
        tenant=tenant_line(tenant),
        balance=balance_tiles(account),
        grants=tuple(grant_row(tenant.id, grant, services.clock.now(), names) for grant in account.grants),
        grants_cut=account.grants_cut,
        ledger=tuple(_line(row, names) for row in ledger.data),
        kind=kind,
        csv_href=_csv_href(tenant.id, kind),
        grants_csv_href=page_url(tenant_line(tenant).billing_href, {FORMAT: CSV}),
        pager=_pager(tenant, kind, ledger),
        may_grant=may_change and call.actor.may(Permission.BILLING_GRANT),
        may_change_expiry=may_change and call.actor.may(Permission.BILLING_MANAGE_PACKS),
        tabs=tabs_for(head_of(tenant), permissions_of(call.actor), "/billing"),
        notices=tuple(one for one in (told, _state(tenant), notice) if one),
    )
    return page(services, frame, view)


def _file(account: TenantCredits) -> ListFile[Grant]:
    """The grants; a list that the tenant service cut ends with the line that says so."""
    about, found = account.organization_id, account.grants
    if not account.grants_cut:
        return ListFile("grants", _HEAD, _cells, one_chunk(found), about=about)

    async def fetch(_cursor: str) -> Chunk[Grant]:
        return Chunk(found, next_cursor="more")

    return ListFile("grants", _HEAD, _cells, fetch, about=about, most=len(found))


def _cells(grant: Grant) -> tuple[object, ...]:
    expires = grant.expires_at.isoformat() if grant.expires_at else None
    return (
        grant.id,
        grant.replies,
        grant.remaining,
        grant.state,
        grant.category,
        grant.source,
        grant.priority,
        expires,
        grant.reason,
        grant.ticket_ref,
        grant.granted_by,
        grant.created_at.isoformat(),
        grant.void_reason,
    )


async def tenant_and_credits(
    services: PanelServices, behalf: OnBehalf, tenant: str
) -> tuple[TenantDetail, TenantCredits]:
    """Who it is, and what it has. Raises NotFoundError, UnavailableError."""
    return await both(services.tenants.get(behalf, tenant), services.billing.credits(behalf, tenant))


def tenant_line(tenant: TenantDetail) -> TenantLine:
    return TenantLine(tenant.id, tenant.name, tenant.status)


def balance_tiles(account: TenantCredits) -> BalanceTiles:
    found = account.balance
    return BalanceTiles(
        remaining=found.remaining,
        used=found.used,
        granted=found.granted,
        reserved=found.reserved,
        expired=found.expired,
        voided=found.voided,
        lapsed=account.lapsed,
        low_below=account.low_balance_threshold,
    )


def grant_row(
    tenant_id: str, grant: Grant, now: datetime | None = None, names: Mapping[str, str] = NO_NAMES
) -> GrantRow:
    """With `now`, how much time an active grant has left; with `names`, who gave it by name."""
    is_running = grant.state == "active"
    return GrantRow(
        id=grant.id,
        tenant_id=tenant_id,
        replies=grant.replies,
        remaining=grant.remaining,
        state=grant.state,
        category=grant.category,
        reason=grant.reason,
        granted_by=author(names, grant.granted_by),
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        ticket_ref=grant.ticket_ref,
        void_reason=grant.void_reason,
        left=TimeLeft.of(grant.created_at, grant.expires_at, now) if now and is_running else None,
    )


async def _ledger(
    services: PanelServices, behalf: OnBehalf, call: Call
) -> tuple[LedgerPage, str, Notice | None]:
    """The page of the address; the first one, with a word about it, where the address makes no sense."""
    tenant = call.path("id")
    kind, cursor = call.request.query.get("kind", ""), call.request.query.get("cursor", "")
    try:
        return await services.billing.ledger(behalf, tenant, kind=kind, cursor=cursor), kind, None
    except BadRequestError:
        return await services.billing.ledger(behalf, tenant, kind="", cursor=""), "", _NOT_READ


def _line(row: LedgerRow, names: Mapping[str, str]) -> LedgerLine:
    grants = tuple(dict.fromkeys(posting.grant_id for posting in row.postings))
    return LedgerLine(
        id=row.id,
        kind=row.kind,
        amount=row.amount,
        balance_after=row.balance_after,
        actor=author(names, row.actor_id or row.actor_type),
        note=row.note,
        created_at=row.created_at,
        grants=grants,
    )


def _pager(tenant: TenantDetail, kind: str, ledger: LedgerPage) -> Pager:
    path = tenant_line(tenant).billing_href

    def link(cursor: str | None) -> str | None:
        return page_url(path, {"kind": kind, "cursor": cursor}) if cursor else None

    return Pager(newer=link(ledger.page.prev_cursor), older=link(ledger.page.next_cursor))


def _csv_href(tenant_id: str, kind: str) -> str:
    """The tenant service's own file, of exactly this filter."""
    path = f"/api/admin/tenants/{path_segment(tenant_id)}/credits/ledger"
    return page_url(path, {"format": "csv", "kind": kind})


def _state(tenant: TenantDetail) -> Notice | None:
    return {"suspended": _SUSPENDED, "deleted": _DELETED}.get(tenant.status)


async def _told(
    services: PanelServices, call: Call, tenant: TenantDetail, account: TenantCredits
) -> Notice | None:
    """What the form that led here did; a grant can be taken back while it lives (rule 7)."""
    notice = _MESSAGES.get(call.request.query.get(DONE, ""))
    grant_id = call.request.query.get(GRANT, "")
    if notice is None or not grant_id:
        return notice
    made = await _named(services, call, account, grant_id)
    if made is None or made.state != "active":
        return notice
    back = undo(
        services,
        call,
        Permission.BILLING_GRANT,
        form="grant-voided",
        action=f"{grant_row(tenant.id, made).href}/void",
        label="Undo: void this grant",
        reason="Granted by mistake a moment ago",
    )
    return replace(notice, undo=back)


async def _named(services: PanelServices, call: Call, account: TenantCredits, grant_id: str) -> Grant | None:
    """The grant, also one behind the end of a list that was cut; None where it cannot be had."""
    found = next((one for one in account.grants if one.id == grant_id), None)
    if found is not None or not account.grants_cut:
        return found
    try:
        tenant = account.organization_id
        return (await services.billing.credits_and_grant(behalf_of(call), tenant, grant_id))[1]
    except ProblemError:  # the page stands without the undo
        return None
