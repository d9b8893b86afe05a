"""Invitations of a tenant (P-06, R-088, G-04): the list, a new one, sending again, canceling.

A link's secret is shown once, in the answer to the form that made it; it is in no URL and no list.
"""

from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, both, operator_frame, page
from admin_service.panel.pages.tenant_asking import (
    CreatedInvitation,
    Done,
    InvitationPage,
    InvitationRow,
    head_of,
    listed,
    pager_of,
    permissions_of,
    tenant_of,
)
from admin_service.panel.pages.tenant_detail import notice_of
from admin_service.panel.pages.tenant_life import not_offered
from admin_service.panel.pages.tenant_steps import Seen, Sent, TenantStep, back_to
from admin_service.panel.pages.undoing import undo_now
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Link, path_segment
from admin_service.panel.views.tenant_place import InvitationLine, TenantHead, TenantInvitationsView
from admin_service.panel.views.tenant_steps import Control, TenantInvitedView, TenantStepView
from service_kit.web.api import Call

_PATH: Final = "/invitations"
_ROLES: Final = (("admin", "Admin"), ("owner", "Owner"))


async def list_invitations(services: PanelServices, call: Call) -> web.Response:
    """Newest first. Raises NotFoundError, UnavailableError."""
    frame, tenant, found = await listed(services, call, InvitationPage, "invitations")
    head = head_of(tenant)
    view = TenantInvitationsView(
        head=head,
        permissions=permissions_of(call.actor),
        notice=notice_of(services, call),
        rows=tuple(_line(services, head, row) for row in found.data),
        pager=pager_of(head.href + _PATH, found.page),
    )
    return page(services, frame, view)


def _line(services: PanelServices, head: TenantHead, row: InvitationRow) -> InvitationLine:
    is_over = row.status == "pending" and row.expires_at <= services.clock.now()
    return InvitationLine(
        id=row.id,
        email=row.email,
        role=row.role,
        look="expired" if is_over else row.status,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_sent_at=row.last_sent_at,
        accepted_at=row.accepted_at,
        half_accepted_by=row.half_accepted_by or "",
        href=f"{head.href}{_PATH}/{path_segment(row.id)}",
        can_change=row.status == "pending" and not is_over,
    )


async def _invite_view(seen: Seen, state: FormState) -> TenantStepView:
    tenant, head = seen.tenant, head_of(seen.tenant)
    email = Control(
        name="email",
        label="Email",
        kind="email",
        value=seen.typed("email"),
        hint="An open invitation for the same address is canceled.",
        is_required=True,
        most=254,
    )
    role = Control(
        name="role",
        label="Role",
        kind="select",
        value=seen.typed("role", "admin"),
        options=_ROLES,
        hint="An owner can do everything in the tenant. Members are invited by the tenant itself.",
    )
    return TenantStepView(
        head=head,
        heading="Invite admin",
        action=f"{head.href}{_PATH}/new",
        back=Link("Invitations", head.href + _PATH),
        form=state,
        button="Invite",
        controls=(email, role),
        consequences=("The person gets a letter. The link is valid for 48 hours, and is shown to you once.",),
        not_offered=not_offered(tenant, "active"),
    )


async def _invite(sent: Sent) -> web.StreamResponse:
    """The answer shows the link once; a form sent again leads to the list instead."""
    email, role = sent.form.text("email"), sent.form.text("role")
    made = await sent.order(CreatedInvitation, ("invitations",), {"email": email, "role": role})
    if made.accept_url is None:
        return back_to(sent.call, _PATH, "invited-twice")
    frame, tenant = await both(operator_frame(sent.services, sent.call), tenant_of(sent.services, sent.call))
    head = head_of(tenant)
    public_id = made.invitation_id.rpartition("_")[0]
    view = TenantInvitedView(
        head=head,
        email=email,
        role=role,
        accept_url=made.accept_url,
        expires_at=made.expires_at,
        undo=undo_now(
            sent.services,
            sent.call,
            form=CANCEL.name,
            action=f"{head.href}{_PATH}/{path_segment(public_id)}/cancel",
            label="Undo: cancel it",
        ),
    )
    return page(sent.services, frame, view)


def _about(seen: Seen) -> tuple[tuple[str, str], ...]:
    """Whose invitation it is; the tenant's page knows the newest open ones."""
    wanted = seen.call.path("invitation")
    for found in seen.tenant.pending_invitations:
        if found.id == wanted:
            return (("Email", found.email), ("Role", found.role.capitalize()), ("Invitation", wanted))
    return (("Invitation", wanted),)


async def _resend_view(seen: Seen, state: FormState) -> TenantStepView:
    head = head_of(seen.tenant)
    return TenantStepView(
        head=head,
        heading="Send invitation again",
        action=f"{head.href}{_PATH}/{path_segment(seen.call.path('invitation'))}/resend",
        back=Link("Invitations", head.href + _PATH),
        form=state,
        button="Send again",
        facts=_about(seen),
        consequences=(
            "A new link goes out by letter, valid for 48 more hours. It is not shown here.",
            "The link from before is dead at once.",
        ),
        not_offered=not_offered(seen.tenant, "active"),
    )


async def _resend(sent: Sent) -> web.StreamResponse:
    await sent.order(Done, ("invitations", sent.call.path("invitation"), "resend"), None)
    return back_to(sent.call, _PATH, "resent")


async def _cancel_view(seen: Seen, state: FormState) -> TenantStepView:
    head = head_of(seen.tenant)
    return TenantStepView(
        head=head,
        heading="Cancel invitation",
        action=f"{head.href}{_PATH}/{path_segment(seen.call.path('invitation'))}/cancel",
        back=Link("Invitations", head.href + _PATH),
        form=state,
        button="Cancel invitation",
        facts=_about(seen),
        consequences=("The link is dead at once. To let the person in after all, invite them again.",),
        takes_away=True,
        cancel="Keep it",
        not_offered=not_offered(seen.tenant, "active", "suspended"),
    )


async def _cancel(sent: Sent) -> web.StreamResponse:
    await sent.order(Done, ("invitations", sent.call.path("invitation")), None, method="DELETE")
    return back_to(sent.call, _PATH, "canceled")


INVITE: Final = TenantStep("tenant-invite", _invite_view, _invite)
RESEND: Final = TenantStep("tenant-resend", _resend_view, _resend)
CANCEL: Final = TenantStep("tenant-cancel", _cancel_view, _cancel)
