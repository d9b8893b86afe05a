"""One tenant (P-04, R-021, R-022): who it is, its people, accounts, flags, and what was done to it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, both, operator_frame, page
from admin_service.panel.pages.audit_rows import shown_row
from admin_service.panel.pages.authors import author, names_of
from admin_service.panel.pages.tenant_asking import permissions_of, tenant_of
from admin_service.panel.pages.tenant_steps import NOTICE_PARAMETER, tenant_path
from admin_service.panel.pages.undoing import undo
from admin_service.panel.views.audit import AuditRow
from admin_service.panel.views.parts import Notice
from admin_service.panel.views.tenants import (
    BillingSummary,
    ConnectedAccount,
    PendingInvitation,
    TenantDetailView,
    TenantOwner,
)
from admin_service.tenant_answers import TenantDetail
from service_kit.identity.model import Permission
from service_kit.web.api import Call

SENT_TWICE: Final = "sent-twice"
_NOTICES: Final[Mapping[str, Notice]] = {
    SENT_TWICE: Notice(
        "info",
        "This tenant was created already",
        "The form arrived twice and counted once. The invitation link was shown the first time and cannot be "
        "shown again; the owner also gets it by email.",
    ),
    "invited-twice": Notice(
        "info",
        "This person was invited already",
        "The form arrived twice and counted once. The link was shown the first time and cannot be shown "
        "again; the person also gets it by email.",
    ),
    "suspended": Notice("success", "The tenant was suspended", "Its sessions were ended."),
    "restored": Notice("success", "The tenant was restored", "Its people can sign in again."),
    "deleted": Notice("success", "The tenant was deleted", "Until the purge it can be undeleted."),
    "undeleted": Notice("success", "The tenant is back", "With its slug, its people and its credits."),
    "saved": Notice("success", "The changes were saved"),
    "resent": Notice("success", "A new link is on its way by letter", "The link from before is dead."),
    "canceled": Notice("success", "The invitation was canceled", "Its link is dead."),
    "sessions": Notice("success", "The sessions were ended", "Whoever knows their password signs in anew."),
    "account-removed": Notice("success", "The account was removed"),
    "account-gone": Notice("info", "This account is not there any more", "Nothing was changed."),
    "flag-on": Notice("success", "The flag was switched on"),
    "flag-off": Notice("success", "The flag was switched off"),
}
_UNDO: Final = {
    "suspended": ("suspended", Permission.TENANT_SUSPEND, "restore", "Suspended by mistake a moment ago"),
    "restored": ("active", Permission.TENANT_SUSPEND, "suspend", "Restored by mistake a moment ago"),
    "deleted": ("deleted", Permission.TENANT_DELETE, "undelete", "Deleted by mistake a moment ago"),
}
"""The inverse of a step, where there is one (panel.md, rule 7).

How the tenant still stands, who may take the step back, its name, and why.
"""


def notice_of(services: PanelServices, call: Call, status: str = "") -> Notice | None:
    """What the last form did: the URL names a text above, and holds none.

    With the tenant's `status` also the form that takes it back, while it can be.
    """
    name = call.request.query.get(NOTICE_PARAMETER, "")
    notice, inverse = _NOTICES.get(name), _UNDO.get(name)
    if notice is None or inverse is None or inverse[0] != status:
        return notice
    _status, needs, step, reason = inverse
    action, form = tenant_path(call, f"/{step}"), f"tenant-{step}"
    label = f"Undo: {step}"
    back = undo(services, call, needs, form=form, action=action, label=label, reason=reason)
    return replace(notice, undo=back)


async def show_tenant(services: PanelServices, call: Call) -> web.Response:
    """One tenant, by id or slug. Raises TenantApi's NotFoundError, UnavailableError."""
    frame, tenant = await both(operator_frame(services, call), tenant_of(services, call))
    names = await names_of(services, [tenant.created_by])
    view = _detail_view(tenant, names, notice_of(services, call, tenant.status))
    return page(services, frame, replace(view, permissions=permissions_of(call.actor)))


def _detail_view(tenant: TenantDetail, names: Mapping[str, str], notice: Notice | None) -> TenantDetailView:
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
        created_by=author(names, tenant.created_by) if tenant.created_by else None,
        status_since=tenant.status_since,
        status_reason=tenant.status_reason or None,
        owner=_owner(tenant),
        invitations=_invitations(tenant),
        member_count=tenant.counts.members,
        accounts=_accounts(tenant),
        account_count=tenant.counts.connected_accounts,
        flags=tuple((flag.key, flag.enabled) for flag in tenant.flags),
        purge_after=tenant.purge_after,
        purged_at=tenant.purged_at,
        billing=_billing(tenant),
        recent=_recent(tenant),
        notice=notice,
    )


def _recent(tenant: TenantDetail) -> tuple[AuditRow, ...] | None:
    """What was done here; that it was done to this tenant needs no id on its own page."""
    if tenant.recent_audit is None:
        return None
    rows = map(shown_row, tenant.recent_audit)
    return tuple(replace(row, resource_id=None) if row.resource_id == tenant.id else row for row in rows)


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
