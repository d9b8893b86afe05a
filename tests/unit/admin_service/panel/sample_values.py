"""Frames and views with calm, complete data; nothing here is real.

Used by the sample pages, which empty, break and stretch them.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from admin_service.panel.layout import Frame, SignedInOperator
from admin_service.panel.views.audit import AuditDetailView, AuditListView, AuditRow
from admin_service.panel.views.audit_check import PredicateCheckView
from admin_service.panel.views.billing_packs import CreditDay, CreditTotals
from admin_service.panel.views.dashboard import DashboardView, DayCount, Tile
from admin_service.panel.views.list_tools import Column, ListTools, ViewLink
from admin_service.panel.views.operators import OperatorRow
from admin_service.panel.views.parts import Author, FieldError, Notice, Pager
from admin_service.panel.views.tenants import (
    BillingSummary,
    ConnectedAccount,
    PendingInvitation,
    TenantCreatedView,
    TenantDetailView,
    TenantForm,
    TenantListView,
    TenantNewView,
    TenantOwner,
    TenantRow,
)
from admin_service.panel.views.users import HOWS

NOW = datetime(2026, 11, 21, 14, 3, 22, tzinfo=UTC)
NONCE = "c2FtcGxlLW5vbmNlLTEyOGJpdHM="
ALL_PERMISSIONS = frozenset(
    {
        "tenant.create",
        "tenant.list",
        "tenant.view",
        "platform.view_audit_logs_global",
        "platform.manage_global_admins",
    }
)
ADA = SignedInOperator("Ada Okafor", "ada.okafor@example.com", "super_admin", NOW - timedelta(hours=19))
FRAME = Frame(
    nonce=NONCE,
    request_id="01JD7Q2M4XK9V6T8R3N5B0C1ZA",
    environment="development",
    operator=ADA,
    permissions=ALL_PERMISSIONS,
    theme_csrf="theme-token",
)
OUTSIDER = replace(FRAME, operator=None, permissions=frozenset(), theme_csrf="")
PRODUCTION = replace(FRAME, environment="production")
READER = replace(
    FRAME,
    operator=SignedInOperator("Theo Brandt", "theo@example.com", "security"),
    permissions=frozenset({"platform.view_audit_logs_global"}),
)


def tenant(
    number: int, slug: str, name: str, plan: str, *, status: str = "active", owner: str = "active"
) -> TenantRow:
    return TenantRow(
        id=f"org_01JD7Q2M4XK9V6T8R3N5B0{number:04d}",
        slug=slug,
        name=name,
        email=f"owner@{slug}.example",
        plan=plan,
        status=status,
        created_at=NOW - timedelta(days=3 * number, hours=number),
        owner_state=owner,
        credits_remaining=None,
    )


TENANTS = (
    tenant(1, "blue-harbor", "Blue Harbor Logistics", "pro", owner="pending"),
    tenant(2, "acme", "Acme", "enterprise"),
    tenant(3, "kirana-one", "Kirana One", "starter"),
    tenant(4, "solstice", "Solstice Yoga & Wellness", "free"),
    tenant(5, "brightside-dental", "Brightside Dental", "pro"),
    tenant(6, "north-fork", "North Fork Roasters", "starter", status="suspended"),
    tenant(7, "mehta-textiles", "Mehta Textiles Pvt. Ltd.", "pro"),
    tenant(8, "paper-lantern", "Paper Lantern Books", "free", owner="expired"),
    tenant(9, "velo-werk", "Velo Werk", "starter"),
    tenant(10, "monsoon-travels", "Monsoon Travels", "pro"),
    tenant(11, "tidewater", "Tidewater Credit Union", "enterprise"),
    tenant(12, "oak-and-iron", "Oak & Iron Furniture", "free", status="deleted", owner="none"),
    tenant(13, "sari-studio", "Sari Studio", "starter"),
    tenant(14, "quarry-lane", "Quarry Lane Physiotherapy", "pro"),
)


def event(
    number: int,
    name: str,
    action: str | None,
    *,
    actor: str | None = "ada.okafor@example.com",
    role: str | None = "super_admin",
    resource: tuple[str | None, str | None] = ("tenant", None),
    details: dict[str, object] | None = None,
    severity: str = "NOTICE",
    outcome: str = "success",
) -> AuditRow:
    return AuditRow(
        id=f"aud_01JD7Q2M4XK9V6T8R3N5B0{number:04d}",
        occurred_at=NOW - timedelta(minutes=7 * number * number),
        actor_email=actor,
        actor_role=role,
        event=name,
        action=action,
        resource_type=resource[0],
        resource_id=resource[1],
        details=details or {},
        severity=severity,
        outcome=outcome,
    )


EVENTS = (
    event(
        1,
        "tenant.created",
        "create_tenant",
        resource=("tenant", "org_01JD7Q2M4XK9V6T8R3N5B00001"),
        details={"slug": "blue-harbor", "plan": "pro", "currency": "USD", "name": "Blue Harbor Logistics"},
    ),
    event(
        2,
        "tenant.invitation.created",
        "invite_admin",
        resource=("invitation", "inv_01JD7Q2M4XK9V6T8R3N5B00001"),
        details={"email": "owner@blue-harbor.example", "role": "owner"},
    ),
    event(
        3,
        "tenant.suspended",
        "suspend_tenant",
        actor="jonas.weber@example.com",
        role="support",
        resource=("tenant", "org_01JD7Q2M4XK9V6T8R3N5B00006"),
        details={"reason": "Chargeback on the last two invoices", "sessionsRevoked": 14},
        severity="WARNING",
    ),
    event(
        4,
        "admin.access.denied",
        None,
        actor="priya.raman@example.com",
        role="read_only",
        resource=("route", "DELETE /api/admin/tenants/org_01JD"),
        details={"permission": "tenant.delete"},
        outcome="denied",
    ),
    event(
        5,
        "billing.credits.granted",
        "grant_replies",
        resource=("billing", "org_01JD7Q2M4XK9V6T8R3N5B00002"),
        details={
            "replies": 500,
            "reason": "Goodwill after the outage of 12 November",
            "balance": {"before": 450, "after": 950},
        },
    ),
    event(
        6,
        "admin.support_query.executed",
        "support_search",
        actor="jonas.weber@example.com",
        role="support",
        resource=("user", None),
        details={"shape": {"email": "contains"}, "rowCount": 3, "page": 1},
        severity="CRITICAL",
    ),
    event(
        7,
        "admin.enrollment.claimed",
        "claim_enrollment",
        actor="priya.raman@example.com",
        role="read_only",
        resource=("operator", "adm_01JD7Q2M4XK9V6T8R3N5B00004"),
        severity="WARNING",
    ),
    event(
        8, "billing.credits.expired", None, actor=None, role=None, resource=("billing", None), severity="INFO"
    ),
    event(
        9,
        "tenant.updated",
        "update_tenant",
        resource=("tenant", "org_01JD7Q2M4XK9V6T8R3N5B00007"),
        details={"plan": {"from": "starter", "to": "pro"}},
    ),
    event(
        10,
        "admin.operator.created",
        "create_operator",
        resource=("operator", "adm_01JD7Q2M4XK9V6T8R3N5B00005"),
        details={"email": "sam.ito@example.com", "role": "support"},
        severity="WARNING",
        outcome="failure",
    ),
)

OPERATORS = (
    OperatorRow(
        "adm_1",
        "Ada Okafor",
        "ada.okafor@example.com",
        "super_admin",
        "active",
        NOW - timedelta(minutes=2),
        sessions=2,
        is_you=True,
    ),
    OperatorRow(
        "adm_2", "Jonas Weber", "jonas.weber@example.com", "support", "active", NOW - timedelta(hours=5)
    ),
    OperatorRow("adm_3", "Theo Brandt", "theo@example.com", "security", "active", NOW - timedelta(days=4)),
    OperatorRow(
        "adm_4", "Priya Raman", "priya.raman@example.com", "read_only", "active", NOW - timedelta(days=31)
    ),
    OperatorRow(
        "adm_5",
        "Sam Ito",
        "sam.ito@example.com",
        "support",
        "pending",
        enrollment_expires_at=NOW + timedelta(hours=20, minutes=57),
        token_left="20 h 57 min",
    ),
    OperatorRow(
        "adm_6", "Lena Fischer", "lena@example.com", "super_admin", "deactivated", NOW - timedelta(days=120)
    ),
)

ACTIVITY = tuple(
    DayCount(
        date(2026, 10, 23) + timedelta(days=offset),
        (offset * 7 + offset * offset) % 19 if offset % 7 < 5 else offset % 3,
    )
    for offset in range(30)
)

TILES = (
    Tile("tile-tenants", "Tenants", "128", "/manage/tenants", is_watched=False),
    Tile("tile-active", "Active", "117", "/manage/tenants?status=active", is_watched=False),
    Tile("tile-suspended", "Suspended", "4", "/manage/tenants?status=suspended", is_watched=False),
    Tile("tile-invitations", "Pending invitations", "7", is_watched=False),
    Tile("tile-expiring", "Expiring in 24 h", "2", note="invitations"),
    Tile("tile-low", "Low balances", "3", "/manage/tenants?lowBalance=true"),
    Tile("tile-partial", "Partial failures", "1", "/manage/audit", "accounts without a place", "warning"),
    Tile("tile-dead", "Dead messages", "2", "/manage/system/queues", "given up", "danger"),
    Tile("tile-chain", "Audit chain", "Intact", "/manage/audit", "no break on record"),
)
CREDITS = CreditTotals(
    liability=84_500,
    reserved=0,
    days=tuple(
        CreditDay(
            NOW.date() - timedelta(days=29 - number), (number * 37) % 5 * 900, (number * 53) % 11 * 140, 0, 0
        )
        for number in range(30)
    ),
)
DASHBOARD = DashboardView(
    operator_email=ADA.email,
    operator_role=ADA.role,
    tiles=TILES,
    recent=EVENTS,
    activity=ACTIVITY,
    credits=CREDITS,
    may_list_tenants=True,
    may_create_tenant=True,
    may_view_audit=True,
)
TOOLS = ListTools(
    list="tenants",
    path="/manage/tenants",
    kept={},
    columns=(Column("email", "Email"), Column("plan", "Plan"), Column("created", "Created")),
    address="https://admin.example.com/manage/tenants",
    csv_href="/manage/tenants?format=csv",
    views=(
        ViewLink("view_1", "Everything", "/manage/tenants", is_on=True),
        ViewLink("view_2", "Suspended, the oldest first", "/manage/tenants?status=suspended&sort=oldest"),
    ),
    csrf_token="views-token",
)
TENANT_LIST = TenantListView(
    tools=TOOLS,
    rows=TENANTS,
    plans=("free", "starter", "pro", "enterprise"),
    total=128,
    pager=Pager(older="/manage/tenants?cursor=older"),
    may_create=True,
)
TENANT_NEW = TenantNewView(
    form=TenantForm(), csrf_token="new-token", idempotency_key="01JD7Q-key", host_suffix=".app.example.com"
)
TENANT_CREATED = TenantCreatedView(
    org_id="org_01JD7Q2M4XK9V6T8R3N5B00001",
    name="Blue Harbor Logistics",
    slug="blue-harbor",
    hosted_at="blue-harbor.app.example.com",
    owner_email="owner@blue-harbor.example",
    accept_url="https://blue-harbor.app.example.com/accept-invite/inv_01JD7Q2M4XK9V6T8R3N5B0C1ZA_7H2K9M4P6Q8R1S3T5V7W9X0Y2Z",
    expires_at=NOW + timedelta(hours=48),
)
TENANT_DETAIL = TenantDetailView(
    id="org_01JD7Q2M4XK9V6T8R3N5B00002",
    slug="acme",
    name="Acme",
    email="billing@acme.example",
    plan="enterprise",
    currency="USD",
    status="active",
    hosted_at="acme.app.example.com",
    created_at=NOW - timedelta(days=212),
    created_by=Author("adm_01KDYAK348C5X7SGAGCBQF0001", "Ada Okafor"),
    owner=TenantOwner("Mina Park", "mina@acme.example", NOW - timedelta(days=211), NOW - timedelta(hours=3)),
    invitations=(
        PendingInvitation(
            "inv_01JD7Q2M4XK9V6T8R3N5B00009",
            "tom@acme.example",
            "admin",
            NOW - timedelta(hours=6),
            NOW + timedelta(hours=42),
        ),
    ),
    member_count=12,
    accounts=(
        ConnectedAccount("whatsapp", "Acme Support", "+1 555 0100", "connected", NOW - timedelta(days=200)),
        ConnectedAccount("instagram", "@acme", "17841400000000000", "error", NOW - timedelta(days=41)),
    ),
    billing=BillingSummary(
        remaining=48_250, used=101_750, granted=150_000, reserved=12, expires_next_at=NOW + timedelta(days=40)
    ),
    recent=EVENTS[:4],
)
TENANT_FRESH = replace(
    TENANT_DETAIL,
    id="org_01JD7Q2M4XK9V6T8R3N5B00001",
    slug="blue-harbor",
    name="Blue Harbor Logistics",
    hosted_at="blue-harbor.app.example.com",
    owner=None,
    accounts=(),
    billing=None,
    member_count=0,
    recent=EVENTS[:2],
)
AUDIT_LIST = AuditListView(
    as_of=NOW,
    tools=replace(TOOLS, list="audit", path="/manage/audit", columns=(), csv_href="", views=()),
    rows=EVENTS,
    events=("tenant.created", "billing.credits.granted", "admin.access.denied"),
    actions=("create_tenant", "grant_replies"),
    resource_types=("tenant", "billing", "credit_pack"),
    pager=Pager(older="/manage/audit?cursor=older"),
)
AUDIT_DETAIL = AuditDetailView(
    check=PredicateCheckView(
        csrf_token="check-token",
        text="ma",
        how=HOWS[0][0],
        hows=HOWS,
        errors=(FieldError("text", "Type what nobody could have mistyped: at least three characters."),),
    ),
    row=EVENTS[4],
    chain="global",
    chain_seq=18_204,
    hash="9f2c1e6b7a4d8f0c3b5e7a9d1f2c4e6b8a0d2f4c6e8b0a2d4f6c8e0b2a4d6f8c",
    prev_hash="1b3d5f7a9c1e3b5d7f9a1c3e5b7d9f1a3c5e7b9d1f3a5c7e9b1d3f5a7c9e1b3d",
    scope="global",
    request_id="01JD7Q2M4XK9V6T8R3N5B0C1ZB",
    pair_id="01JD7Q2M4XK9V6T8R3N5B0C1ZC",
    twin=replace(EVENTS[4], id="aud_01JD7Q2M4XK9V6T8R3N5B0TWIN"),
    twin_chain="org_01JD7Q2M4XK9V6T8R3N5B00002",
    reason="Goodwill after the outage of 12 November",
    ticket_ref="SUP-4821",
    ip="203.0.113.7",
    user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
)
AWAY = Notice(
    "warning",
    "The tenant service is away",
    "Tenants and their events are missing from this page. It is tried again with each load.",
)
