"""Suspending, restoring, deleting and undeleting a tenant (P-12, R-085…R-087).

Each page says in numbers what follows. The tenant service decides whether it may be.
"""

from typing import Final

from aiohttp import web

from admin_service.panel.pages.tenant_asking import Done, head_of, tenant_of
from admin_service.panel.pages.tenant_steps import (
    Seen,
    Sent,
    TenantStep,
    back_to,
    back_to_undo,
    because_controls,
    overview_link,
)
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Notice, count_text
from admin_service.panel.views.tenant_steps import Control, TenantStepView
from admin_service.tenant_answers import TenantDetail
from service_kit.errors import ConflictError

_PURGED: Final = Notice("info", "This tenant is purged", "Nothing can be done to it any more.")
_ELSEWHERE: Final = {
    "active": Notice("info", "This tenant is active", "There is nothing to take back."),
    "suspended": Notice("info", "This tenant is suspended", "It can be restored from its own page."),
    "deleted": Notice(
        "info", "This tenant is deleted", "Whoever may delete tenants can undelete it from its own page."
    ),
}


def not_offered(tenant: TenantDetail, *states: str) -> Notice | None:
    """Why a step for tenants in these states is not for this one; None when it is."""
    if tenant.purged_at is not None:
        return _PURGED
    return None if tenant.status in states else _ELSEWHERE.get(tenant.status)


def _replies(tenant: TenantDetail) -> str:
    return count_text(tenant.billing.remaining if tenant.billing else 0, "reply", "replies")


def _accounts(tenant: TenantDetail) -> str:
    return count_text(tenant.counts.connected_accounts, "connected account")


def _invitations(tenant: TenantDetail) -> str:
    return count_text(tenant.counts.pending_invitations, "open invitation")


def _members(tenant: TenantDetail) -> str:
    return count_text(tenant.counts.members, "member")


def _sessions(tenant: TenantDetail) -> str:
    return count_text(tenant.counts.open_sessions, "open session")


async def _suspend_view(seen: Seen, state: FormState) -> TenantStepView:
    tenant, head = seen.tenant, head_of(seen.tenant)
    notify = Control(
        name="notifyOwner",
        label="Tell the tenant",
        kind="select",
        value=seen.typed("notifyOwner", "no"),
        options=(("no", "No letter"), ("yes", f"A letter to {tenant.email}")),
        hint="The letter names neither you nor the reason.",
    )
    return TenantStepView(
        head=head,
        heading="Suspend tenant",
        action=f"{head.href}/suspend",
        back=overview_link(tenant),
        form=state,
        button="Suspend",
        controls=(*because_controls(seen), notify),
        consequences=(
            f"Sessions: {_sessions(tenant)} ended at once. People cannot sign in while it is suspended.",
            f"People: {_members(tenant)} locked out.",
            f"Invitations: {_invitations(tenant)} cannot be accepted meanwhile; their time runs on.",
            f"Credits: {_replies(tenant)} frozen. None is used, and those with an expiry still expire.",
            "It can be taken back: restore the tenant.",
        ),
        takes_away=True,
        not_offered=not_offered(tenant, "active"),
    )


async def _suspend(sent: Sent) -> web.StreamResponse:
    body = {**sent.because(), "notifyOwner": sent.form.text("notifyOwner") == "yes"}
    await sent.order(Done, ("suspend",), body)
    return back_to_undo(sent, "suspended")


async def _restore_view(seen: Seen, state: FormState) -> TenantStepView:
    tenant, head = seen.tenant, head_of(seen.tenant)
    return TenantStepView(
        head=head,
        heading="Restore tenant",
        action=f"{head.href}/restore",
        back=overview_link(tenant),
        form=state,
        button="Restore",
        controls=because_controls(seen),
        consequences=(
            f"People: {_members(tenant)} can sign in again. Ended sessions stay ended.",
            f"Invitations: {_invitations(tenant)} can be accepted again, if not over meanwhile.",
            f"Credits: {_replies(tenant)} can be used again.",
        ),
        not_offered=not_offered(tenant, "suspended"),
    )


async def _restore(sent: Sent) -> web.StreamResponse:
    """Lifts a suspension, and only that: the same request would bring a deleted tenant back."""
    because = sent.because()
    if (await tenant_of(sent.services, sent.call)).status == "deleted":
        raise ConflictError("TENANT_DELETED", "The tenant is deleted")
    await sent.order(Done, ("restore",), because)
    return back_to_undo(sent, "restored")


async def _delete_view(seen: Seen, state: FormState) -> TenantStepView:
    tenant, head = seen.tenant, head_of(seen.tenant)
    confirm = Control(
        name="confirm",
        label="Type the slug to confirm",
        value=seen.typed("confirm"),
        hint=tenant.slug,
        is_required=True,
        most=63,
    )
    return TenantStepView(
        head=head,
        heading="Delete tenant",
        action=f"{head.href}/delete",
        back=overview_link(tenant),
        form=state,
        button="Delete tenant",
        controls=(*because_controls(seen), confirm),
        consequences=(
            f"Sessions: {_sessions(tenant)} ended at once.",
            f"People: {_members(tenant)} locked out; to them the tenant is gone.",
            f"Invitations: {_invitations(tenant)} canceled for good.",
            f"Accounts: {_accounts(tenant)} erased with the purge.",
            f"Credits: {_replies(tenant)} frozen.",
            "For 30 days it can be undeleted. Then what is known of its people is erased.",
        ),
        is_danger=True,
        not_offered=not_offered(tenant, "active", "suspended"),
    )


async def _delete(sent: Sent) -> web.StreamResponse:
    body = {**sent.because(), "confirm": sent.form.text("confirm")}
    await sent.order(Done, (), body, method="DELETE")
    return back_to_undo(sent, "deleted")


async def _undelete_view(seen: Seen, state: FormState) -> TenantStepView:
    tenant, head = seen.tenant, head_of(seen.tenant)
    until = (("Possible until", tenant.purge_after),) if tenant.purge_after else ()
    return TenantStepView(
        head=head,
        heading="Undelete tenant",
        action=f"{head.href}/undelete",
        back=overview_link(tenant),
        form=state,
        button="Undelete",
        controls=because_controls(seen),
        facts=(("Slug", tenant.slug), *until),
        consequences=(
            f"People: {_members(tenant)} can sign in again. If it was suspended before, it is again.",
            f"Accounts: {_accounts(tenant)} there again.",
            f"Credits: {_replies(tenant)} there again.",
            "Invitations that were canceled stay canceled.",
        ),
        not_offered=not_offered(tenant, "deleted"),
    )


async def _undelete(sent: Sent) -> web.StreamResponse:
    await sent.order(Done, ("restore",), sent.because())
    return back_to(sent.call, "", "undeleted")


SUSPEND: Final = TenantStep("tenant-suspend", _suspend_view, _suspend)
RESTORE: Final = TenantStep("tenant-restore", _restore_view, _restore)
DELETE: Final = TenantStep("tenant-delete", _delete_view, _delete)
UNDELETE: Final = TenantStep("tenant-undelete", _undelete_view, _undelete)
