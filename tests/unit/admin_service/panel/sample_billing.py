"""The billing pages with data: full, empty, refused, in conflict, and with hostile texts (P-08…P-14)."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from admin_service.panel.layout import Frame
from admin_service.panel.pages.trouble import TENANTS_AWAY
from admin_service.panel.views.billing import (
    BalanceTiles,
    GrantRow,
    LedgerLine,
    TenantBillingView,
    TenantLine,
    TimeLeft,
)
from admin_service.panel.views.billing_grants import (
    GrantPreview,
    GrantStepView,
    GrantView,
    Limits,
    TypedGrant,
)
from admin_service.panel.views.billing_packs import (
    CreditDay,
    CreditTotals,
    Difference,
    LowTenant,
    PackFormView,
    PackListView,
    PackRow,
    PackStepView,
    TypedPack,
)
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Author, FieldError, Link, Notice, Pager
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_values import FRAME, NOW

_BILLING: Final = {"billing.view", "billing.grant", "billing.manage_packs"}
_FRAME: Final = replace(FRAME, permissions=FRAME.permissions | _BILLING)
_READER: Final = replace(FRAME, permissions=(FRAME.permissions - _BILLING) | {"billing.view"})
_FORM: Final = FormState("csrf-token", "idempotency-key")
_REFUSED: Final = replace(_FORM, errors=(FieldError("replies", "Enter a whole number, such as 500."),))
_SMALL: Final = PackRow(
    "pack_01KDYAK348C5X7SGAGCBQF0000", "Small", 500, {"INR": 24900, "USD": 300}, active=True, sort_order=10
)
_LARGE: Final = replace(
    _SMALL,
    id="pack_01KDYAK348C5X7SGAGCBQF0001",
    name="Large",
    replies=600_000,
    prices={"INR": 29_990_000, "USD": 360_000},
    sort_order=20,
)
_OLD: Final = replace(
    _SMALL, id="pack_01KDYAK348C5X7SGAGCBQF0002", name="Launch offer", active=False, sort_order=30
)
_TOTALS: Final = CreditTotals(
    liability=1_234_567,
    reserved=40,
    days=(
        CreditDay(date(2026, 11, 20), 50_000, 1_204, 0, 0),
        CreditDay(date(2026, 11, 21), 500, 3_310, 12, 450),
    ),
    low=(LowTenant("org_01JD7Q2M4XK9V6T8R3N5B00001", "Acme", 12),),
)
_LIST: Final = PackListView((_SMALL, _LARGE, _OLD), _TOTALS, _FORM)
_PACK_FORM: Final = PackFormView(TypedPack.of(_SMALL), _FORM, _SMALL)
_CONFLICT: Final = Notice(
    "warning",
    "Somebody changed this pack while you were looking",
    "Nothing was changed by you. Look at both versions, then decide anew.",
)
_DELETE: Final = PackStepView(
    "Delete pack",
    "Delete pack",
    _SMALL,
    _FORM,
    ("The pack is gone for good.", "Grants and purchases keep what it was: name, replies and price."),
    is_deletion=True,
)
_ACME: Final = TenantLine("org_01JD7Q2M4XK9V6T8R3N5B00001", "Acme", "active")
_BALANCE: Final = BalanceTiles(450, 1_204, 2_000, 40, 300, 6, 10, 500)
_GRANT: Final = GrantRow(
    id="grant_01KDYAK348C5X7SGAGCBQF0000",
    tenant_id=_ACME.id,
    replies=500,
    remaining=450,
    state="active",
    category="promotional",
    reason="Goodwill after the outage in November",
    granted_by=Author("adm_01KDYAK348C5X7SGAGCBQF0009"),
    created_at=NOW - timedelta(days=3),
    expires_at=NOW + timedelta(days=40),
    ticket_ref="SUP-4821",
    left=TimeLeft(93.02, 40, is_short=False),
)
_GRANTS: Final = (
    _GRANT,
    replace(_GRANT, id="grant_2", state="used", remaining=0, expires_at=None, ticket_ref="", left=None),
    replace(_GRANT, id="grant_5", remaining=3, left=TimeLeft(4.1, 0, is_short=True)),
    replace(
        _GRANT,
        id="grant_3",
        state="voided",
        remaining=0,
        left=None,
        void_reason="Granted to the wrong tenant",
    ),
    replace(
        _GRANT, id="grant_4", state="expired", remaining=0, left=None, expires_at=NOW - timedelta(days=1)
    ),
)
_ENTRY: Final = LedgerLine(
    id="txn_01KDYAK348C5X7SGAGCBQF0000",
    kind="consume",
    amount=2,
    balance_after=450,
    actor=Author("reply-worker"),
    note="reply 8412",
    created_at=NOW,
    grants=(_GRANT.id, "grant_01KDYAK348C5X7SGAGCBQF0001"),
)
_LEDGER: Final = (_ENTRY, replace(_ENTRY, id="txn_2", kind="commit", balance_after=None), _ENTRY)
_TENANT: Final = TenantBillingView(
    tenant=_ACME,
    balance=_BALANCE,
    grants=_GRANTS,
    ledger=_LEDGER,
    csv_href="/api/admin/tenants/org_1/credits/ledger?format=csv",
    pager=Pager(older="/manage/tenants/org_1/billing?cursor=older"),
    may_grant=True,
    may_change_expiry=True,
    notices=(Notice("success", "The replies were granted", "", Link("Undo", f"{_GRANT.href}/void")),),
)
_NEW_GRANT: Final = GrantView(_ACME, _BALANCE, _FORM, limits=Limits(10_000, 999_600, 1_000_000))
_TYPED: Final = TypedGrant("500", "2026-12-31", "Goodwill after the outage", "SUP-4821")
_VOID: Final = GrantStepView(
    "Void grant", f"{_GRANT.href}/void", _ACME, _BALANCE, _GRANT, _FORM, is_void=True
)

BILLING_PAGES: Final = (
    Page("billing", _FRAME, _LIST),
    Page("billing-reader", _READER, replace(_LIST, form=None)),
    Page("billing-empty", _FRAME, PackListView((), CreditTotals(0, 0))),
    Page("billing-away", _FRAME, PackListView(None, notices=(TENANTS_AWAY,))),
    Page("billing-pack-new", _FRAME, PackFormView(TypedPack(sort_order="40"), _FORM)),
    Page("billing-pack-edit", _FRAME, _PACK_FORM),
    Page("billing-pack-refused", _FRAME, replace(_PACK_FORM, form=_REFUSED)),
    Page(
        "billing-pack-conflict",
        _FRAME,
        replace(
            _PACK_FORM,
            form=replace(_FORM, problem=_CONFLICT),
            conflict=(
                Difference("Name", "Small", "Small"),
                Difference("Replies", "500", "600"),
                Difference("Price in INR", "₹299.00", "₹249.00"),
            ),
        ),
    ),
    Page("billing-pack-delete", _FRAME, _DELETE),
    Page(
        "billing-pack-off",
        _FRAME,
        replace(
            _DELETE,
            heading="Activate pack",
            is_deletion=False,
            not_offered=Notice("info", "This pack is on offer already", "There is nothing to change."),
        ),
    ),
    Page("billing-tenant", _FRAME, _TENANT),
    Page("billing-tenant-cut", _FRAME, replace(_TENANT, grants_cut=True)),
    Page(
        "billing-tenant-empty",
        _READER,
        TenantBillingView(_ACME, BalanceTiles(), (), (), csv_href="/x", kind="void"),
    ),
    Page("billing-grant", _FRAME, _NEW_GRANT),
    Page(
        "billing-grant-preview",
        _FRAME,
        replace(
            _NEW_GRANT,
            typed=_TYPED,
            preview=GrantPreview(500, 450, NOW + timedelta(days=40), "500 2026-12-31"),
        ),
    ),
    Page("billing-grant-refused", _FRAME, replace(_NEW_GRANT, typed=_TYPED, form=_REFUSED)),
    Page(
        "billing-grant-deleted",
        _FRAME,
        replace(_NEW_GRANT, not_offered=Notice("warning", "This tenant is deleted")),
    ),
    Page("billing-void", _FRAME, _VOID),
    Page(
        "billing-expiry",
        _FRAME,
        replace(_VOID, heading="Change expiry", is_void=False, expires_on="2026-12-31"),
    ),
)


def hostile_billing_pages(frame: Frame, text: str) -> tuple[Page, ...]:
    """The same with `text` wherever another service or a person puts it."""
    notice = Notice("warning", text, text, Link(text, "/manage"))

    def form(control: str) -> FormState:
        return FormState(text, text, (FieldError(control, text),), notice)

    pack = PackRow(text, text, 5, {"INR": 1, "USD": 1}, active=True, sort_order=1)
    tenant = TenantLine(text, text, text)
    grant = replace(
        _GRANT,
        id=text,
        tenant_id=text,
        reason=text,
        granted_by=Author(text, text),
        ticket_ref=text,
        void_reason=text,
        category=text,
        state="active",
    )
    entry = replace(_ENTRY, id=text, kind=text, actor=Author(text, text), note=text, grants=(text,))
    typed = TypedPack(text, text, text, text, text, text)
    totals = CreditTotals(1, 1, low=(LowTenant(text, text, 1),))
    return (
        Page("billing", frame, PackListView((pack, pack), totals, form("x"), (notice,))),
        Page("billing-pack", frame, PackFormView(typed, form("name"), pack, (Difference(text, text, ""),))),
        Page(
            "billing-step",
            frame,
            PackStepView(text, text, pack, form("confirm"), (text,), True, confirm=text),
        ),
        Page(
            "billing-tenant",
            frame,
            TenantBillingView(tenant, _BALANCE, (grant,), (entry,), text, "/x", may_grant=True),
        ),
        Page(
            "billing-grant",
            frame,
            GrantView(tenant, _BALANCE, form("replies"), TypedGrant(text, text, text, text)),
        ),
        Page(
            "billing-void",
            frame,
            GrantStepView(text, "/x", tenant, _BALANCE, grant, form("reason"), True, text),
        ),
    )
