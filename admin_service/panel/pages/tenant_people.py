"""Members (P-05) and connected accounts (P-07) of a tenant, and what ends: sessions, a connection."""

from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, page
from admin_service.panel.labels import provider_name
from admin_service.panel.pages.tenant_asking import (
    AccountPage,
    Done,
    MemberPage,
    head_of,
    listed,
    pager_of,
    permissions_of,
)
from admin_service.panel.pages.tenant_detail import notice_of
from admin_service.panel.pages.tenant_life import not_offered
from admin_service.panel.pages.tenant_steps import Seen, Sent, TenantStep, back_to, because_controls
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Link, count_text, page_url, path_segment
from admin_service.panel.views.tenant_place import (
    AccountLine,
    MemberLine,
    TenantAccountsView,
    TenantMembersView,
)
from admin_service.panel.views.tenant_steps import Control, TenantStepView
from service_kit.errors import NotFoundError
from service_kit.web.api import Call

_MEMBERS: Final = "/members"
_SESSIONS: Final = "/members/sessions"
_ACCOUNTS: Final = "/accounts"
_USER: Final = "user"


async def list_members(services: PanelServices, call: Call) -> web.Response:
    """Newest first. Raises NotFoundError, UnavailableError."""
    frame, tenant, found = await listed(services, call, MemberPage, "members")
    head = head_of(tenant)
    rows = tuple(
        MemberLine(
            user_id=row.user_id,
            name=row.name,
            email=row.email,
            role=row.role,
            since=row.since,
            last_sign_in_at=row.last_sign_in_at,
            sessions_href=page_url(head.href + _SESSIONS, {_USER: row.user_id}),
        )
        for row in found.data
    )
    view = TenantMembersView(
        head=head,
        permissions=permissions_of(call.actor),
        notice=notice_of(services, call),
        rows=rows,
        pager=pager_of(head.href + _MEMBERS, found.page),
        open_sessions=tenant.counts.open_sessions,
    )
    return page(services, frame, view)


async def list_accounts(services: PanelServices, call: Call) -> web.Response:
    """Newest first. Raises NotFoundError, UnavailableError."""
    frame, tenant, found = await listed(services, call, AccountPage, "connected-accounts")
    head = head_of(tenant)
    rows = tuple(
        AccountLine(
            provider=row.provider,
            display_name=row.display_name,
            external_id=row.external_id,
            status=row.status,
            connected_at=row.connected_at,
            remove_href=f"{head.href}{_ACCOUNTS}/{path_segment(row.id)}/remove",
        )
        for row in found.data
    )
    view = TenantAccountsView(
        head=head,
        permissions=permissions_of(call.actor),
        notice=notice_of(services, call),
        rows=rows,
        pager=pager_of(head.href + _ACCOUNTS, found.page),
    )
    return page(services, frame, view)


async def _sessions_view(seen: Seen, state: FormState) -> TenantStepView:
    head = head_of(seen.tenant)
    user = seen.typed(_USER, seen.call.request.query.get(_USER, ""))
    count = count_text(seen.tenant.counts.open_sessions, "open session")
    return TenantStepView(
        head=head,
        heading="End one person’s sessions" if user else "End every session",
        action=head.href + _SESSIONS,
        back=Link("Members", head.href + _MEMBERS),
        form=state,
        button="End sessions",
        controls=(Control(name=_USER, label="", kind="hidden", value=user), *because_controls(seen)),
        facts=(("Person", user),) if user else (),
        consequences=(
            "Every session of this person in this tenant ends at once; other tenants are not touched."
            if user
            else f"Sessions: {count} ended at once, whoever they belong to.",
            "It locks nobody out: whoever knows their password signs in anew.",
        ),
        takes_away=True,
        not_offered=not_offered(seen.tenant, "active", "suspended"),
    )


async def _end_sessions(sent: Sent) -> web.StreamResponse:
    user = sent.form.text(_USER)
    body = {**sent.because(), **({"userId": user} if user else {})}
    await sent.order(Done, ("sessions", "revoke"), body)
    return back_to(sent.call, _MEMBERS, "sessions")


async def _remove_view(seen: Seen, state: FormState) -> TenantStepView:
    head = head_of(seen.tenant)
    wanted = seen.call.path("account")
    known = [found for found in seen.tenant.connected_accounts if found.id == wanted]
    facts = (
        (
            ("Account", known[0].display_name),
            ("Provider", provider_name(known[0].provider)),
            ("Id", known[0].external_id),
        )
        if known
        else (("Account", wanted),)
    )
    return TenantStepView(
        head=head,
        heading="Remove connected account",
        action=f"{head.href}{_ACCOUNTS}/{path_segment(wanted)}/remove",
        back=Link("Accounts", head.href + _ACCOUNTS),
        form=state,
        button="Remove account",
        controls=because_controls(seen),
        facts=facts,
        consequences=(
            "Nothing goes in or out through this account any more.",
            "Only the tenant can connect it again, from their own dashboard.",
        ),
        is_danger=True,
        not_offered=not_offered(seen.tenant, "active", "suspended"),
    )


async def _remove(sent: Sent) -> web.StreamResponse:
    names = ("connected-accounts", sent.call.path("account"))
    try:
        await sent.order(Done, names, sent.because(), method="DELETE")
    except NotFoundError as error:
        if error.code != "CONNECTED_ACCOUNT_NOT_FOUND":
            raise
        return back_to(sent.call, _ACCOUNTS, "account-gone")
    return back_to(sent.call, _ACCOUNTS, "account-removed")


END_SESSIONS: Final = TenantStep("tenant-sessions", _sessions_view, _end_sessions)
REMOVE_ACCOUNT: Final = TenantStep("tenant-account-remove", _remove_view, _remove)
