"""The operator pages with data: every form as it comes, refused, and not offered (P-19…P-21)."""

from dataclasses import replace
from datetime import timedelta

from admin_service.panel.layout import Frame
from admin_service.panel.pages.operator_forms import NOTICES
from admin_service.panel.views.operator_detail import OperatorDetailView, SessionLine
from admin_service.panel.views.operator_forms import (
    FormState,
    OperatorDeactivateView,
    OperatorIssueView,
    OperatorNewView,
    OperatorReactivateView,
    OperatorRoleView,
    OwnSessionsEndView,
    SessionsEndView,
)
from admin_service.panel.views.operator_token import OperatorTokenView
from admin_service.panel.views.operators import OperatorListView, OperatorRow
from admin_service.panel.views.own_page import Liked, OwnPageView, matrix_of
from admin_service.panel.views.parts import Author, FieldError, Link, Notice, Pager
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_values import EVENTS, FRAME, NOW, OPERATORS, PRODUCTION, READER

ROLES = ("super_admin", "support", "read_only", "security")
ADA, JONAS, _THEO, _PRIYA, SAM, LENA = OPERATORS
FORM = FormState(csrf_token="form-token", idempotency_key="01JD7Q-key")
SHORT = replace(FORM, errors=(FieldError("reason", "Give a reason of at least 10 characters."),))
CONFLICT = replace(FORM, problem=Notice("warning", "Somebody changed this operator", "Look again."))
LAST = replace(FORM, problem=NOTICES["LAST_SUPER_ADMIN"])
SESSIONS = (
    SessionLine(
        "ops_01JD7Q2M4XK9V6T8R3N5B00001",
        "203.0.113.7",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        NOW - timedelta(minutes=4),
        NOW + timedelta(hours=5),
    ),
    SessionLine(
        "ops_01JD7Q2M4XK9V6T8R3N5B00002",
        "2001:db8::17",
        "",
        NOW - timedelta(hours=2),
        NOW + timedelta(hours=1),
    ),
)
DETAIL = OperatorDetailView(
    operator=replace(JONAS, sessions=2),
    created_at=NOW - timedelta(days=210),
    created_by=Author(ADA.id, ADA.name),
    version=4,
    sessions=SESSIONS,
    recent=EVENTS[2:6],
)
OWN = OwnPageView(
    operator=ADA,
    created_at=NOW - timedelta(days=400),
    created_by=Author("system"),
    version=1,
    sessions=SESSIONS[:1],
    recent=EVENTS[:2],
    form=FORM,
    liked=Liked("dark", "compact", "Asia/Kolkata", shortcuts=False),
    matrix=matrix_of({"security": OPERATOR_PERMISSIONS[Role.SECURITY]}, tuple(Permission)),
    permissions=READER.permissions,
)
NEW = OperatorNewView(form=FORM, roles=ROLES)
ROLE = OperatorRoleView(operator=JONAS, form=FORM, version=4, roles=ROLES)
ISSUE = OperatorIssueView(operator=SAM, form=FORM)
DEACTIVATE = OperatorDeactivateView(operator=JONAS, form=FORM, sessions=2)
REACTIVATE = OperatorReactivateView(operator=LENA, form=FORM)
END = SessionsEndView(operator=JONAS, form=FORM, sessions=SESSIONS)
TOKEN = OperatorTokenView(
    operator=SAM,
    role_label="Support",
    happened="was provisioned",
    token="enr_Q7w2Xc9Tn4Lk8Vb1Zr6Hy3Md5Ps0Gj-Fa_UeIoKqWs1",
    expires_at=NOW + timedelta(hours=24),
    expires_text="22 Nov 2026, 14:03 UTC",
    panel_url="https://admin.example.com",
)

