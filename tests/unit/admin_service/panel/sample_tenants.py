"""The pages of one tenant with data: full, empty, refused."""

from dataclasses import replace
from datetime import timedelta

from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Author, FieldError, Link, Notice, Pager, Undo
from admin_service.panel.views.tenant_place import (
    AccountLine,
    FlagLine,
    InvitationLine,
    MemberLine,
    TenantAccountsView,
    TenantAuditLine,
    TenantAuditView,
    TenantFlagsView,
    TenantHead,
    TenantInvitationsView,
    TenantMembersView,
)
from admin_service.panel.views.tenant_steps import Control, TenantInvitedView, TenantStepView
from service_kit.identity.model import Permission
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_values import FRAME, NOW, READER, TENANT_DETAIL

EVERY = frozenset(permission.value for permission in Permission)
HEAD = TenantHead("org_01JD7Q2M4XK9V6T8R3N5B00002", "Acme", "active", "acme.app.example.com")
FORM = FormState("csrf", "01JD7Q-key")
REASON = Control(
    name="reason",
    label="Reason",
    hint="At least 10 characters. The tenant reads it in its own log.",
    is_required=True,
)
TICKET = Control(name="ticketRef", label="Ticket (optional)", most=100)
SUSPEND = TenantStepView(
    head=HEAD,
    heading="Suspend tenant",
    action=f"{HEAD.href}/suspend",
    back=Link("Acme", HEAD.href),
    form=FORM,
    button="Suspend",
    takes_away=True,
    controls=(
        REASON,
        TICKET,
        Control(
            name="notifyOwner",
            label="Tell the tenant",
            kind="select",
            value="no",
            options=(("no", "No letter"), ("yes", "A letter to billing@acme.example")),
        ),
    ),
    consequences=(
        "Sessions: 14 open sessions ended at once. People cannot sign in while it is suspended.",
        "Credits: 48,250 replies frozen. None is used, and those with an expiry still expire.",
    ),
)
DELETE = replace(
    SUSPEND,
    heading="Delete tenant",
    action=f"{HEAD.href}/delete",
    button="Delete tenant",
    controls=(
        REASON,
        TICKET,
        Control(name="confirm", label="Type the slug to confirm", hint="acme", value="acne"),
    ),
    is_danger=True,
)
EDIT = replace(
    SUSPEND,
    heading="Edit tenant",
    action=f"{HEAD.href}/edit",
    button="Save",
    consequences=(),
    facts=(("Name now", "Acme One"), ("Plan now", "Pro")),
    controls=(
        Control(name="version", label="", kind="hidden", value="4"),
        Control(name="name", label="Name", value="Acme Two", is_required=True),
        Control(name="primaryEmail", label="Email", kind="email", value="billing@acme.example"),
    ),
    form=replace(
        FORM,
        problem=Notice(
            "warning", "Somebody changed this while you were looking", "Nothing was changed by you."
        ),
    ),
)
MEMBERS = TenantMembersView(
    head=HEAD,
    permissions=EVERY,
    notice=Notice("success", "The sessions were ended", "Whoever knows their password signs in anew."),
    rows=(
        MemberLine(
            "usr_1",
            "Mina Park",
            "mina@acme.example",
            "owner",
            NOW - timedelta(days=211),
            NOW - timedelta(hours=3),
            f"{HEAD.href}/members/sessions?user=usr_1",
        ),
        MemberLine(
            "usr_2",
            "Tom Reyes",
            "tom@acme.example",
            "member",
            NOW - timedelta(days=2),
            None,
            f"{HEAD.href}/members/sessions?user=usr_2",
        ),
    ),
    pager=Pager(older=f"{HEAD.href}/members?cursor=older"),
    open_sessions=14,
)
INVITATION = InvitationLine(
    id="inv_01JD7Q2M4XK9V6T8R3N5B00009",
    email="tom@acme.example",
    role="admin",
    look="pending",
    invited_by="adm_1",
    created_at=NOW - timedelta(hours=6),
    expires_at=NOW + timedelta(hours=42),
    last_sent_at=None,
    accepted_at=None,
    href=f"{HEAD.href}/invitations/inv_01JD7Q2M4XK9V6T8R3N5B00009",
    can_change=True,
)
INVITATIONS = TenantInvitationsView(
    head=HEAD,
    permissions=EVERY,
    rows=(
        INVITATION,
        replace(
            INVITATION,
            email="mina@acme.example",
            look="accepted",
            role="owner",
            accepted_at=NOW,
            can_change=False,
        ),
        replace(INVITATION, email="old@acme.example", look="expired", can_change=False),
        replace(INVITATION, email="no@acme.example", look="canceled", can_change=False),
        replace(INVITATION, email="half@acme.example", half_accepted_by="usr_01JD7Q2M4XK9V6T8R3N5B00009"),
    ),
    pager=Pager(),
)
ACCOUNTS = TenantAccountsView(
    head=HEAD,
    permissions=EVERY,
    rows=tuple(
        AccountLine(
            found.provider,
            found.display_name,
            found.external_id,
            found.status,
            found.connected_at,
            f"{HEAD.href}/accounts/conn_1/remove",
        )
        for found in TENANT_DETAIL.accounts
    ),
    pager=Pager(),
)
FLAGS = TenantFlagsView(
    head=HEAD,
    permissions=EVERY,
    rows=(
        FlagLine(
            "beta_inbox",
            True,
            "Asked for by the customer",
            Author("adm_1", "Ada Okafor"),
            NOW,
            f"{HEAD.href}/flags/beta_inbox",
        ),
        FlagLine("voice", False, "", None, None, f"{HEAD.href}/flags/voice"),
    ),
)
AUDIT = TenantAuditView(
    head=HEAD,
    permissions=EVERY,
    rows=(
        TenantAuditLine(
            NOW,
            "tenant.suspended",
            "success",
            "WARNING",
            "Ada Okafor",
            via_operator=True,
            why="Chargeback on the last two invoices; waiting for finance",
            href="/manage/audit/aud_1",
        ),
        TenantAuditLine(
            NOW,
            "org.session.signed_in",
            "success",
            "INFO",
            "mina@acme.example",
            via_operator=False,
            why="",
            href="/manage/audit/aud_2",
        ),
    ),
    pager=Pager(older=f"{HEAD.href}/audit?cursor=older"),
    filters={"event": "tenant.*"},
)

