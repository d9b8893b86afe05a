"""The pages that show what people typed, with one text in every such place: an attack, or far too much."""

from dataclasses import replace

from admin_service.panel.layout import SignedInOperator, Toast
from admin_service.panel.views.audit import AuditFilters
from admin_service.panel.views.dashboard import Tile
from admin_service.panel.views.operators import EnrollmentView
from admin_service.panel.views.parts import Author, FieldError, Link, Notice
from admin_service.panel.views.problem import conflict, permission_denied
from admin_service.panel.views.tenants import (
    ConnectedAccount,
    PendingInvitation,
    TenantForm,
    TenantNewView,
    TenantOwner,
)
from tests.unit.admin_service.panel.sample_billing import hostile_billing_pages
from tests.unit.admin_service.panel.sample_guides import hostile_guide_pages
from tests.unit.admin_service.panel.sample_operators import hostile_operator_pages
from tests.unit.admin_service.panel.sample_pages import Page
from tests.unit.admin_service.panel.sample_system import hostile_system_pages
from tests.unit.admin_service.panel.sample_users import hostile_users_pages
from tests.unit.admin_service.panel.sample_values import (
    AUDIT_DETAIL,
    AUDIT_LIST,
    DASHBOARD,
    EVENTS,
    FRAME,
    NOW,
    TENANT_CREATED,
    TENANT_DETAIL,
    TENANT_LIST,
    TENANTS,
)

ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
SPOKEN_LONG = "A very long name that somebody typed without thinking of columns " * 4


def hostile_pages(text: str) -> tuple[Page, ...]:
    """The pages that show what people typed, with `text` in every such place."""
    frame = replace(
        FRAME,
        operator=SignedInOperator(text, text, text, NOW),
        request_id=text,
        return_to=text,
        theme_csrf=text,
        environment=text,
        toasts=(Toast("danger", text, Link(text, "/manage")),),
    )
    notice = Notice("warning", text, text, Link(text, "/manage"))
    row = replace(
        EVENTS[0],
        actor_email=text,
        actor_role=text,
        event=text,
        action=text,
        resource_type=text,
        resource_id=text,
        details={text: text, "list": [text]},
        severity=text,
        outcome=text,
    )
    tenant_row = replace(
        TENANTS[0], id=text, slug=text, name=text, email=text, plan=text, status=text, owner_state=text
    )
    tile = Tile("tile-x", text, text, "/manage", text, "danger")
    return (
        Page(
            "dashboard",
            frame,
            replace(DASHBOARD, operator_email=text, operator_role=text, recent=(row,), partial=notice),
        ),
        Page("dashboard-absent", frame, replace(DASHBOARD, tiles=(tile,), tiles_absent=text)),
        Page(
            "tenants",
            frame,
            replace(
                TENANT_LIST,
                rows=(tenant_row,),
                query=text,
                status=text,
                plan=text,
                plans=(text,),
                notice=notice,
            ),
        ),
        Page("tenants-no-match", frame, replace(TENANT_LIST, rows=(), query=text)),
        Page(
            "tenant-new",
            frame,
            TenantNewView(
                form=TenantForm(text, text, text, text, text),
                csrf_token=text,
                idempotency_key=text,
                host_suffix=text,
                plans=(text,),
                currencies=(text,),
                errors=(FieldError("slug", text), FieldError("name", text)),
                problem=notice,
                slug_suggestions=(text,),
            ),
        ),
        Page(
            "tenant-created",
            frame,
            replace(
                TENANT_CREATED,
                org_id=text,
                name=text,
                slug=text,
                hosted_at=text,
                owner_email=text,
                accept_url=text,
            ),
        ),
        Page(
            "tenant",
            frame,
            replace(
                TENANT_DETAIL,
                id=text,
                slug=text,
                name=text,
                email=text,
                plan=text,
                currency=text,
                status=text,
                hosted_at=text,
                created_by=Author(text, text),
                status_reason=text,
                owner=TenantOwner(text, text, NOW, NOW),
                invitations=(PendingInvitation(text, text, text, NOW, NOW),),
                accounts=(ConnectedAccount(text, text, text, text, NOW),),
                recent=(row,),
                notice=notice,
            ),
        ),
        Page(
            "audit",
            frame,
            replace(
                AUDIT_LIST,
                rows=(row,),
                filters=AuditFilters(text, text, text, text, text, text, text, text, text, text, text),
                events=(text,),
                actions=(text,),
                resource_types=(text,),
                missing_sources=(text,),
                invalid_filters=text,
            ),
        ),
        Page(
            "audit-detail",
            frame,
            replace(
                AUDIT_DETAIL,
                row=row,
                twin=row,
                chain=text,
                hash=text,
                prev_hash=text,
                scope=text,
                request_id=text,
                pair_id=text,
                twin_chain=text,
                reason=text,
                ticket_ref=text,
                ip=text,
                user_agent=text,
            ),
        ),
        *hostile_billing_pages(frame, text),
        *hostile_guide_pages(text),
        *hostile_operator_pages(frame, text),
        *hostile_users_pages(frame, text),
        *hostile_system_pages(frame, text),
        Page(
            "enrollment",
            replace(frame, operator=None),
            EnrollmentView(email=text, csrf_token=text, refused=True),
        ),
        Page("problem", frame, conflict(text, code=text, back=Link(text, "/manage"))),
        Page("problem-403", frame, permission_denied(text, (text, text))),
    )