OPERATOR_PAGES: tuple[Page, ...] = (
    Page("operators", FRAME, OperatorListView(rows=OPERATORS)),
    Page(
        "operators-filtered",
        PRODUCTION,
        OperatorListView(
            rows=OPERATORS[1:3],
            query="example",
            state="active",
            role="support",
            pager=Pager(older="/manage/operators?cursor=older"),
            notice=Notice("warning", "This is the first page", "The cursor does not fit."),
        ),
    ),
    Page("operators-no-match", FRAME, OperatorListView(rows=(), query="nobody", state="pending")),
    Page("operators-empty", FRAME, OperatorListView(rows=())),
    Page("operator-new", FRAME, NEW),
    Page(
        "operator-new-errors",
        FRAME,
        replace(
            NEW,
            form=replace(
                FORM,
                errors=(
                    FieldError("email", "An operator with this address exists already."),
                    FieldError("role", "Choose a role."),
                ),
            ),
            roles=ROLES[1:],
            name="Sam Ito",
            email="sam.ito@example.com",
        ),
    ),
    Page("operator", FRAME, DETAIL),
    Page(
        "operator-done",
        FRAME,
        replace(DETAIL, notice=Notice("success", "The role was changed", "It counts now.")),
    ),
    Page("operator-pending", FRAME, replace(DETAIL, operator=SAM, sessions=(), recent=())),
    Page(
        "operator-late",
        FRAME,
        replace(
            DETAIL,
            operator=replace(SAM, enrollment_expires_at=None, token_left=""),
            sessions=(),
            recent=(),
            token_expired_at=NOW - timedelta(hours=3),
            missing=("tenant",),
        ),
    ),
    Page(
        "operator-deactivated",
        FRAME,
        replace(DETAIL, operator=LENA, sessions=(), deactivated_at=NOW - timedelta(days=100)),
    ),
    Page("operator-you", FRAME, replace(DETAIL, operator=ADA)),
    Page("own-page", READER, replace(OWN, operator=replace(_THEO, is_you=True))),
    Page(
        "own-page-refused",
        READER,
        replace(
            OWN,
            operator=replace(_THEO, is_you=True),
            form=replace(FORM, errors=(FieldError("timeZone", "Must be a time zone such as UTC"),)),
            liked=Liked("light", "comfortable", "Mars/Olympus"),
        ),
    ),
    Page("operator-role", FRAME, ROLE),
    Page("operator-role-errors", FRAME, replace(ROLE, form=SHORT, role="security", reason="short")),
    Page("operator-role-conflict", FRAME, replace(ROLE, form=CONFLICT, role="security")),
    Page("operator-role-own", FRAME, replace(ROLE, operator=ADA)),
    Page("operator-token-new", FRAME, ISSUE),
    Page("operator-token-rebind", FRAME, replace(ISSUE, operator=JONAS)),
    Page(
        "operator-token-rebind-errors",
        FRAME,
        replace(
            ISSUE,
            operator=JONAS,
            form=replace(FORM, errors=(FieldError("confirm", "Type the operator’s email address."),)),
            confirm="jonas",
        ),
    ),
    Page("operator-token-own", FRAME, replace(ISSUE, operator=ADA)),
    Page("operator-deactivate", FRAME, DEACTIVATE),
    Page("operator-deactivate-refused", FRAME, replace(DEACTIVATE, form=LAST)),
    Page("operator-deactivate-second", FRAME, replace(DEACTIVATE, operator=LENA, sessions=0)),
    Page("operator-deactivate-own", FRAME, replace(DEACTIVATE, operator=ADA)),
    Page("operator-reactivate", FRAME, REACTIVATE),
    Page("operator-reactivate-live", FRAME, replace(REACTIVATE, operator=JONAS)),
    Page("operator-sessions", FRAME, END),
    Page(
        "operator-session",
        READER,
        OwnSessionsEndView(operator=ADA, form=FORM, sessions=SESSIONS[:1], session_id=SESSIONS[0].id),
    ),
    Page("operator-sessions-none", FRAME, replace(END, sessions=())),
    Page("operator-token", FRAME, TOKEN),
)


def hostile_operator_pages(frame: Frame, text: str) -> tuple[Page, ...]:
    """The operator pages with `text` in every place that holds what somebody typed or sent."""
    row = OperatorRow(text, text, text, text, text, NOW, NOW, text, 3, is_you=True)
    live, gone = replace(row, state="active", is_you=False), replace(row, state="deactivated", is_you=False)
    notice = Notice("warning", text, text, Link(text, "/manage"))
    form = FormState(text, text, (FieldError("reason", text),), notice)
    session = SessionLine(text, text, text, NOW, NOW)
    event = replace(EVENTS[0], actor_email=text, event=text, resource_id=text, outcome=text)
    listed = OperatorListView((row,), text, text, text, Pager(), notice)
    detail = replace(
        DETAIL,
        operator=live,
        created_by=Author(text, text),
        sessions=(session,),
        recent=(event,),
        missing=(text,),
        notice=notice,
    )
    return (
        Page("operators", frame, listed),
        Page("operators-no-match", frame, replace(listed, rows=())),
        Page(
            "operator-new",
            frame,
            replace(
                NEW,
                form=replace(form, errors=(FieldError("name", text), FieldError("role", text))),
                roles=(text,),
                name=text,
                email=text,
                role=text,
            ),
        ),
        Page("operator", frame, detail),
        Page(
            "operator-role",
            frame,
            replace(ROLE, operator=live, form=form, roles=(text,), role=text, reason=text),
        ),
        Page(
            "operator-token-rebind",
            frame,
            replace(
                ISSUE, operator=live, form=replace(form, errors=(FieldError("confirm", text),)), confirm=text
            ),
        ),
        Page("operator-deactivate", frame, replace(DEACTIVATE, operator=live, form=form, reason=text)),
        Page(
            "operator-deactivate-second",
            frame,
            replace(
                DEACTIVATE,
                operator=gone,
                form=replace(form, errors=()),
                zero_trust_url="https://example.com/",
            ),
        ),
        Page("operator-reactivate", frame, replace(REACTIVATE, operator=gone, form=form, reason=text)),
        Page(
            "operator-session",
            frame,
            replace(END, operator=live, form=replace(form, errors=()), sessions=(session,), session_id=text),
        ),
        Page(
            "operator-token",
            frame,
            OperatorTokenView(live, text, text, text, NOW, text, text),
        ),
    )