UNDO = Undo(
    label="Undo: suspend",
    action=f"{HEAD.href}/suspend",
    csrf_token="1.x",
    idempotency_key="k" * 32,
    until=NOW + timedelta(minutes=10),
    reason="Restored by mistake a moment ago",
)

TENANT_PAGES: tuple[Page, ...] = (
    Page(
        "tenant-actions",
        FRAME,
        replace(
            TENANT_DETAIL,
            permissions=EVERY,
            account_count=24,
            flags=(("beta_inbox", True), ("voice", False)),
            notice=Notice("success", "The tenant was restored", undo=UNDO),
        ),
    ),
    Page(
        "tenant-deleted",
        FRAME,
        replace(TENANT_DETAIL, permissions=EVERY, status="deleted", purge_after=NOW + timedelta(days=28)),
    ),
    Page("tenant-purged", FRAME, replace(TENANT_DETAIL, permissions=EVERY, status="deleted", purged_at=NOW)),
    Page("tenant-suspend", FRAME, SUSPEND),
    Page(
        "tenant-delete",
        FRAME,
        replace(
            DELETE,
            form=replace(FORM, errors=(FieldError("confirm", "Type the slug, exactly as it is shown."),)),
        ),
    ),
    Page("tenant-edit", FRAME, EDIT),
    Page(
        "tenant-not-offered",
        FRAME,
        replace(SUSPEND, not_offered=Notice("info", "This tenant is deleted", "It can be undeleted.")),
    ),
    Page("tenant-members", FRAME, MEMBERS),
    Page("tenant-members-none", FRAME, replace(MEMBERS, rows=(), permissions=frozenset({"tenant.view"}))),
    Page("tenant-invitations", FRAME, INVITATIONS),
    Page("tenant-invitations-none", FRAME, replace(INVITATIONS, rows=())),
    Page(
        "tenant-invited",
        FRAME,
        TenantInvitedView(
            head=HEAD,
            email="tom@acme.example",
            role="admin",
            accept_url="https://acme.app.example.com/accept-invite/inv_01JD7Q2M4XK9V6T8R3N5B0C1ZA_7H2K9M4P6Q8R1S3T5V7W9X0Y2Z",
            expires_at=NOW + timedelta(hours=48),
            undo=replace(UNDO, action=f"{HEAD.href}/invitations/inv_1/cancel", reason=""),
        ),
    ),
    Page("tenant-accounts", FRAME, ACCOUNTS),
    Page("tenant-flags", FRAME, FLAGS),
    Page("tenant-audit", FRAME, AUDIT),
    Page(
        "tenant-audit-reader",
        READER,
        replace(
            AUDIT,
            head=TenantHead(HEAD.id, HEAD.id),
            permissions=frozenset({"platform.view_audit_logs_global"}),
            rows=(),
        ),
    ),
)
