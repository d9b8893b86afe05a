"""Every page of the panel with data: full, empty, refused.

Used by the rendering tests and by the preview in tests/browser.
"""

from dataclasses import replace
from datetime import timedelta

from admin_service.panel.layout import Toast
from admin_service.panel.views.audit import AuditDetailView, AuditFilters, AuditListView
from admin_service.panel.views.billing_packs import CreditTotals
from admin_service.panel.views.dashboard import DashboardView, DayCount
from admin_service.panel.views.operators import EnrollmentView
from admin_service.panel.views.parts import FieldError, Link, Pager
from admin_service.panel.views.problem import (
    TO_TENANTS,
    account_deactivated,
    conflict,
    form_expired,
    internal,
    not_found,
    permission_denied,
    tenant_service_away,
)
from admin_service.panel.views.tenants import (
    TenantForm,
)
from tests.unit.admin_service.panel.sample_billing import BILLING_PAGES
from tests.unit.admin_service.panel.sample_evidence import EVIDENCE_PAGES
from tests.unit.admin_service.panel.sample_guides import GUIDE_PAGES
from tests.unit.admin_service.panel.sample_operators import OPERATOR_PAGES
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_system import SYSTEM_PAGES
from tests.unit.admin_service.panel.sample_tenants import TENANT_PAGES
from tests.unit.admin_service.panel.sample_users import USERS_PAGES
from tests.unit.admin_service.panel.sample_values import (
    ACTIVITY,
    AUDIT_DETAIL,
    AUDIT_LIST,
    AWAY,
    DASHBOARD,
    EVENTS,
    FRAME,
    NOW,
    OUTSIDER,
    PRODUCTION,
    READER,
    TENANT_CREATED,
    TENANT_DETAIL,
    TENANT_FRESH,
    TENANT_LIST,
    TENANT_NEW,
    TENANTS,
    TILES,
)

__all__ = ["PAGES", "Page"]

PAGES: tuple[Page, ...] = (
    Page("dashboard", FRAME, DASHBOARD),
    Page(
        "dashboard-partial",
        replace(FRAME, environment="production"),
        replace(
            DASHBOARD,
            tiles=TILES[-1:],
            tiles_absent="The tenant count is not available: the tenant service is away.",
            credits=None,
            partial=AWAY,
        ),
    ),
    Page(
        "dashboard-first-day",
        FRAME,
        replace(
            DASHBOARD,
            tiles=tuple(replace(tile, value="0", note="", tone="neutral") for tile in TILES),
            credits=CreditTotals(0, 0),
            recent=(),
            activity=tuple(DayCount(day.day, 0) for day in ACTIVITY),
        ),
    ),
    Page(
        "dashboard-security",
        READER,
        DashboardView(
            operator_email="theo@example.com",
            operator_role="security",
            tiles=TILES[-1:],
            tiles_absent="Your role does not see tenants.",
            recent=EVENTS[:5],
            activity=ACTIVITY,
            may_view_audit=True,
        ),
    ),
    Page("tenants", FRAME, TENANT_LIST),
    Page(
        "tenants-credits",
        PRODUCTION,
        replace(
            TENANT_LIST,
            rows=tuple(replace(row, credits_remaining=number * 4_321) for number, row in enumerate(TENANTS)),
            query="a",
            status="active",
            plan="pro",
            total=12_345,
            pager=Pager("/manage/tenants?cursor=newer", "/manage/tenants?cursor=older"),
        ),
    ),
    Page(
        "tenants-no-match",
        FRAME,
        replace(TENANT_LIST, rows=(), query="acmme", plan="pro", total=0, pager=Pager()),
    ),
    Page("tenants-empty", FRAME, replace(TENANT_LIST, rows=(), total=0, pager=Pager())),
    Page("tenants-away", FRAME, replace(TENANT_LIST, rows=(), total=None, pager=Pager(), notice=AWAY)),
    Page("tenant-new", FRAME, TENANT_NEW),
    Page(
        "tenant-new-errors",
        FRAME,
        replace(
            TENANT_NEW,
            form=TenantForm("Acme", "acme", "mina@acme", "pro", "USD"),
            errors=(
                FieldError("slug", "“acme” is in use by another tenant"),
                FieldError("primaryAdminEmail", "Enter a complete email address, such as name@example.com"),
            ),
            slug_suggestions=("acme-hq", "acme-team", "acme-2"),
        ),
    ),
    Page("tenant-new-problem", FRAME, replace(TENANT_NEW, problem=AWAY)),
    Page("tenant-created", FRAME, TENANT_CREATED),
    Page("tenant", FRAME, TENANT_DETAIL),
    Page(
        "tenant-fresh",
        replace(
            FRAME,
            toasts=(
                Toast("success", "Blue Harbor Logistics was created", Link("View event", "/manage/audit/x")),
            ),
        ),
        TENANT_FRESH,
    ),
    Page(
        "tenant-suspended",
        PRODUCTION,
        replace(
            TENANT_DETAIL,
            status="suspended",
            status_since=NOW - timedelta(days=2),
            status_reason="Chargeback on the last two invoices; waiting for finance (SUP-4821)",
            owner=None,
            invitations=(),
            recent=None,
        ),
    ),
    Page("audit", FRAME, AUDIT_LIST),
    Page(
        "audit-filtered",
        PRODUCTION,
        replace(
            AUDIT_LIST,
            rows=EVENTS[2:6],
            filters=AuditFilters(actor_email="jonas.weber@example.com", severity="WARNING", range="7d"),
            missing_sources=("tenant",),
            admin_events_hidden=True,
            pager=Pager(newer="/manage/audit"),
        ),
    ),
    Page(
        "audit-empty",
        FRAME,
        AuditListView(
            rows=(),
            filters=AuditFilters(action="delete_pack", from_date="2026-11-01"),
            invalid_filters="“from” must be a day such as 2026-11-21.",
        ),
    ),
    Page("audit-quiet", FRAME, AuditListView(rows=())),
    Page("audit-detail", FRAME, AUDIT_DETAIL),
    Page(
        "audit-detail-short",
        FRAME,
        AuditDetailView(
            row=EVENTS[7], chain="global", chain_seq=1, hash="ab" * 32, prev_hash="00" * 32, scope="global"
        ),
    ),
    *BILLING_PAGES,
    *EVIDENCE_PAGES,
    *GUIDE_PAGES,
    *OPERATOR_PAGES,
    *SYSTEM_PAGES,
    *USERS_PAGES,
    *TENANT_PAGES,
    Page("enrollment", OUTSIDER, EnrollmentView(email="sam.ito@example.com", csrf_token="enroll-token")),
    Page(
        "enrollment-refused",
        OUTSIDER,
        EnrollmentView(email="sam.ito@example.com", csrf_token="enroll-token", refused=True),
    ),
    Page(
        "enrollment-too-many",
        OUTSIDER,
        EnrollmentView(email="sam.ito@example.com", csrf_token="enroll-token", too_many_attempts=True),
    ),
    Page("problem-403", READER, permission_denied("tenant.create", ("super_admin", "support"))),
    Page("problem-csrf", FRAME, form_expired(TO_TENANTS)),
    Page("problem-deactivated", OUTSIDER, account_deactivated()),
    Page("problem-404", FRAME, not_found("tenant", back=TO_TENANTS)),
    Page(
        "problem-409",
        FRAME,
        conflict(
            "The tenant was changed by jonas.weber@example.com while you were editing it.",
            code="VERSION_CONFLICT",
            back=TO_TENANTS,
        ),
    ),
    Page("problem-500", FRAME, internal()),
    Page("problem-503", FRAME, tenant_service_away()),
)
