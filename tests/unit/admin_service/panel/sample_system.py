"""The system page and its forms with data: full, empty, refused, and with what strangers typed."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from admin_service.panel.layout import Frame
from admin_service.panel.pages.system import AWAY
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import FieldError, Notice
from admin_service.panel.views.system import (
    QUEUES_PATH,
    SYSTEM_PATH,
    DeadLetterRow,
    QueueRow,
    SystemStepView,
    SystemView,
    WorkflowRow,
)
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_values import FRAME, NOW

_FRAME: Final = replace(FRAME, permissions=FRAME.permissions | {"platform.view_system_metrics"})
_FORM: Final = FormState("csrf-token", "idempotency-key")
_DEAD: Final = DeadLetterRow(
    queue="tenant.mail",
    id="out_01KDYAK348C5X7SGAGCBQF0000",
    kind="invitation",
    organization_id="org_01KDYAK348C5X7SGAGCBQF0001",
    attempts=1,
    last_error="RECIPIENT_REFUSED_550",
    died_at=NOW - timedelta(hours=3),
    can_be_retried=True,
)
_MAIL: Final = QueueRow(
    "tenant.mail", 12, 1, 3, 2, "12 min", NOW + timedelta(seconds=40), "SERVER_ANSWERED_421", (_DEAD,)
)
_RUN: Final = WorkflowRow(
    name="tenant.deliver_mail",
    schedule="every 5 s",
    status="ok",
    started_at=NOW - timedelta(seconds=3),
    duration="0.2 s",
    processed=4,
    error=None,
    failures=0,
    next_run_at=NOW + timedelta(seconds=2),
    lease_owner=None,
)
_FAILED: Final = replace(
    _RUN, name="admin.sweep_sessions", status="failed", error="DATABASE_UNAVAILABLE", failures=3
)
_NEVER: Final = replace(_RUN, name="tenant.expire_invitations", status=None, started_at=None, processed=0)
_SYSTEM: Final = SystemView(
    SYSTEM_PATH,
    (_MAIL, QueueRow("tenant.siem", 0, 0, 0, 0, "", None, None)),
    (_RUN, _FAILED, _NEVER, replace(_RUN, name="tenant.tend_outbox", lease_owner="host:1:ab")),
    may_manage=True,
)
_STEP: Final = SystemStepView(
    "Try a message again", _DEAD.id, "It is sent again.", "Try again", _DEAD.href, _FORM
)

SYSTEM_PAGES: Final = (
    Page("system", _FRAME, _SYSTEM),
    Page("system-queues", _FRAME, replace(_SYSTEM, path=QUEUES_PATH, workflows=None, may_manage=False)),
    Page("system-away", _FRAME, replace(_SYSTEM, queues=(), workflows=(), notices=(AWAY,))),
    Page("system-step", _FRAME, _STEP),
    Page(
        "system-step-refused",
        _FRAME,
        replace(_STEP, form=replace(_FORM, errors=(FieldError("reason", "Give a reason."),)), reason="no"),
    ),
)


def hostile_system_pages(frame: Frame, text: str) -> tuple[Page, ...]:
    """The same with `text` wherever another service or a person puts it."""
    dead = DeadLetterRow(text, text, text, text, 1, text, NOW, can_be_retried=True)
    queue = QueueRow(text, 1, 1, 1, 1, text, NOW, text, (dead,))
    workflow = WorkflowRow(text, text, text, NOW, text, 1, text, 2, NOW, None)
    notice = Notice("warning", text, text)
    form = FormState(text, text, (FieldError("reason", text),), notice)
    return (
        Page(
            "system",
            frame,
            SystemView(SYSTEM_PATH, (queue,), (workflow,), may_manage=True, notices=(notice,)),
        ),
        Page("system-step", frame, SystemStepView(text, text, text, text, dead.href, form, text)),
    )
